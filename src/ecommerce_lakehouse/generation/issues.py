"""Intentional issues: their kinds, the lines that have them, and what each must lead to in the pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ecommerce_lakehouse.generation.manifest import Expected

DUPLICATE = "duplicate"
UNEXPECTED_COLUMN = "unexpected_column"
KINDS = (
    "null_key",
    "bad_format",
    "out_of_range",
    "future_date",
    "unknown_status",
    "truncated_json",
    UNEXPECTED_COLUMN,
    "non_utf8",
    DUPLICATE,
)
# A line with one of these issues is still a valid record.
VALID_KINDS = (UNEXPECTED_COLUMN, DUPLICATE)


@dataclass(frozen=True)
class Consequence:
    """What a kind of issue leads to: the dropping rules and the warning rules that its line breaks."""

    broken: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()


def _of_newest(key: str, word: str, *others: str) -> Mapping[str, Consequence]:
    """Of an entity whose records are ordered by `updated_at`; the rules of its key, a vocabulary, others."""
    updated = ("valid_updated_at", "update_not_in_future")
    return {
        "null_key": Consequence((key,)),
        "bad_format": Consequence(updated),
        "out_of_range": Consequence(updated[:1]),
        "future_date": Consequence(updated[1:]),
        "unknown_status": Consequence((word,)),
        "truncated_json": Consequence(("valid_json", key, word, *others, *updated)),
        UNEXPECTED_COLUMN: Consequence((), ("no_unexpected_columns",)),
        "non_utf8": Consequence(("valid_encoding",)),
        DUPLICATE: Consequence(),
    }


# By entity and kind. A line that is not JSON has no fields: it breaks every rule that reads one.
CONSEQUENCES: Mapping[str, Mapping[str, Consequence]] = {
    "orders": {
        "null_key": Consequence(("valid_order_id",)),
        "bad_format": Consequence(("valid_price",), ("reasonable_order_value",)),
        "out_of_range": Consequence(("valid_quantity",)),
        "future_date": Consequence(("order_not_in_future",)),
        "unknown_status": Consequence(("valid_status",)),
        "truncated_json": Consequence(
            (
                "valid_json",
                "valid_order_id",
                "valid_customer_id",
                "valid_product_id",
                "valid_quantity",
                "valid_price",
                "valid_status",
                "valid_order_timestamp",
                "order_not_in_future",
            ),
            ("reasonable_order_value",),
        ),
        UNEXPECTED_COLUMN: Consequence((), ("no_unexpected_columns",)),
        "non_utf8": Consequence(("valid_encoding",)),
        DUPLICATE: Consequence(),
    },
    "customer_activity": {
        "null_key": Consequence(("valid_session_id",)),
        "bad_format": Consequence(("valid_session_duration",)),
        "out_of_range": Consequence(("valid_page_views",)),
        "future_date": Consequence(("session_not_in_future",)),
        "unknown_status": Consequence(("valid_device_type",)),
        "truncated_json": Consequence(
            (
                "valid_json",
                "valid_session_id",
                "valid_customer_id",
                "valid_session_timestamp",
                "session_not_in_future",
                "valid_session_duration",
                "valid_page_views",
                "valid_cart_adds",
                "valid_device_type",
            )
        ),
        UNEXPECTED_COLUMN: Consequence((), ("no_unexpected_columns",)),
        "non_utf8": Consequence(("valid_encoding",)),
        DUPLICATE: Consequence(),
    },
    "customer_profiles": {
        "null_key": Consequence(("valid_customer_id",)),
        "bad_format": Consequence(("valid_email",)),
        "out_of_range": Consequence(("valid_age",)),
        "future_date": Consequence(("update_not_in_future",)),
        "unknown_status": Consequence(("valid_loyalty_tier",)),
        "truncated_json": Consequence(
            (
                "valid_json",
                "valid_customer_id",
                "valid_email",
                "valid_age",
                "valid_gender",
                "valid_loyalty_tier",
                "valid_signup_date",
                "valid_updated_at",
                "update_not_in_future",
            ),
            ("loyalty_points_not_negative",),
        ),
        UNEXPECTED_COLUMN: Consequence((), ("no_unexpected_columns",)),
        "non_utf8": Consequence(("valid_encoding",)),
        DUPLICATE: Consequence(),
    },
    "marketing_consents": _of_newest("valid_consent_id", "valid_channel", "valid_customer_id"),
    "push_devices": _of_newest("valid_token", "valid_platform", "valid_customer_id", "valid_last_used_at"),
    "households": _of_newest("valid_household_id", "valid_kind", "valid_name"),
    "household_members": _of_newest("valid_customer_id", "valid_role"),
}


@dataclass(frozen=True)
class IssueSpread:
    """Which of `lines` lines have an issue: exactly `bad` of them, evenly spaced, the kinds in turn.

    Line i (from 0) is the k-th bad line where k = floor(i * bad / lines) grows from i to i + 1. `rotation`
    shifts the turn of the kinds, so that they stay even over small batches. Everything is computed from the
    line number, so the result depends neither on partitions nor on a random generator.
    """

    lines: int
    bad: int
    rotation: int = 0

    @property
    def clean(self) -> int:
        """Lines without an issue."""
        return self.lines - self.bad

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds in use; without a clean line there is nothing to duplicate."""
        return KINDS if self.clean else tuple(kind for kind in KINDS if kind != DUPLICATE)

    def issue(self, line: str) -> str:
        """SQL: the kind of issue of a line, NULL for a clean one."""
        if not self.bad:
            return "cast(NULL AS STRING)"
        listed = ", ".join(f"'{kind}'" for kind in self.kinds)
        turn = f"pmod({self._bad_before(line)} + {self.rotation}L, {len(self.kinds)}L)"
        return (
            f"IF({self._bad_before(f'({line} + 1)')} > {self._bad_before(line)}, "
            f"element_at(array({listed}), cast({turn} AS INT) + 1), NULL)"
        )

    def latest_clean(self, line: str) -> str:
        """SQL: the nearest clean line before a bad one. The first line is clean if any line is."""
        return self.clean_line(f"({line} - {self._bad_before(line)} - 1)")

    def clean_line(self, ordinal: str) -> str:
        """SQL: the number of the n-th clean line, n from 0; the inverse of counting clean lines."""
        return f"(({ordinal}) * {self.lines}L div {self.clean}L)" if self.clean else f"({ordinal})"

    def clean_ordinal(self, line: str) -> str:
        """SQL: how many clean lines come before a line: for a clean one its ordinal."""
        return f"({line} - {self._bad_before(line)})"

    def clean_before(self, line: int) -> int:
        """How many clean lines come before a line."""
        return line - line * self.bad // self.lines

    def _bad_before(self, line: str) -> str:
        return f"({line} * {self.bad}L div {self.lines}L)"


def expected_outcome(entity: str, rows: int, issues: Mapping[str, int], updates: int) -> Expected:
    """What `rows` lines with these issues must lead to; `updates` of them are valid and have known keys."""
    broken: dict[str, int] = {}
    warnings: dict[str, int] = {}
    for kind, count in issues.items():
        consequence = CONSEQUENCES[entity][kind]
        for rule in consequence.broken:
            broken[rule] = broken.get(rule, 0) + count
        for rule in consequence.warned:
            warnings[rule] = warnings.get(rule, 0) + count
    duplicates = issues.get(DUPLICATE, 0)
    quarantined = sum(count for kind, count in issues.items() if kind not in VALID_KINDS)
    return Expected(
        silver=rows - quarantined - duplicates - updates,
        updates=updates,
        quarantined=quarantined,
        duplicates=duplicates,
        broken_rules={rule: count for rule, count in sorted(broken.items()) if count},
        warnings={rule: count for rule, count in sorted(warnings.items()) if count},
    )

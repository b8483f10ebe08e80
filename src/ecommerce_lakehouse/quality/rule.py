"""The rule types: `Rule` for one row, `DatasetRule` for a whole dataset, and a dataset's `RuleSet`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from ecommerce_lakehouse.errors import ShopError
from ecommerce_lakehouse.quality.determinism import nondeterminism

Severity = Literal["warn", "drop", "fail"]
SEVERITIES = ("warn", "drop", "fail")
# Values of a row's columns as SQL literals: {"price": "19.99", "order_id": "'O-1'"}.
Example = Mapping[str, str]
NAME = re.compile(r"[a-z][a-z0-9_]*")


class RuleError(ShopError):
    """A dataset's rules cannot be used; the message is one line, with file and line if known."""

    code = "INVALID_RULE"


@dataclass(frozen=True)
class Tolerance:
    """How many rows may break a warning: up to `rows` rows, or up to the share `share` (0 to 1) of all."""

    rows: int | None = None
    share: float | None = None

    @property
    def is_valid(self) -> bool:
        """Whether exactly one of the two is given, within its range."""
        if (self.rows is None) == (self.share is None):
            return False
        return self.rows >= 0 if self.rows is not None else 0 <= (self.share or 0) <= 1

    def __str__(self) -> str:
        return f"{self.rows} rows" if self.rows is not None else f"{self.share:.2%} of rows"


@dataclass(frozen=True)
class Unique:
    """No two rows have the same values in these columns."""

    columns: tuple[str, ...]

    def __str__(self) -> str:
        return f"unique ({', '.join(self.columns)})"


@dataclass(frozen=True)
class References:
    """Every value of `column` that is not NULL is in `to_column` of the dataset `dataset`."""

    column: str
    dataset: str
    to_column: str

    def __str__(self) -> str:
        return f"{self.column} in {self.dataset}.{self.to_column}"


@dataclass(frozen=True)
class Freshness:
    """The newest `column` is at most `seconds` before the newest ingestion (`ingested_at`).

    With `of`, a dataset and its column, before the newest value there: for data with a calendar of its own.
    """

    column: str
    seconds: int
    of: tuple[str, str] | None = None

    def __str__(self) -> str:
        newest = "ingestion" if self.of is None else f"the newest {'.'.join(self.of)}"
        return f"newest {self.column} within {self.seconds} s of {newest}"


@dataclass(frozen=True)
class RowCount:
    """The dataset has at least `at_least` rows, and at most `at_most`, if given."""

    at_least: int = 1
    at_most: int | None = None

    def __str__(self) -> str:
        return f"at least {self.at_least} rows" + (f", at most {self.at_most}" if self.at_most else "")


Check = Unique | References | Freshness | RowCount


@dataclass(frozen=True)
class Rule:
    """One expectation: what must hold for a row (`constraint`), what happens otherwise (`severity`), and why.

    `owner` is the team to ask when it is broken, by default the dataset's. `tolerance` is for a warning:
    beyond it the update fails. `broken_by` are changes to the dataset's example row, each of which breaks the
    rule. `location` is the `file:line` of the rule.
    """

    name: str
    constraint: str
    severity: Severity
    reason: str
    owner: str = ""
    tolerance: Tolerance | None = None
    broken_by: tuple[Example, ...] = ()
    location: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not self.location:
            object.__setattr__(self, "location", _written_at())


@dataclass(frozen=True)
class DatasetRule:
    """What must hold for a whole dataset. Expectations cannot aggregate, so a check dataset evaluates it."""

    name: str
    check: Check
    severity: Literal["warn", "fail"]
    reason: str
    owner: str = ""
    tolerance: Tolerance | None = None
    location: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not self.location:
            object.__setattr__(self, "location", _written_at())


AnyRule = Rule | DatasetRule


@dataclass(frozen=True)
class RuleSet:
    """The rules of one dataset, also as the dictionaries that `dp.expect_all*` take.

    `rules` are for each row of the table `rows_in`, by default the dataset itself; `checks` are for the whole
    dataset. `example` is a row that breaks no rule. `owner` is the team that owns the dataset.
    """

    rules: tuple[Rule, ...] = ()
    checks: tuple[DatasetRule, ...] = ()
    example: Example = field(default_factory=dict)
    owner: str = ""
    rows_in: str | None = None

    def __post_init__(self) -> None:
        rules = tuple(rule if rule.owner else replace(rule, owner=self.owner) for rule in self.rules)
        checks = tuple(check if check.owner else replace(check, owner=self.owner) for check in self.checks)
        object.__setattr__(self, "rules", rules)
        object.__setattr__(self, "checks", checks)

    def of(self, severity: Severity) -> dict[str, str]:
        """`{name: constraint}` of the rules of one severity."""
        return {rule.name: rule.constraint for rule in self.rules if rule.severity == severity}

    @property
    def warn(self) -> dict[str, str]:
        """Rules for `expect_all`: counted, the row stays."""
        return self.of("warn")

    @property
    def drop(self) -> dict[str, str]:
        """Rules for `expect_all_or_drop`: the row goes to quarantine."""
        return self.of("drop")

    @property
    def fail(self) -> dict[str, str]:
        """Rules for `expect_all_or_fail`: the update stops."""
        return self.of("fail")

    @property
    def tolerated(self) -> tuple[Rule, ...]:
        """Warnings that fail the update beyond their tolerance."""
        return tuple(rule for rule in self.rules if rule.tolerance is not None)

    def problems(self, dataset: str) -> Iterator[tuple[AnyRule, str]]:
        """Rules that cannot be used, with the reason, as far as this can be found without Spark."""
        first: dict[str, AnyRule] = {}
        everything: list[AnyRule] = [*self.rules, *self.checks]
        for rule in everything:
            if rule.name in first:
                where = first[rule.name].location
                yield rule, f"dataset '{dataset}' has two rules named '{rule.name}', the first at {where}"
            first.setdefault(rule.name, rule)
            if rule.severity == "drop" and not has_quarantine(dataset):
                lost = "only entities in silver have a quarantine for dropped rows; use warn or fail"
                yield rule, f"dataset '{dataset}', rule '{rule.name}': {lost}"
            for problem in _problems(rule):
                yield rule, f"dataset '{dataset}', rule '{rule.name}': {problem}"


def has_quarantine(dataset: str) -> bool:
    """Whether a quarantine keeps the rows that a rule drops from this dataset: only for silver's entities."""
    others = ("_duplicates", "_history", "_parsed", "_as_known")
    return dataset.startswith("silver_") and not dataset.endswith(others)


def _problems(rule: AnyRule) -> Iterator[str]:
    if not NAME.fullmatch(rule.name):
        yield "a name is lower-case letters, digits and underscores"
    if len(rule.reason) < 10:
        yield "it needs a reason"
    if not rule.owner:
        yield "it needs an owner"
    if rule.severity not in SEVERITIES:
        yield f"severity is warn, drop or fail, not '{rule.severity}'"
    if rule.tolerance is not None and rule.severity != "warn":
        yield "a tolerance is for a warning"
    if rule.tolerance is not None and not rule.tolerance.is_valid:
        yield "a tolerance is a number of rows or a share of them, 0 to 1"
    if isinstance(rule, Rule):
        for found in nondeterminism(rule.constraint):
            yield f"'{found}' depends on more than the row; compare with the row's ingested_at"


# Modules whose functions make rules for others: a rule's location is where such a function is called.
_MAKERS = {str(Path(__file__).with_name(name)) for name in ("rule.py", "rule_builders.py")} | {"<string>"}


def _written_at() -> str:
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename in _MAKERS:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"

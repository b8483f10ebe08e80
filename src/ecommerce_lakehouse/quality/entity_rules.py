"""The rules of an entity's datasets: those that every entity has, and its silver table's: `entity_rules`."""

from __future__ import annotations

from ecommerce_lakehouse.domain.entities import Entity
from ecommerce_lakehouse.quality.owners import PLATFORM
from ecommerce_lakehouse.quality.rule import DatasetRule, Example, Rule, RuleSet, Tolerance, Unique
from ecommerce_lakehouse.quality.rule_builders import EXAMPLE_INGESTED_AT, known, rule, warn


def entity_rules(
    entity: Entity,
    *,
    owner: str,
    rules: tuple[Rule, ...],
    checks: tuple[DatasetRule, ...],
    example: Example,
) -> dict[str, RuleSet]:
    """The rule sets of an entity's datasets; `rules`, `checks` and `example` are the silver table's."""
    key = DatasetRule(
        "one_row_per_key", Unique((entity.key,)), "fail", "Of several records the newest one stays"
    )
    return {
        f"bronze_{entity.name}": RuleSet(
            rules=(
                warn(
                    "line_not_empty",
                    "length(raw_line) > 0",
                    "An empty line holds no record",
                    {"raw_line": "X''"},
                    tolerance=Tolerance(share=0.1),
                ),
            ),
            example={"raw_line": "X'7B7D'"},
            owner=PLATFORM,
        ),
        f"silver_{entity.target}": RuleSet(
            rules=_readable() + rules,
            checks=(key, *checks),
            example={**_READABLE_EXAMPLE, **example},
            owner=owner,
        ),
        f"silver_{entity.target}_duplicates": RuleSet(
            rules=(
                known("valid_key", entity.key, "Only a record with a key can be superseded"),
                *[
                    warn(
                        f"{column}_unchanged",
                        f"newest_{column} <=> {column}",
                        "A correction of it moves the order's sales from one day to another",
                        {column: "DATE '2024-05-02'"},
                    )
                    for column in entity.settled
                ],
            ),
            example={entity.key: "'1'"}
            | {name: "DATE '2024-05-01'" for day in entity.settled for name in (day, f"newest_{day}")},
            owner=owner,
        ),
        f"quarantine_{entity.target}": RuleSet(
            rules=(
                rule(
                    "has_reason",
                    "size(broken_rules) > 0",
                    "fail",
                    "A line in quarantine breaks a rule",
                    {"broken_rules": "CAST(array() AS ARRAY<STRING>)"},
                    {"broken_rules": "CAST(NULL AS ARRAY<STRING>)"},
                ),
                rule(
                    "line_kept",
                    "raw_line IS NOT NULL",
                    "fail",
                    "A line is corrected from the bytes that arrived",
                    {"raw_line": "CAST(NULL AS BINARY)"},
                ),
            ),
            example={"broken_rules": "array('valid_json')", "raw_line": "X'7B'"},
            owner=owner,
        ),
    }


def _readable() -> tuple[Rule, ...]:
    return (
        rule(
            "valid_encoding",
            "is_utf8",
            "drop",
            "Bytes that are not UTF-8 cannot be read as text",
            {"is_utf8": "false"},
        ),
        rule("valid_json", "is_json", "drop", "A line must be exactly one JSON object", {"is_json": "false"}),
        rule(
            "keys_given_once",
            "size(repeated_keys) = 0",
            "drop",
            "A field with two values has no one meaning",
            {"repeated_keys": "array('price')"},
        ),
        warn(
            "no_unexpected_columns",
            "size(unexpected_columns) = 0",
            "The source has a new column",
            {"unexpected_columns": "array('coupon')"},
        ),
    )


_READABLE_EXAMPLE: dict[str, str] = {
    "is_utf8": "true",
    "is_json": "true",
    "unexpected_columns": "CAST(array() AS ARRAY<STRING>)",
    "repeated_keys": "CAST(array() AS ARRAY<STRING>)",
    "unreadable_fields": "CAST(array() AS ARRAY<STRING>)",
    "ingested_at": f"TIMESTAMP '{EXAMPLE_INGESTED_AT}'",
}

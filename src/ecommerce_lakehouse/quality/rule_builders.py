"""Builders of common rules, each with values that break the rule."""

from __future__ import annotations

from dataclasses import replace

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.quality.rule import (
    DatasetRule,
    Example,
    Freshness,
    Rule,
    Severity,
    Tolerance,
    Unique,
)


def rule(
    name: str,
    constraint: str,
    severity: Severity,
    reason: str,
    *broken_by: Example,
    tolerance: Tolerance | None = None,
) -> Rule:
    """A rule with the changes to the example row that break it."""
    return Rule(name, constraint, severity, reason, tolerance=tolerance, broken_by=broken_by)


def warn(
    name: str, constraint: str, reason: str, *broken_by: Example, tolerance: Tolerance | None = None
) -> Rule:
    """A rule whose violations are only counted."""
    return rule(name, constraint, "warn", reason, *broken_by, tolerance=tolerance)


def present(name: str, column: str, reason: str) -> Rule:
    """A text that is neither NULL nor blank; otherwise the row is dropped."""
    blank = ({column: "CAST(NULL AS STRING)"}, {column: "'  '"})
    return rule(name, f"{column} IS NOT NULL AND length(trim({column})) > 0", "drop", reason, *blank)


def known(name: str, column: str, reason: str) -> Rule:
    """A key that is not NULL; violations are counted."""
    return warn(name, f"{column} IS NOT NULL", reason, {column: "CAST(NULL AS STRING)"})


def one_of(name: str, column: str, values: tuple[str, ...], reason: str) -> Rule:
    """A word of a vocabulary; otherwise the row is dropped."""
    return rule(name, _in(column, values), "drop", reason, *_strangers(column))


def named(name: str, column: str, *values: str) -> Rule:
    """A word of a documented vocabulary; violations are counted."""
    return warn(name, _in(column, values), "A documented segment", *_strangers(column))


def within(name: str, column: str, low: int, high: int) -> Rule:
    """A number within a range, both ends included; violations are counted."""
    beyond = ({column: f"{low - 1}"}, {column: f"{high + 1}"}, {column: "CAST(NULL AS INT)"})
    return warn(name, f"{column} BETWEEN {low} AND {high}", "The measure's documented range", *beyond)


def dated(name: str, column: str, config: LakehouseConfig, reason: str) -> Rule:
    """A date or time, not NULL and not before the shop's first day; otherwise the row is dropped."""
    earlier = f"DATE '{config.earliest_event}' - INTERVAL 1 DAY"
    broken_by = ({column: earlier}, {column: "CAST(NULL AS TIMESTAMP)"})
    return rule(name, f"{column} >= DATE '{config.earliest_event}'", "drop", reason, *broken_by)


def not_future(name: str, column: str, config: LakehouseConfig) -> Rule:
    """A time that had passed when the row arrived; otherwise the row is dropped."""
    latest = f"ingested_at + INTERVAL {config.future_tolerance}"
    later = f"TIMESTAMP '{EXAMPLE_INGESTED_AT}' + INTERVAL {config.future_tolerance} + INTERVAL 1 SECOND"
    return rule(
        name,
        f"{column} <= {latest}",
        "drop",
        "What arrives has happened; clocks may differ by the tolerance",
        {column: later},
    )


def updated(config: LakehouseConfig) -> tuple[Rule, Rule]:
    """An `updated_at` that is left out or had passed when the row arrived; else the row is dropped."""
    passed = not_future("update_not_in_future", "updated_at", config)
    return (
        rule(
            "valid_updated_at",
            "updated_at IS NOT NULL OR NOT array_contains(unreadable_fields, 'updated_at')",
            "drop",
            "Of an order's records the newest wins by it",
            {"updated_at": "CAST(NULL AS TIMESTAMP)", "unreadable_fields": "array('updated_at')"},
        ),
        replace(passed, constraint=f"updated_at IS NULL OR {passed.constraint}"),
    )


def count_in_limits(name: str, column: str, config: LakehouseConfig, what: str) -> Rule:
    """A positive whole number within the shop's limit; otherwise the row is dropped. `what` is plural."""
    return rule(
        name,
        f"{column} > 0 AND {column} <= {config.max_quantity}",
        "drop",
        f"{what} are a positive whole number within the shop's limit",
        {column: "0"},
        {column: f"{config.max_quantity + 1}"},
        {column: "CAST(NULL AS INT)"},
    )


def price_in_limits(config: LakehouseConfig) -> Rule:
    """A `price` that is positive and within the shop's limit; otherwise the row is dropped."""
    return rule(
        "valid_price",
        f"price > 0 AND price <= {config.max_price:.2f}",
        "drop",
        "A price is positive, in whole cents and within the shop's limit",
        {"price": "0.00"},
        {"price": f"{config.max_price:.2f} + 0.01"},
        {"price": "CAST(NULL AS DECIMAL(10,2))"},
    )


def customers_within_orders() -> Rule:
    """At most as many `customers` as `orders`; violations are counted."""
    return warn(
        "customers_within_orders",
        "customers <= orders",
        "Each has at least one purchase",
        {"customers": "3"},
    )


def one_row_per(column: str) -> DatasetRule:
    """A column whose values are unique; otherwise the update fails."""
    return DatasetRule("one_row_per_key", Unique((column,)), "fail", "Readers add up all rows")


def daily(
    name: str, column: str, reason: str, config: LakehouseConfig, *, beside: tuple[str, str]
) -> DatasetRule:
    """Something that comes daily, with a day of grace: two days after the newest `column` it counts as late.

    Delivered data is compared with its arrival. Generated data has a calendar of its own, in which "now" is
    the newest record of another source: `beside`, a dataset and its column.
    """
    of = beside if config.source_data == "generated" else None
    return DatasetRule(name, Freshness(column, 2 * DAY, of), "warn", reason)


DAY = 86_400  # seconds
# When the example rows arrived.
EXAMPLE_INGESTED_AT = "2024-05-01 12:00:00"


def _in(column: str, values: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


def _strangers(column: str) -> tuple[Example, ...]:
    return ({column: "'unheard of'"}, {column: "CAST(NULL AS STRING)"})

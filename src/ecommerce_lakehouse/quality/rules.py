"""The rule registry: every expectation of every dataset, in one place: `rules_for`.

A constraint is a SQL expression over one row and deterministic: time comes from the row's `ingested_at`.
A constraint that evaluates to NULL is broken, as it is on Databricks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.domain.entities import (
    DEVICE_TYPES,
    GENDERS,
    LOYALTY_TIERS,
    ORDER_STATUSES,
)

Severity = Literal["warn", "drop", "fail"]


@dataclass(frozen=True)
class Rule:
    """One expectation: what must hold (`constraint`), what happens if not (`severity`), and why."""

    name: str
    constraint: str
    severity: Severity
    reason: str


@dataclass(frozen=True)
class RuleSet:
    """The rules of one dataset, offered as the dictionaries that `dp.expect_all*` take."""

    rules: tuple[Rule, ...]

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


def rules_for(dataset: str, config: LakehouseConfig) -> RuleSet:
    """The rules of a dataset, by its `<layer>_<entity>` name; KeyError for one without rules."""
    return _registry(config)[dataset]


def datasets_with_rules(config: LakehouseConfig) -> tuple[str, ...]:
    """Names of all datasets that have rules."""
    return tuple(_registry(config))


def _registry(config: LakehouseConfig) -> dict[str, RuleSet]:
    bronze = RuleSet((Rule("line_not_empty", "length(raw_line) > 0", "warn", "An empty line holds no record"),))
    return {
        "bronze_orders": bronze,
        "bronze_customer_profiles": bronze,
        "bronze_customer_activity": bronze,
        "silver_orders": RuleSet(_readable() + _orders(config)),
        "silver_customers": RuleSet(_readable() + _customers(config)),
        "silver_customer_activity": RuleSet(_readable() + _activity(config)),
        **_gold(),
        **_features(),
    }


def _readable() -> tuple[Rule, ...]:
    return (
        Rule("valid_encoding", "is_utf8", "drop", "Bytes that are not UTF-8 cannot be read as text"),
        Rule("valid_json", "is_json", "drop", "A line must be exactly one JSON object"),
        Rule("no_unexpected_columns", "size(unexpected_columns) = 0", "warn", "The source has a new column"),
    )


def _orders(config: LakehouseConfig) -> tuple[Rule, ...]:
    return (
        _present("valid_order_id", "order_id", "An order is known by its id"),
        _present("valid_customer_id", "customer_id", "An order belongs to a customer"),
        _present("valid_product_id", "product_id", "An order is of a product"),
        Rule(
            "valid_quantity",
            f"quantity > 0 AND quantity <= {config.max_quantity}",
            "drop",
            "Units ordered are a positive whole number within the shop's limit",
        ),
        Rule(
            "valid_price",
            f"price > 0 AND price <= {config.max_price:g}",
            "drop",
            "A price is positive, in whole cents and within the shop's limit",
        ),
        _one_of("valid_status", "status", ORDER_STATUSES, "An order is in a state that the shop knows"),
        Rule("valid_order_timestamp", "order_timestamp IS NOT NULL", "drop", "An order has a time"),
        _not_future("order_not_in_future", "order_timestamp", config),
        Rule(
            "reasonable_order_value",
            f"total_order_value <= {config.max_price * config.max_quantity:.2f}",
            "warn",
            "Price times quantity stays within the shop's limits",
        ),
    )


def _customers(config: LakehouseConfig) -> tuple[Rule, ...]:
    return (
        _present("valid_customer_id", "customer_id", "A customer is known by an id"),
        Rule("valid_email", "email RLIKE '^[^@ ]+@[^@ ]+[.][^@ ]+$'", "drop", "An address has a name and a host"),
        Rule("valid_age", "age >= 16 AND age <= 120", "drop", "A customer is a living adult"),
        _one_of("valid_gender", "gender", GENDERS, "The shop's vocabulary"),
        _one_of("valid_loyalty_tier", "loyalty_tier", LOYALTY_TIERS, "The loyalty programme's tiers"),
        Rule("valid_signup_date", "signup_date IS NOT NULL", "drop", "Tenure is counted from it"),
        Rule("valid_updated_at", "updated_at IS NOT NULL", "drop", "The newest profile wins by it"),
        _not_future("update_not_in_future", "updated_at", config),
        Rule("loyalty_points_not_negative", "loyalty_points >= 0", "warn", "Points cannot be owed"),
    )


def _activity(config: LakehouseConfig) -> tuple[Rule, ...]:
    return (
        _present("valid_session_id", "session_id", "A session is known by its id"),
        _present("valid_customer_id", "customer_id", "A session belongs to a customer"),
        Rule("valid_session_timestamp", "session_timestamp IS NOT NULL", "drop", "A session has a time"),
        _not_future("session_not_in_future", "session_timestamp", config),
        Rule(
            "valid_session_duration",
            "session_duration_seconds >= 0 AND session_duration_seconds <= 86400",
            "drop",
            "A session lasts at most a day",
        ),
        Rule("valid_page_views", "page_views >= 0", "drop", "Views are counted"),
        Rule("valid_cart_adds", "cart_adds >= 0", "drop", "Cart adds are counted"),
        _one_of("valid_device_type", "device_type", DEVICE_TYPES, "The tracker's vocabulary"),
    )


def _gold() -> dict[str, RuleSet]:
    return {}


def _features() -> dict[str, RuleSet]:
    return {}


def _present(name: str, column: str, reason: str) -> Rule:
    return Rule(name, f"{column} IS NOT NULL AND length(trim({column})) > 0", "drop", reason)


def _one_of(name: str, column: str, values: tuple[str, ...], reason: str) -> Rule:
    return Rule(name, f"{column} IN ({', '.join(repr(value) for value in values)})", "drop", reason)


def _not_future(name: str, column: str, config: LakehouseConfig) -> Rule:
    return Rule(
        name,
        f"{column} <= ingested_at + INTERVAL {config.future_tolerance}",
        "drop",
        "What arrives has happened; clocks may differ by the tolerance",
    )

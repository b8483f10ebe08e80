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
    bronze = RuleSet(
        (Rule("line_not_empty", "length(raw_line) > 0", "warn", "An empty line holds no record"),)
    )
    return {
        "bronze_orders": bronze,
        "bronze_customer_profiles": bronze,
        "bronze_customer_activity": bronze,
        "bronze_order_batches": bronze,
        "silver_orders": RuleSet(_readable() + _orders(config)),
        "silver_customers": RuleSet(_readable() + _customers(config)),
        "silver_customer_activity": RuleSet(_readable() + _activity(config)),
        "silver_order_batches": RuleSet(_readable() + _order_batches(config)),
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
            f"price > 0 AND price <= {config.max_price:.2f}",
            "drop",
            "A price is positive, in whole cents and within the shop's limit",
        ),
        _one_of("valid_status", "status", ORDER_STATUSES, "An order is in a state that the shop knows"),
        _dated("valid_order_timestamp", "order_timestamp", config, "An order has a time"),
        _not_future("order_not_in_future", "order_timestamp", config),
        Rule(
            "reasonable_order_value",
            f"total_order_value <= {config.max_price * config.max_quantity:.2f}",
            "warn",
            "Price times quantity stays within the shop's limits",
        ),
    )


def _order_batches(config: LakehouseConfig) -> tuple[Rule, ...]:
    return (
        _present("valid_order_id", "order_id", "An order is known by its id"),
        _present("valid_customer_id", "customer_id", "An order belongs to a customer"),
        _present("valid_order_item", "order_item", "An order is of an item"),
        Rule(
            "valid_items_ordered",
            f"items_ordered > 0 AND items_ordered <= {config.max_quantity}",
            "drop",
            "Items ordered are a positive whole number within the shop's limit",
        ),
        Rule(
            "valid_price",
            f"price > 0 AND price <= {config.max_price:.2f}",
            "drop",
            "A price is positive, in whole cents and within the shop's limit",
        ),
        _one_of("valid_status", "status", ORDER_STATUSES, "An order is in a state that the shop knows"),
        _dated("valid_order_timestamp", "order_timestamp", config, "An order has a time"),
        _not_future("order_not_in_future", "order_timestamp", config),
        _dated("valid_date_ordered", "date_ordered", config, "Daily figures need a date"),
        Rule(
            "date_of_its_time",
            "date_ordered = to_date(order_timestamp)",
            "warn",
            "Both fields say when the order was placed",
        ),
    )


def _customers(config: LakehouseConfig) -> tuple[Rule, ...]:
    return (
        _present("valid_customer_id", "customer_id", "A customer is known by an id"),
        Rule(
            "valid_email",
            "email RLIKE '^[^@ ]+@[^@ ]+[.][^@ ]+$'",
            "drop",
            "An address has a name and a host",
        ),
        Rule("valid_age", "age >= 16 AND age <= 120", "drop", "A customer is a living adult"),
        _one_of("valid_gender", "gender", GENDERS, "The shop's vocabulary"),
        _one_of("valid_loyalty_tier", "loyalty_tier", LOYALTY_TIERS, "The loyalty programme's tiers"),
        _dated("valid_signup_date", "signup_date", config, "Tenure is counted from it"),
        _dated("valid_updated_at", "updated_at", config, "The newest profile wins by it"),
        _not_future("update_not_in_future", "updated_at", config),
        Rule("loyalty_points_not_negative", "loyalty_points >= 0", "warn", "Points cannot be owed"),
    )


def _activity(config: LakehouseConfig) -> tuple[Rule, ...]:
    return (
        _present("valid_session_id", "session_id", "A session is known by its id"),
        _present("valid_customer_id", "customer_id", "A session belongs to a customer"),
        _dated("valid_session_timestamp", "session_timestamp", config, "A session has a time"),
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
    def warn(name: str, constraint: str, reason: str) -> Rule:
        return Rule(name, constraint, "warn", reason)

    def named(name: str, column: str, *values: str) -> Rule:
        return warn(
            name, f"{column} IN ({', '.join(repr(value) for value in values)})", "A documented segment"
        )

    def within(name: str, column: str, low: int, high: int) -> Rule:
        return warn(name, f"{column} BETWEEN {low} AND {high}", "The measure's documented range")

    return {
        "gold_daily_sales": RuleSet(
            (
                warn("revenue_not_negative", "revenue >= 0 AND lost_value >= 0", "Prices are positive"),
                warn("customers_within_orders", "customers <= orders", "Each has at least one purchase"),
                warn("revenue_needs_orders", "orders > 0 OR revenue = 0", "Only purchases earn"),
            )
        ),
        "gold_rolling_sales": RuleSet(
            (
                warn("revenue_not_negative", "revenue_7d >= 0", "Prices are positive"),
                within("days_within_week", "days_covered", 1, 7),
                warn(
                    "customers_within_orders",
                    "customers_7d >= 0 AND customers_7d <= orders_7d",
                    "Each has at least one purchase",
                ),
            )
        ),
        "gold_realtime_metrics": RuleSet(
            (
                warn("revenue_not_negative", "revenue >= 0", "Prices are positive"),
                warn(
                    "window_has_orders", "orders + cancelled_orders + returned_orders > 0", "No order, no row"
                ),
                warn(
                    "largest_within_revenue", "largest_order_value <= revenue", "A part is within the whole"
                ),
            )
        ),
        "gold_customer_segments": RuleSet(
            (
                warn("valid_customer_id", "customer_id IS NOT NULL", "A segment is of a customer"),
                warn("lifetime_value_not_negative", "lifetime_value >= 0", "Prices are positive"),
                warn(
                    "valid_rfm_scores",
                    "CASE WHEN total_orders = 0 THEN rfm_score = 0 "
                    "ELSE least(recency_score, frequency_score, monetary_score) >= 1 "
                    "AND greatest(recency_score, frequency_score, monetary_score) <= 5 END",
                    "Buyers have quintiles, others none",
                ),
                within("valid_churn_risk_score", "churn_risk_score", 0, 1),
                named("valid_churn_risk", "churn_risk", "Low", "Medium", "High"),
                named("valid_customer_segment", "customer_segment", "Premium", "Standard", "Basic"),
                named("valid_frequency_segment", "frequency_segment", "Frequent", "Regular", "Occasional"),
                named(
                    "valid_lifecycle_stage",
                    "lifecycle_stage",
                    "Prospect",
                    "New",
                    "Active",
                    "At Risk",
                    "Churned",
                ),
                named("valid_value_tier", "value_tier", "High", "Medium", "Low", "None"),
                named(
                    "valid_behavior_segment",
                    "behavior_segment",
                    "No Purchase",
                    "Frequent Returner",
                    "One-Time Buyer",
                    "Bulk Buyer",
                    "Repeat Buyer",
                ),
                named(
                    "valid_rfm_segment",
                    "rfm_segment",
                    "Champions",
                    "Loyal Customers",
                    "Potential Loyalists",
                    "New Customers",
                    "Promising",
                    "Need Attention",
                    "About To Sleep",
                    "Cannot Lose Them",
                    "At Risk",
                    "Hibernating",
                    "Prospect",
                ),
            )
        ),
        "gold_customer_lifetime_value": RuleSet(
            (
                warn("valid_customer_id", "customer_id IS NOT NULL", "A value is of a customer"),
                warn("historical_value_not_negative", "historical_value >= 0", "Prices are positive"),
                warn(
                    "prediction_needs_purchases",
                    "total_orders > 0 OR predicted_value = 0",
                    "No base, no forecast",
                ),
                within("valid_expected_lifespan", "expected_lifespan_days", 0, 365),
            )
        ),
        "gold_product_performance": RuleSet(
            (
                warn("valid_product_id", "product_id IS NOT NULL", "A measure is of a product"),
                warn("buyers_within_orders", "buyers <= orders", "Each has at least one purchase"),
                warn("popularity_not_negative", "popularity_score >= 0", "Reach and volume are counts"),
                warn(
                    "ordered_prices",
                    "min_price > 0 AND min_price <= average_price AND average_price <= max_price",
                    "An average lies between the extremes",
                ),
                warn("price_variance_not_negative", "price_variance >= 0", "A mean of squares"),
                within("valid_price_stability", "price_stability", 0, 1),
                within("valid_returns_rate", "returns_rate", 0, 1),
                named(
                    "valid_lifecycle_stage",
                    "lifecycle_stage",
                    "Introduction",
                    "Growth",
                    "Maturity",
                    "Decline",
                ),
            )
        ),
        "gold_order_business_metrics": RuleSet(
            (
                warn("revenue_not_negative", "revenue >= 0", "Prices are positive"),
                warn("customers_within_orders", "customers <= orders", "Each has at least one purchase"),
                within("valid_unearning_share", "unearning_share", 0, 1),
            )
        ),
        "gold_order_customer_analytics": RuleSet(
            (
                warn("valid_customer_id", "customer_id IS NOT NULL", "A figure is of a customer"),
                warn("revenue_not_negative", "revenue >= 0", "Prices are positive"),
                warn("dates_in_order", "first_order_date <= last_order_date", "First comes before last"),
                within("valid_revenue_share", "revenue_share", 0, 1),
            )
        ),
        "gold_order_item_sales": RuleSet(
            (
                warn("valid_order_item", "order_item IS NOT NULL", "A figure is of an item"),
                warn("revenue_not_negative", "revenue >= 0", "Prices are positive"),
                warn("customers_within_orders", "customers <= orders", "Each has at least one purchase"),
            )
        ),
        "gold_data_quality_check": RuleSet(
            (
                Rule(
                    "critical_data_quality",
                    "silver_orders > 0",
                    "fail",
                    "Without orders every figure is empty",
                ),
                within("valid_quarantine_rate", "quarantine_rate", 0, 1),
            )
        ),
    }


def _features() -> dict[str, RuleSet]:
    def table(keys: tuple[str, ...], **warnings: tuple[str, str]) -> RuleSet:
        present = " AND ".join(f"{key} IS NOT NULL" for key in (*keys, "as_of"))
        key_rule = Rule("valid_primary_key", present, "fail", "A feature store looks rows up by their key")
        return RuleSet(
            (key_rule, *[Rule(name, constraint, "warn", why) for name, (constraint, why) in warnings.items()])
        )

    customer = ("customer_id",)
    shares = "Shares of one whole sum to 1"
    return {
        "feature_customer_engagement": table(
            customer,
            score_in_range=(
                "engagement_score >= 0 AND engagement_score < 1 AND "
                "engagement_score_28d >= 0 AND engagement_score_28d < 1",
                "Every term of the score saturates below its weight, and the weights sum to 1",
            ),
            recent_within_total=("sessions_28d >= 0 AND sessions_28d <= sessions", "28 days are part of all"),
        ),
        "feature_device_preference": table(
            customer,
            shares_sum_to_one=("abs(mobile_share + desktop_share + tablet_share - 1) < 1e-9", shares),
            has_preferred_device=("preferred_device IS NOT NULL", "A customer with a session used a device"),
        ),
        "feature_purchase_behaviour": table(
            customer,
            positive_spend=("spend > 0", "A customer with a purchase has spent something"),
            diversity_in_range=("category_diversity >= 0 AND category_diversity < 1", "It is a chance"),
            shares_sum_to_one=(
                "abs(night_share + morning_share + afternoon_share + evening_share - 1) < 1e-9",
                shares,
            ),
        ),
        "feature_churn_risk": table(
            customer,
            score_in_range=(
                "churn_risk_score >= 0 AND churn_risk_score <= 1",
                "Both terms of the score are bounded by their weights, which sum to 1",
            ),
            trend_in_range=("activity_trend BETWEEN -1 AND 1", "It is a normalised difference"),
            no_future_events=("days_since_last_activity > 0", "A snapshot knows earlier events only"),
        ),
        "feature_lifetime_value": table(
            customer,
            positive_value=(
                "historical_value > 0 AND predicted_value_365d > 0",
                "A customer with a purchase has a value",
            ),
            no_future_events=("tenure_days > 0", "A snapshot knows earlier events only"),
        ),
        "feature_product_copurchase": table(
            ("product_id", "other_product_id"),
            ordered_pair=("product_id < other_product_id", "A pair is stored once"),
            pair_within_products=(
                "customers_both >= 1 AND customers_both <= least(customers_product, customers_other) AND "
                "greatest(customers_product, customers_other) <= customers",
                "Who bought both bought each",
            ),
        ),
    }


def _present(name: str, column: str, reason: str) -> Rule:
    return Rule(name, f"{column} IS NOT NULL AND length(trim({column})) > 0", "drop", reason)


def _one_of(name: str, column: str, values: tuple[str, ...], reason: str) -> Rule:
    return Rule(name, f"{column} IN ({', '.join(repr(value) for value in values)})", "drop", reason)


def _dated(name: str, column: str, config: LakehouseConfig, reason: str) -> Rule:
    return Rule(name, f"{column} >= DATE '{config.earliest_event}'", "drop", reason)


def _not_future(name: str, column: str, config: LakehouseConfig) -> Rule:
    return Rule(
        name,
        f"{column} <= ingested_at + INTERVAL {config.future_tolerance}",
        "drop",
        "What arrives has happened; clocks may differ by the tolerance",
    )

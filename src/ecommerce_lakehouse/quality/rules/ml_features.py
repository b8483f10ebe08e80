"""Rules of the pipeline in `src/pipelines/ml_features`: `rules`."""

from __future__ import annotations

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.domain.entities import CUSTOMER_ACTIVITY, DEVICE_TYPES
from ecommerce_lakehouse.quality.entity_rules import entity_rules
from ecommerce_lakehouse.quality.owners import MACHINE_LEARNING, WEB
from ecommerce_lakehouse.quality.rule import DatasetRule, Example, Rule, RuleSet, Unique
from ecommerce_lakehouse.quality.rule_builders import daily, dated, not_future, one_of, present, rule, warn
from ecommerce_lakehouse.transforms.features_schemas import FEATURE_KEYS

SHARES = "Shares of one whole sum to 1"


def rules(config: LakehouseConfig) -> dict[str, RuleSet]:
    """Rules by dataset."""
    return _activity(config) | _known() | _features()


def _activity(config: LakehouseConfig) -> dict[str, RuleSet]:
    """Rules of customer sessions, from bronze to silver."""
    return entity_rules(
        CUSTOMER_ACTIVITY,
        owner=WEB,
        rules=(
            present("valid_session_id", "session_id", "A session is known by its id"),
            present("valid_customer_id", "customer_id", "A session belongs to a customer"),
            dated("valid_session_timestamp", "session_timestamp", config, "A session has a time"),
            not_future("session_not_in_future", "session_timestamp", config),
            rule(
                "valid_session_duration",
                "session_duration_seconds >= 0 AND session_duration_seconds <= 86400",
                "drop",
                "A session lasts at most a day",
                {"session_duration_seconds": "-1"},
                {"session_duration_seconds": "86401"},
            ),
            rule("valid_page_views", "page_views >= 0", "drop", "Views are counted", {"page_views": "-1"}),
            rule("valid_cart_adds", "cart_adds >= 0", "drop", "Cart adds are counted", {"cart_adds": "-1"}),
            one_of("valid_device_type", "device_type", DEVICE_TYPES, "The tracker's vocabulary"),
        ),
        checks=(
            daily(
                "sessions_fresh",
                "session_timestamp",
                "Sessions come daily",
                config,
                beside=("silver_orders_as_known", "order_timestamp"),
            ),
        ),
        example={
            "session_id": "'S-1'",
            "customer_id": "'C-1'",
            "session_timestamp": "TIMESTAMP '2024-04-30 08:15:00'",
            "session_duration_seconds": "300",
            "page_views": "7",
            "cart_adds": "1",
            "device_type": "'mobile'",
        },
    )


def _known() -> dict[str, RuleSet]:
    """Rules of what was known of orders and sessions."""
    span = warn(
        "known_in_order",
        "known_until IS NULL OR known_from <= known_until",
        "A state is known before the next one is",
        {"known_until": "TIMESTAMP '2024-04-30 08:00:00'"},
    )
    example = {
        "known_from": "TIMESTAMP '2024-04-30 08:15:00'",
        "known_until": "TIMESTAMP '2024-05-01 08:15:00'",
    }
    return {
        f"silver_{entity}_as_known": RuleSet(rules=(span,), example=example, owner=MACHINE_LEARNING)
        for entity in ("orders", "customer_activity")
    }


def _features() -> dict[str, RuleSet]:
    """Rules of the feature tables."""
    return {
        "feature_customer_engagement": _table(
            FEATURE_KEYS["customer_engagement"],
            warn(
                "score_in_range",
                "engagement_score >= 0 AND engagement_score < 1 AND "
                "engagement_score_28d >= 0 AND engagement_score_28d < 1",
                "Every term of the score saturates below its weight, and the weights sum to 1",
                {"engagement_score": "1.0"},
                {"engagement_score_28d": "-0.1"},
            ),
            warn(
                "recent_within_total",
                "sessions_28d >= 0 AND sessions_28d <= sessions",
                "28 days are part of all",
                {"sessions_28d": "3"},
                {"sessions_28d": "-1"},
            ),
            example={
                "engagement_score": "0.5",
                "engagement_score_28d": "0.0",
                "sessions": "2",
                "sessions_28d": "1",
            },
        ),
        "feature_device_preference": _table(
            FEATURE_KEYS["device_preference"],
            warn(
                "shares_sum_to_one",
                "sessions = 0 OR abs(mobile_share + desktop_share + tablet_share - 1) < 1e-9",
                SHARES,
                {"tablet_share": "0.5"},
            ),
            warn(
                "has_preferred_device",
                "sessions = 0 OR preferred_device IS NOT NULL",
                "A customer with a session used a device",
                {"preferred_device": "CAST(NULL AS STRING)"},
            ),
            example={
                "sessions": "4",
                "mobile_share": "0.5",
                "desktop_share": "0.25",
                "tablet_share": "0.25",
                "preferred_device": "'mobile'",
            },
        ),
        "feature_purchase_behaviour": _table(
            FEATURE_KEYS["purchase_behaviour"],
            warn(
                "positive_spend",
                "spend > 0 OR orders = 0 AND spend = 0",
                "A customer with a purchase has spent",
                {"spend": "0.00"},
            ),
            warn(
                "diversity_in_range",
                "orders = 0 OR category_diversity >= 0 AND category_diversity < 1",
                "It is a chance",
                {"category_diversity": "1.0"},
                {"category_diversity": "-0.1"},
            ),
            warn(
                "shares_sum_to_one",
                "orders = 0 OR abs(night_share + morning_share + afternoon_share + evening_share - 1) < 1e-9",
                SHARES,
                {"night_share": "1.0"},
            ),
            example={
                "orders": "4",
                "spend": "10.00",
                "category_diversity": "0.5",
                "night_share": "0.0",
                "morning_share": "0.5",
                "afternoon_share": "0.25",
                "evening_share": "0.25",
            },
        ),
        "feature_churn_risk": _table(
            FEATURE_KEYS["churn_risk"],
            warn(
                "score_in_range",
                "churn_risk_score >= 0 AND churn_risk_score <= 1",
                "Both terms of the score are bounded by their weights, which sum to 1",
                {"churn_risk_score": "1.1"},
                {"churn_risk_score": "-0.1"},
            ),
            warn(
                "trend_in_range",
                "activity_trend BETWEEN -1 AND 1",
                "It is a normalised difference",
                {"activity_trend": "1.5"},
                {"activity_trend": "-1.5"},
            ),
            warn(
                "no_future_events",
                "days_since_last_activity > 0 OR tenure_days IS NULL",
                "A snapshot knows earlier events only",
                {"days_since_last_activity": "0"},
            ),
            example={
                "churn_risk_score": "0.5",
                "activity_trend": "0.0",
                "days_since_last_activity": "1",
                "tenure_days": "1",
            },
        ),
        "feature_lifetime_value": _table(
            FEATURE_KEYS["lifetime_value"],
            warn(
                "positive_value",
                "historical_value > 0 AND predicted_value_365d > 0 OR orders = 0 AND historical_value = 0",
                "A customer with a purchase has a value",
                {"historical_value": "0"},
                {"predicted_value_365d": "0"},
            ),
            warn(
                "no_future_events",
                "tenure_days > 0 OR orders = 0",
                "A snapshot knows earlier events only",
                {"tenure_days": "0"},
            ),
            example={
                "orders": "1",
                "historical_value": "10.00",
                "predicted_value_365d": "5.00",
                "tenure_days": "1",
            },
        ),
        "feature_product_copurchase": _table(
            FEATURE_KEYS["product_copurchase"],
            warn(
                "ordered_pair",
                "product_id < other_product_id",
                "A pair is stored once",
                {"product_id": "'K-2'"},
            ),
            warn(
                "pair_within_products",
                "customers_both >= 0 AND customers_both <= least(customers_product, customers_other) AND "
                "greatest(customers_product, customers_other) <= customers",
                "Who bought both bought each",
                {"customers_both": "-1"},
                {"customers_both": "3"},
                {"customers": "2"},
            ),
            example={
                "customers_both": "1",
                "customers_product": "2",
                "customers_other": "3",
                "customers": "4",
            },
        ),
    }


def _table(columns: tuple[str, ...], *rules: Rule, example: Example) -> RuleSet:
    missing = [{column: f"CAST(NULL AS {_type(column)})"} for column in columns]
    present = rule(
        "valid_primary_key",
        " AND ".join(f"{column} IS NOT NULL" for column in columns),
        "fail",
        "A feature store looks rows up by their key",
        *missing,
    )
    key = DatasetRule(
        "one_row_per_key", Unique(columns), "fail", "A feature store finds one row for a key and a moment"
    )
    # In order: K-1, K-2.
    keyed = {c: f"'K-{number}'" for number, c in enumerate(columns, 1) if _type(c) == "STRING"}
    return RuleSet(
        rules=(present, *rules),
        checks=(key,),
        example=keyed | {"as_of": "TIMESTAMP '2024-05-01 00:00:00'"} | dict(example),
        owner=MACHINE_LEARNING,
    )


def _type(column: str) -> str:
    return "TIMESTAMP" if column == "as_of" else "STRING"

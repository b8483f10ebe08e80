"""Rules of the figures of sales, products and customers."""

from __future__ import annotations

from ecommerce_lakehouse.quality.owners import MARKETING, PLATFORM, PRODUCTS, SALES
from ecommerce_lakehouse.quality.rule import RuleSet
from ecommerce_lakehouse.quality.rule_builders import (
    customers_within_orders,
    known,
    named,
    one_row_per,
    rule,
    warn,
    within,
)


def figures() -> dict[str, RuleSet]:
    """Rules of the gold tables."""
    return {
        "gold_daily_sales": RuleSet(
            rules=(
                warn(
                    "revenue_not_negative",
                    "revenue >= 0 AND lost_value >= 0",
                    "Prices are positive",
                    {"revenue": "-0.01"},
                    {"lost_value": "-0.01"},
                ),
                customers_within_orders(),
                warn(
                    "revenue_needs_orders",
                    "orders > 0 OR revenue = 0",
                    "Only purchases earn",
                    {"orders": "0"},
                ),
            ),
            checks=(one_row_per("order_date"),),
            example={"revenue": "10.00", "lost_value": "0.00", "customers": "1", "orders": "2"},
            owner=SALES,
        ),
        "gold_rolling_sales": RuleSet(
            rules=(
                warn("revenue_not_negative", "revenue_7d >= 0", "Prices are positive", {"revenue_7d": "-1"}),
                within("days_within_week", "days_covered", 1, 7),
                warn(
                    "customers_within_orders",
                    "customers_7d >= 0 AND customers_7d <= orders_7d",
                    "Each has at least one purchase",
                    {"customers_7d": "-1"},
                    {"customers_7d": "3"},
                ),
            ),
            example={"revenue_7d": "10.00", "days_covered": "7", "customers_7d": "1", "orders_7d": "2"},
            owner=SALES,
        ),
        "gold_realtime_metrics": RuleSet(
            rules=(
                warn("revenue_not_negative", "revenue >= 0", "Prices are positive", {"revenue": "-0.01"}),
                warn(
                    "window_has_orders",
                    "orders + cancelled_orders + returned_orders > 0",
                    "No order, no row",
                    {"orders": "0"},
                ),
                warn(
                    "largest_within_revenue",
                    "largest_order_value <= revenue",
                    "A part is within the whole",
                    {"largest_order_value": "10.01"},
                ),
            ),
            example={
                "revenue": "10.00",
                "orders": "1",
                "cancelled_orders": "0",
                "returned_orders": "0",
                "largest_order_value": "10.00",
            },
            owner=SALES,
        ),
        "gold_customer_segments": _customer_segments(),
        "gold_customer_lifetime_value": RuleSet(
            rules=(
                known("valid_customer_id", "customer_id", "A value is of a customer"),
                warn(
                    "historical_value_not_negative",
                    "historical_value >= 0",
                    "Prices are positive",
                    {"historical_value": "-0.01"},
                ),
                warn(
                    "prediction_needs_purchases",
                    "total_orders > 0 OR predicted_value = 0",
                    "No base, no forecast",
                    {"total_orders": "0"},
                ),
                within("valid_expected_lifespan", "expected_lifespan_days", 0, 365),
            ),
            checks=(one_row_per("customer_id"),),
            example={
                "customer_id": "'C-1'",
                "historical_value": "10.00",
                "total_orders": "1",
                "predicted_value": "5.00",
                "expected_lifespan_days": "100",
            },
            owner=MARKETING,
        ),
        "gold_product_performance": RuleSet(
            rules=(
                known("valid_product_id", "product_id", "A measure is of a product"),
                warn(
                    "buyers_within_orders",
                    "buyers <= orders",
                    "Each has at least one purchase",
                    {"buyers": "3"},
                ),
                warn(
                    "popularity_not_negative",
                    "popularity_score >= 0",
                    "Reach and volume are counts",
                    {"popularity_score": "-1"},
                ),
                warn(
                    "ordered_prices",
                    "min_price > 0 AND min_price <= average_price AND average_price <= max_price",
                    "An average lies between the extremes",
                    {"min_price": "0.00"},
                    {"average_price": "0.50"},
                    {"average_price": "3.50"},
                ),
                warn(
                    "price_variance_not_negative",
                    "price_variance >= 0",
                    "A mean of squares",
                    {"price_variance": "-0.1"},
                ),
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
            ),
            checks=(one_row_per("product_id"),),
            example={
                "product_id": "'P-1'",
                "buyers": "1",
                "orders": "2",
                "popularity_score": "3.5",
                "min_price": "1.00",
                "average_price": "2.00",
                "max_price": "3.00",
                "price_variance": "0.5",
                "price_stability": "0.5",
                "returns_rate": "0.5",
                "lifecycle_stage": "'Growth'",
            },
            owner=PRODUCTS,
        ),
        "gold_data_quality_check": RuleSet(
            rules=(
                rule(
                    "critical_data_quality",
                    "silver_orders > 0",
                    "fail",
                    "Without orders every figure is empty",
                    {"silver_orders": "0"},
                ),
                within("valid_quarantine_rate", "quarantine_rate", 0, 1),
            ),
            example={"silver_orders": "1", "quarantine_rate": "0.5"},
            owner=PLATFORM,
        ),
    }


def _customer_segments() -> RuleSet:
    return RuleSet(
        rules=(
            known("valid_customer_id", "customer_id", "A segment is of a customer"),
            warn(
                "lifetime_value_not_negative",
                "lifetime_value >= 0",
                "Prices are positive",
                {"lifetime_value": "-0.01"},
            ),
            warn(
                "valid_rfm_scores",
                "CASE WHEN total_orders = 0 THEN rfm_score = 0 "
                "ELSE least(recency_score, frequency_score, monetary_score) >= 1 "
                "AND greatest(recency_score, frequency_score, monetary_score) <= 5 END",
                "Buyers have quintiles, others none",
                {"total_orders": "0"},
                {"recency_score": "0"},
                {"monetary_score": "6"},
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
        ),
        checks=(one_row_per("customer_id"),),
        example={
            "customer_id": "'C-1'",
            "lifetime_value": "10.00",
            "total_orders": "1",
            "recency_score": "1",
            "frequency_score": "3",
            "monetary_score": "5",
            "rfm_score": "9",
            "churn_risk_score": "0.5",
            "churn_risk": "'Low'",
            "customer_segment": "'Basic'",
            "frequency_segment": "'Regular'",
            "lifecycle_stage": "'New'",
            "value_tier": "'Low'",
            "behavior_segment": "'Repeat Buyer'",
            "rfm_segment": "'Promising'",
        },
        owner=MARKETING,
    )

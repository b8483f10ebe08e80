"""Rules of orders and customers, from bronze to silver."""

from __future__ import annotations

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.domain.entities import (
    CUSTOMER_PROFILES,
    GENDERS,
    LOYALTY_TIERS,
    ORDER_STATUSES,
    ORDERS,
)
from ecommerce_lakehouse.quality.entity_rules import entity_rules
from ecommerce_lakehouse.quality.owners import CRM, SALES
from ecommerce_lakehouse.quality.rule import DatasetRule, References, RowCount, RuleSet, Unique
from ecommerce_lakehouse.quality.rule_builders import (
    count_in_limits,
    daily,
    dated,
    not_future,
    one_of,
    present,
    price_in_limits,
    rule,
    updated,
    warn,
)


def orders(config: LakehouseConfig) -> dict[str, RuleSet]:
    """Rules of orders, from bronze to silver."""
    return entity_rules(
        ORDERS,
        owner=SALES,
        rules=(
            present("valid_order_id", "order_id", "An order is known by its id"),
            present("valid_customer_id", "customer_id", "An order belongs to a customer"),
            present("valid_product_id", "product_id", "An order is of a product"),
            count_in_limits("valid_quantity", "quantity", config, "Units ordered"),
            price_in_limits(config),
            one_of("valid_status", "status", ORDER_STATUSES, "An order is in a state that the shop knows"),
            dated("valid_order_timestamp", "order_timestamp", config, "An order has a time"),
            not_future("order_not_in_future", "order_timestamp", config),
            *updated(config),
            warn(
                "reasonable_order_value",
                f"total_order_value <= {config.max_price * config.max_quantity:.2f}",
                "Price times quantity stays within the shop's limits",
                {"total_order_value": f"{config.max_price * config.max_quantity:.2f} + 0.01"},
            ),
        ),
        checks=(
            DatasetRule("customer_known", IS_CUSTOMER, "warn", "A profile may arrive after the first order"),
            daily(
                "orders_fresh",
                "order_timestamp",
                "Orders come daily",
                config,
                beside=("silver_customers", "updated_at"),
            ),
        ),
        example={
            "order_id": "'O-1'",
            "customer_id": "'C-1'",
            "product_id": "'P-1'",
            "price": "CAST(19.99 AS DECIMAL(10,2))",
            "quantity": "1",
            "total_order_value": "CAST(19.99 AS DECIMAL(18,2))",
            "status": "'shipped'",
            "order_timestamp": "TIMESTAMP '2024-04-30 08:15:00'",
            "updated_at": "CAST(NULL AS TIMESTAMP)",
        },
    )


def customers(config: LakehouseConfig) -> dict[str, RuleSet]:
    """Rules of customers, from bronze to silver and its history."""
    history = RuleSet(
        checks=(
            DatasetRule(
                "one_version_at_a_time",
                Unique(("customer_id", "__START_AT")),
                "fail",
                "Two versions of a customer do not start at once",
            ),
            DatasetRule("customer_known", IS_CUSTOMER, "fail", "Who has a history has a newest version"),
        ),
        owner=CRM,
    )
    return entity_rules(
        CUSTOMER_PROFILES,
        owner=CRM,
        rules=(
            present("valid_customer_id", "customer_id", "A customer is known by an id"),
            rule(
                "valid_email",
                "email RLIKE '^[^@ ]+@[^@ ]+[.][^@ ]+$'",
                "drop",
                "An address has a name and a host",
                {"email": "'ana.example.com'"},
                {"email": "'ana@example'"},
                {"email": "'ana b@example.com'"},
                {"email": "CAST(NULL AS STRING)"},
            ),
            rule(
                "valid_age",
                "age >= 16 AND age <= 120",
                "drop",
                "A customer is a living adult",
                {"age": "15"},
                {"age": "121"},
                {"age": "CAST(NULL AS INT)"},
            ),
            one_of("valid_gender", "gender", GENDERS, "The shop's vocabulary"),
            one_of("valid_loyalty_tier", "loyalty_tier", LOYALTY_TIERS, "The loyalty programme's tiers"),
            dated("valid_signup_date", "signup_date", config, "Tenure is counted from it"),
            dated("valid_updated_at", "updated_at", config, "The newest profile wins by it"),
            not_future("update_not_in_future", "updated_at", config),
            warn(
                "loyalty_points_not_negative",
                "loyalty_points >= 0",
                "Points cannot be owed",
                {"loyalty_points": "-1"},
            ),
        ),
        checks=(DatasetRule("has_customers", RowCount(1), "warn", "Segments are of customers"),),
        example={
            "customer_id": "'C-1'",
            "email": "'ana@example.com'",
            "age": "34",
            "gender": "'female'",
            "signup_date": "DATE '2023-11-05'",
            "loyalty_tier": "'gold'",
            "loyalty_points": "120",
            "updated_at": "TIMESTAMP '2024-04-30 08:15:00'",
        },
    ) | {"silver_customers_history": history}


IS_CUSTOMER = References("customer_id", "silver_customers", "customer_id")

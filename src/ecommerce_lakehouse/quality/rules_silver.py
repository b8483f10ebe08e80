"""Rules of bronze, silver and quarantine: what a line must be to become a record."""

from __future__ import annotations

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.domain.entities import (
    CUSTOMER_ACTIVITY,
    CUSTOMER_PROFILES,
    DEVICE_TYPES,
    GENDERS,
    LOYALTY_TIERS,
    ORDER_BATCHES,
    ORDER_STATUSES,
    ORDERS,
    Entity,
)
from ecommerce_lakehouse.quality.rule import (
    DatasetRule,
    Example,
    Freshness,
    References,
    RowCount,
    Rule,
    RuleSet,
    Tolerance,
    Unique,
)
from ecommerce_lakehouse.quality.rule_builders import (
    EXAMPLE_INGESTED_AT,
    dated,
    known,
    not_future,
    one_of,
    present,
    rule,
    warn,
)

DAY = 86_400  # seconds
PLATFORM, SALES, CRM, WEB = "data platform", "sales analytics", "customer relations", "web analytics"


def orders(config: LakehouseConfig) -> dict[str, RuleSet]:
    """Rules of orders, from bronze to silver."""
    return _datasets(
        ORDERS,
        owner=SALES,
        rules=(
            present("valid_order_id", "order_id", "An order is known by its id"),
            present("valid_customer_id", "customer_id", "An order belongs to a customer"),
            present("valid_product_id", "product_id", "An order is of a product"),
            _count("valid_quantity", "quantity", config, "Units ordered"),
            _price(config),
            one_of("valid_status", "status", ORDER_STATUSES, "An order is in a state that the shop knows"),
            dated("valid_order_timestamp", "order_timestamp", config, "An order has a time"),
            not_future("order_not_in_future", "order_timestamp", config),
            warn(
                "reasonable_order_value",
                f"total_order_value <= {config.max_price * config.max_quantity:.2f}",
                "Price times quantity stays within the shop's limits",
                {"total_order_value": f"{config.max_price * config.max_quantity:.2f} + 0.01"},
            ),
        ),
        checks=(
            DatasetRule("customer_known", _CUSTOMER, "warn", "A profile may arrive after the first order"),
            DatasetRule("orders_fresh", Freshness("order_timestamp", 2 * DAY), "warn", "Orders come daily"),
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
        },
    )


def order_batches(config: LakehouseConfig) -> dict[str, RuleSet]:
    """Rules of order batches, from bronze to silver."""
    return _datasets(
        ORDER_BATCHES,
        owner=SALES,
        rules=(
            present("valid_order_id", "order_id", "An order is known by its id"),
            present("valid_customer_id", "customer_id", "An order belongs to a customer"),
            present("valid_order_item", "order_item", "An order is of an item"),
            _count("valid_items_ordered", "items_ordered", config, "Items ordered"),
            _price(config),
            one_of("valid_status", "status", ORDER_STATUSES, "An order is in a state that the shop knows"),
            dated("valid_order_timestamp", "order_timestamp", config, "An order has a time"),
            not_future("order_not_in_future", "order_timestamp", config),
            dated("valid_date_ordered", "date_ordered", config, "Daily figures need a date"),
            warn(
                "date_of_its_time",
                "date_ordered = to_date(order_timestamp)",
                "Both fields say when the order was placed",
                {"date_ordered": "DATE '2024-04-29'"},
            ),
        ),
        checks=(
            DatasetRule("orders_fresh", Freshness("order_timestamp", 2 * DAY), "warn", "Orders come daily"),
            DatasetRule("has_orders", RowCount(1), "warn", "Without orders every figure is empty"),
        ),
        example={
            "order_id": "'O-1'",
            "customer_id": "'C-1'",
            "order_item": "'Desk lamp'",
            "price": "CAST(19.99 AS DECIMAL(10,2))",
            "items_ordered": "1",
            "status": "'shipped'",
            "order_timestamp": "TIMESTAMP '2024-04-30 08:15:00'",
            "date_ordered": "DATE '2024-04-30'",
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
            DatasetRule("customer_known", _CUSTOMER, "fail", "Who has a history has a newest version"),
        ),
        owner=CRM,
    )
    return _datasets(
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


def activity(config: LakehouseConfig) -> dict[str, RuleSet]:
    """Rules of customer sessions, from bronze to silver."""
    return _datasets(
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
            DatasetRule(
                "sessions_fresh", Freshness("session_timestamp", 2 * DAY), "warn", "Sessions come daily"
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


_CUSTOMER = References("customer_id", "silver_customers", "customer_id")


def _datasets(
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
            rules=(known("valid_key", entity.key, "Only a record with a key can be superseded"),),
            example={entity.key: "'1'"},
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
                    "A line is put right from the bytes that arrived",
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
    "ingested_at": f"TIMESTAMP '{EXAMPLE_INGESTED_AT}'",
}


def _count(name: str, column: str, config: LakehouseConfig, what: str) -> Rule:
    return rule(
        name,
        f"{column} > 0 AND {column} <= {config.max_quantity}",
        "drop",
        f"{what} are a positive whole number within the shop's limit",
        {column: "0"},
        {column: f"{config.max_quantity + 1}"},
        {column: "CAST(NULL AS INT)"},
    )


def _price(config: LakehouseConfig) -> Rule:
    return rule(
        "valid_price",
        f"price > 0 AND price <= {config.max_price:.2f}",
        "drop",
        "A price is positive, in whole cents and within the shop's limit",
        {"price": "0.00"},
        {"price": f"{config.max_price:.2f} + 0.01"},
        {"price": "CAST(NULL AS DECIMAL(10,2))"},
    )

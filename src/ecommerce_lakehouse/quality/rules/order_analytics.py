"""Rules of the pipeline in `src/pipelines/order_analytics`: `rules`."""

from __future__ import annotations

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.domain.entities import ORDER_BATCHES, ORDER_STATUSES
from ecommerce_lakehouse.quality.entity_rules import entity_rules
from ecommerce_lakehouse.quality.owners import MARKETING, PRODUCTS, SALES
from ecommerce_lakehouse.quality.rule import DatasetRule, Freshness, RowCount, RuleSet
from ecommerce_lakehouse.quality.rule_builders import (
    DAY,
    count_in_limits,
    customers_within_orders,
    dated,
    known,
    not_future,
    one_of,
    one_row_per,
    present,
    price_in_limits,
    updated,
    warn,
    within,
)


def rules(config: LakehouseConfig) -> dict[str, RuleSet]:
    """Rules by dataset."""
    return _order_batches(config) | _figures()


def _order_batches(config: LakehouseConfig) -> dict[str, RuleSet]:
    """Rules of order batches, from bronze to silver."""
    return entity_rules(
        ORDER_BATCHES,
        owner=SALES,
        rules=(
            present("valid_order_id", "order_id", "An order is known by its id"),
            present("valid_customer_id", "customer_id", "An order belongs to a customer"),
            present("valid_order_item", "order_item", "An order is of an item"),
            count_in_limits("valid_items_ordered", "items_ordered", config, "Items ordered"),
            price_in_limits(config),
            one_of("valid_status", "status", ORDER_STATUSES, "An order is in a state that the shop knows"),
            dated("valid_order_timestamp", "order_timestamp", config, "An order has a time"),
            not_future("order_not_in_future", "order_timestamp", config),
            *updated(config),
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
            "updated_at": "CAST(NULL AS TIMESTAMP)",
            "date_ordered": "DATE '2024-04-30'",
        },
    )


def _figures() -> dict[str, RuleSet]:
    """Rules of the gold tables."""
    revenue = warn("revenue_not_negative", "revenue >= 0", "Prices are positive", {"revenue": "-0.01"})
    return {
        "gold_order_business_metrics": RuleSet(
            rules=(
                revenue,
                customers_within_orders(),
                within("valid_unearning_share", "unearning_share", 0, 1),
            ),
            checks=(one_row_per("date_ordered"),),
            example={"revenue": "10.00", "customers": "1", "orders": "2", "unearning_share": "0.5"},
            owner=SALES,
        ),
        "gold_order_customer_analytics": RuleSet(
            rules=(
                known("valid_customer_id", "customer_id", "A figure is of a customer"),
                revenue,
                warn(
                    "dates_in_order",
                    "first_order_date <= last_order_date",
                    "First comes before last",
                    {"first_order_date": "DATE '2024-05-02'"},
                ),
                within("valid_revenue_share", "revenue_share", 0, 1),
            ),
            checks=(one_row_per("customer_id"),),
            example={
                "customer_id": "'C-1'",
                "revenue": "10.00",
                "first_order_date": "DATE '2024-05-01'",
                "last_order_date": "DATE '2024-05-01'",
                "revenue_share": "0.5",
            },
            owner=MARKETING,
        ),
        "gold_order_item_sales": RuleSet(
            rules=(
                known("valid_order_item", "order_item", "A figure is of an item"),
                revenue,
                customers_within_orders(),
            ),
            checks=(one_row_per("order_item"),),
            example={"order_item": "'Desk lamp'", "revenue": "10.00", "customers": "1", "orders": "2"},
            owner=PRODUCTS,
        ),
    }

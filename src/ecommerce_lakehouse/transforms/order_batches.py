"""Business figures of the order batches: per day, per customer and per item.

An order with a status in NON_REVENUE_STATUSES is not a purchase: it earns nothing and is counted separately.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.transforms.sales import MONEY, average_money, is_purchase, share


def business_metrics(orders: DataFrame) -> DataFrame:
    """The shop's figures for each date; one row per `date_ordered`.

    In: silver order batches. Out: `date_ordered` DATE; `orders`, `items_sold` BIGINT, `revenue`
    DECIMAL(28,2) of purchases, >= 0; `customers` BIGINT, distinct customers with a purchase, <= `orders`;
    `average_order_value` DECIMAL(18,2): revenue / orders, half up, 0 without purchases;
    `unearning_orders` BIGINT, cancelled or returned; `unearning_share` DOUBLE, 0 to 1: of all orders.

    Formulas: plain sums and the retail definition of average order value (revenue / number of orders).
    """
    return (
        orders.groupBy("date_ordered")
        .agg(
            *_measures(),
            _customers(),
            F.count("*").alias("_all"),
        )
        .select(
            "date_ordered",
            "orders",
            "items_sold",
            "revenue",
            "customers",
            average_money(F.col("revenue"), F.col("orders")).alias("average_order_value"),
            (F.col("_all") - F.col("orders")).alias("unearning_orders"),
            share(F.col("_all") - F.col("orders"), F.col("_all")).alias("unearning_share"),
        )
    )


def customer_analytics(orders: DataFrame) -> DataFrame:
    """What each customer bought; one row per `customer_id` with an order of any status.

    In: silver order batches. Out: `customer_id` STRING; `orders`, `items_bought` BIGINT, `revenue`
    DECIMAL(28,2) of purchases; `average_order_value` DECIMAL(18,2); `first_order_date`, `last_order_date`
    DATE over all orders; `recency_days` INT: days from the customer's last order to the newest order, >= 0;
    `favourite_item` STRING: the item with most units, if several the first by name, NULL without purchases;
    `revenue_share` DOUBLE, 0 to 1: of all customers' revenue; `revenue_rank` INT from 1, the same for equal
    revenue.
    """
    newest = orders.agg(F.max("date_ordered").alias("_newest"))
    bought = (
        orders.where(is_purchase())
        .groupBy("customer_id", "order_item")
        .agg(F.sum("items_ordered").alias("units"))
    )
    ranked = Window.partitionBy("customer_id").orderBy(F.desc("units"), "order_item")
    favourites = (
        bought.withColumn("_rank", F.row_number().over(ranked))
        .where("_rank = 1")
        .select("customer_id", F.col("order_item").alias("favourite_item"))
    )
    everyone = Window.orderBy(F.desc("revenue"))
    total = Window.partitionBy()
    return (
        orders.groupBy("customer_id")
        .agg(
            *_measures(),
            F.min("date_ordered").alias("first_order_date"),
            F.max("date_ordered").alias("last_order_date"),
        )
        .join(favourites, "customer_id", "left")
        .crossJoin(newest)
        .select(
            "customer_id",
            "orders",
            F.col("items_sold").alias("items_bought"),
            "revenue",
            average_money(F.col("revenue"), F.col("orders")).alias("average_order_value"),
            "first_order_date",
            "last_order_date",
            F.date_diff("_newest", "last_order_date").alias("recency_days"),
            "favourite_item",
            share(F.col("revenue"), F.sum("revenue").over(total).cast("double")).alias("revenue_share"),
            F.rank().over(everyone).alias("revenue_rank"),
        )
    )


def item_sales(orders: DataFrame) -> DataFrame:
    """What each item sold; one row per `order_item`.

    In: silver order batches. Out: `order_item` STRING; `orders`, `items_sold` BIGINT, `revenue`
    DECIMAL(28,2) of purchases; `customers` BIGINT, distinct customers with a purchase; `average_price`
    DECIMAL(18,2) over purchases, by unit: revenue / items_sold, half up, 0 without purchases.
    """
    return (
        orders.groupBy("order_item")
        .agg(*_measures(), _customers())
        .select(
            "order_item",
            "orders",
            "items_sold",
            "revenue",
            "customers",
            average_money(F.col("revenue"), F.col("items_sold")).alias("average_price"),
        )
    )


def _measures() -> list[Column]:
    return [
        F.count_if(is_purchase()).alias("orders"),
        F.sum(F.when(is_purchase(), F.col("items_ordered")).otherwise(0)).alias("items_sold"),
        F.sum(F.when(is_purchase(), F.col("order_value")).otherwise(F.lit(0).cast(MONEY)))
        .cast("decimal(28,2)")
        .alias("revenue"),
    ]


def _customers() -> Column:
    return F.count_distinct(F.when(is_purchase(), F.col("customer_id"))).alias("customers")

"""Features of what customers buy: `purchase_behaviour`, `lifetime_value`.

A purchase is an order whose status earns revenue. Silver keeps an order's current status only, so an order
that was cancelled later counts at no snapshot, also at those before the cancellation.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.domain.entities import NON_REVENUE_STATUSES
from ecommerce_lakehouse.transforms.features_grid import (
    DAY,
    GRID_ANCHOR,
    Measures,
    SnapshotGrid,
    as_of,
    days_since,
    events_at,
    last_snapshot,
    ratio,
    snapshots,
    with_trailing,
)

MONEY = "decimal(28,2)"
UNKNOWN_CATEGORY = "unknown"
# First hour of each part of the day, in UTC.
DAY_PARTS = {"night": 0, "morning": 6, "afternoon": 12, "evening": 18}
WEEKEND_STARTS = 5 * DAY  # after Monday 00:00 UTC

PREDICTION_DAYS = 365.0
# Prior of the purchase rate: one repeat order expected in the first 90 days (gamma, shape 1, scale 90 days).
PRIOR_ORDERS = 1.0
PRIOR_DAYS = 90.0
FREQUENCY_DAYS = 30.0


def purchases(orders: DataFrame) -> DataFrame:
    """The orders that earn revenue: those of no status in `NON_REVENUE_STATUSES`."""
    return orders.where(~F.col("status").isin(*NON_REVENUE_STATUSES))


def purchase_behaviour(orders: DataFrame, grid: SnapshotGrid) -> DataFrame:
    """What, how much and when a customer buys.

    In: silver_orders. Out: one row per `customer_id` and closed snapshot `as_of` from the first one after
    the customer's first purchase, from purchases before `as_of`; a customer without any has no row:

    - `orders` BIGINT >= 1, `units` BIGINT, `spend` DECIMAL(28,2); `orders_28d`, `spend_28d`: in the 28 days
      before `as_of`;
    - `average_order_value` DOUBLE: spend / orders; `average_units` DOUBLE: units / orders;
    - `average_days_between_orders` DOUBLE >= 0: days from first to last purchase / (orders - 1), NULL for
      one order;
    - `categories` BIGINT >= 1: distinct categories, a missing one counting as `unknown`;
    - `category_diversity` DOUBLE in [0, 1): 1 - sum over categories of (orders in it / orders)^2, the chance
      that two orders drawn at random differ in category; 0 for one category. Source: Simpson,
      "Measurement of Diversity", Nature 163 (1949), as the Gini-Simpson index;
    - `favourite_category` STRING: the one with most orders, of equals the first by name;
      `favourite_category_share` DOUBLE in (0, 1]: its orders / orders;
    - `night_share`, `morning_share`, `afternoon_share`, `evening_share` DOUBLE in [0, 1]: orders from 0, 6,
      12 and 18 o'clock UTC for six hours / orders; they sum to 1;
    - `weekend_share` DOUBLE in [0, 1]: orders on Saturday or Sunday (UTC) / orders.
    """
    by_category = _by_category(orders, grid)
    measures = Measures(
        sums={name: F.col(name) for name in ("orders", "units", "spend", "weekend", *DAY_PARTS)}
        | {
            "categories": (F.col("in_category") == F.col("orders")).cast("int"),
            # The squares are summed by what each interval adds, so one running sum carries them.
            "squares": F.col("in_category") * F.col("in_category")
            - (F.col("in_category") - F.col("orders")) * (F.col("in_category") - F.col("orders")),
        },
        # A category's count only grows, so its greatest so far is its current one.
        minima={
            "first_at": F.col("first_at"),
            "favourite": F.struct((-F.col("in_category")).alias("minus_orders"), F.col("category")),
        },
        maxima={"last_at": F.col("last_at")},
    )
    last = last_snapshot(grid, (orders, "order_timestamp"))
    rows = snapshots(by_category, "customer_id", measures, last, grid)
    return with_trailing(rows, "customer_id", ("orders", "spend"), grid).select(
        "customer_id",
        as_of(),
        "orders",
        "units",
        F.col("spend").cast(MONEY).alias("spend"),
        "orders_28d",
        F.col("spend_28d").cast(MONEY).alias("spend_28d"),
        ratio("spend", "orders").alias("average_order_value"),
        ratio("units", "orders").alias("average_units"),
        ratio((F.col("last_at") - F.col("first_at")) / F.lit(float(DAY)), F.col("orders") - 1).alias(
            "average_days_between_orders"
        ),
        "categories",
        (1 - ratio("squares", F.col("orders") * F.col("orders"))).alias("category_diversity"),
        F.col("favourite.category").alias("favourite_category"),
        ratio(-F.col("favourite.minus_orders"), "orders").alias("favourite_category_share"),
        *[ratio(part, "orders").alias(f"{part}_share") for part in DAY_PARTS],
        ratio("weekend", "orders").alias("weekend_share"),
    )


def lifetime_value(orders: DataFrame, grid: SnapshotGrid) -> DataFrame:
    """What a customer has spent and may spend in the year after `as_of`.

    In: silver_orders. Out: one row per `customer_id` and closed snapshot `as_of` from the first one after
    the customer's first purchase, from purchases before `as_of`; a customer without any has no row:

    - `historical_value` DECIMAL(28,2): spend; `orders` BIGINT >= 1;
    - `average_order_value` DOUBLE: historical_value / orders;
    - `tenure_days` DOUBLE > 0: days from the first purchase to `as_of`;
    - `orders_per_30_days` DOUBLE > 0: orders x 30 / tenure_days, the tenure being at least 30 days;
    - `expected_orders_365d` DOUBLE > 0: 365 x (1 + orders - 1) / (90 + tenure_days), the mean of the
      customer's Poisson rate after orders - 1 repeat purchases in tenure_days, given a gamma prior of shape
      1 and scale 90 days. Source: the negative binomial model of repeat buying (Ehrenberg, "The Pattern of
      Consumer Purchases", Applied Statistics 8, 1959). It knows no drop-out: read it with churn_risk;
    - `predicted_value_365d` DOUBLE: average_order_value x expected_orders_365d, in the shop's currency, not
      discounted. Source: value as margin per order times expected orders (Berger and Nasr, "Customer
      Lifetime Value", Journal of Interactive Marketing 12, 1998) with revenue in place of margin.
    """
    bought = events_at(purchases(orders), "order_timestamp", grid).select(
        "customer_id", "at", "snapshot", "total_order_value"
    )
    measures = Measures(
        sums={"orders": F.lit(1), "historical_value": F.col("total_order_value")},
        minima={"first_at": F.col("at")},
    )
    last = last_snapshot(grid, (orders, "order_timestamp"))
    rows = snapshots(bought.repartition("customer_id"), "customer_id", measures, last, grid)
    tenure = days_since("first_at")
    value = ratio("historical_value", "orders")
    return rows.select(
        "customer_id",
        as_of(),
        F.col("historical_value").cast(MONEY).alias("historical_value"),
        "orders",
        value.alias("average_order_value"),
        tenure.alias("tenure_days"),
        (
            F.col("orders").cast("double") * F.lit(FREQUENCY_DAYS) / F.greatest(tenure, F.lit(FREQUENCY_DAYS))
        ).alias("orders_per_30_days"),
        _expected_orders(tenure).alias("expected_orders_365d"),
        (value * _expected_orders(tenure)).alias("predicted_value_365d"),
    )


def _expected_orders(tenure: Column) -> Column:
    repeats = (F.col("orders") - 1).cast("double")
    return F.lit(PREDICTION_DAYS) * (F.lit(PRIOR_ORDERS) + repeats) / (F.lit(PRIOR_DAYS) + tenure)


def _by_category(orders: DataFrame, grid: SnapshotGrid) -> DataFrame:
    """Purchases by customer, snapshot and category; `in_category` counts those of it so far."""
    time_of_day = F.pmod(F.col("at"), F.lit(DAY))
    time_of_week = F.pmod(F.col("at") - F.lit(GRID_ANCHOR), F.lit(7 * DAY))
    starts = [hour * 3600 for hour in DAY_PARTS.values()]
    ends = [*starts[1:], DAY]
    parts = {
        part: ((time_of_day >= start) & (time_of_day < end)).cast("int")
        for part, start, end in zip(DAY_PARTS, starts, ends, strict=True)
    }
    bought = events_at(purchases(orders), "order_timestamp", grid).select(
        "customer_id",
        "at",
        "snapshot",
        F.coalesce("category", F.lit(UNKNOWN_CATEGORY)).alias("category"),
        "quantity",
        "total_order_value",
    )
    counted = (
        bought.repartition("customer_id")
        .groupBy("customer_id", "snapshot", "category")
        .agg(
            F.count("*").alias("orders"),
            F.sum("quantity").alias("units"),
            F.sum("total_order_value").alias("spend"),
            F.sum((time_of_week >= WEEKEND_STARTS).cast("int")).alias("weekend"),
            *[F.sum(value).alias(part) for part, value in parts.items()],
            F.min("at").alias("first_at"),
            F.max("at").alias("last_at"),
        )
    )
    so_far = (
        Window.partitionBy("customer_id", "category")
        .orderBy("snapshot")
        .rowsBetween(Window.unboundedPreceding, Window.currentRow)
    )
    return counted.withColumn("in_category", F.sum("orders").over(so_far))

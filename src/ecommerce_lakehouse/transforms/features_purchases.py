"""Features of what customers buy: `purchase_behaviour`, `lifetime_value`.

A purchase is an order whose status earns revenue, as it was known at the snapshot: an order that was
cancelled later is a purchase at the snapshots before the cancellation, but not at those after it.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.transforms.features_grid import (
    DAY,
    GRID_ANCHOR,
    PASSING,
    Measures,
    SnapshotGrid,
    as_of,
    changes,
    days_since,
    events_at,
    last_snapshot,
    ratio,
    snapshots,
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
    """The states of orders in which they are purchases."""
    return orders.where("is_purchase")


def purchase_behaviour(orders: DataFrame, grid: SnapshotGrid) -> DataFrame:
    """What, how much and when a customer buys.

    In: orders as known. Out: one row per `customer_id` and closed snapshot `as_of`, starting after the
    customer's first purchase, from the purchases before `as_of` as they were known then; a customer without
    any has no row, and one whose purchases were all cancelled later has 0 and NULL from then on:

    - `orders` BIGINT >= 0, `units` BIGINT, `spend` DECIMAL(28,2); `orders_28d`, `spend_28d`: placed in the 28
      days before `as_of`;
    - `average_order_value` DOUBLE: spend / orders; `average_units` DOUBLE: units / orders;
    - `average_days_between_orders` DOUBLE >= 0: days from first to last purchase / (orders - 1), NULL for
      one order;
    - `categories` BIGINT >= 0: distinct categories, where a missing one counts as `unknown`;
    - `category_diversity` DOUBLE in [0, 1): 1 - sum over categories of (orders in it / orders)^2, the
      probability that two random orders differ in category; 0 for one category. Source: Simpson,
      "Measurement of Diversity", Nature 163 (1949), as the Gini-Simpson index;
    - `favourite_category` STRING: the one with most orders, if several the first by name;
      `favourite_category_share` DOUBLE in (0, 1]: its orders / orders;
    - `night_share`, `morning_share`, `afternoon_share`, `evening_share` DOUBLE in [0, 1]: orders from 0, 6,
      12 and 18 o'clock UTC for six hours / orders; they sum to 1;
    - `weekend_share` DOUBLE in [0, 1]: orders on Saturday or Sunday (UTC) / orders.
    """
    last = last_snapshot(grid, (orders, "order_timestamp"))
    changed = _by_category(orders, last, grid)
    return snapshots(changed, "customer_id", _of_customer(), last, grid).select(
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
    """What a customer has spent, and may spend in the year after `as_of`.

    In: orders as known. Out: one row per `customer_id` and closed snapshot `as_of`, starting after the
    customer's first purchase, from the purchases before `as_of` as they were known then; a customer without
    any has no row, and one whose purchases were all cancelled later has 0 and NULL from then on:

    - `historical_value` DECIMAL(28,2): spend; `orders` BIGINT >= 0;
    - `average_order_value` DOUBLE: historical_value / orders;
    - `tenure_days` DOUBLE > 0: days from the first purchase to `as_of`;
    - `orders_per_30_days` DOUBLE > 0: orders x 30 / max(tenure_days, 30);
    - `expected_orders_365d` DOUBLE > 0: 365 x (1 + orders - 1) / (90 + tenure_days), the mean of the
      customer's Poisson rate after orders - 1 repeat purchases in tenure_days, given a gamma prior of shape
      1 and scale 90 days. Source: the negative binomial model of repeat buying (Ehrenberg, "The Pattern of
      Consumer Purchases", Applied Statistics 8, 1959). It does not model churn: read it with churn_risk;
    - `predicted_value_365d` DOUBLE: average_order_value x expected_orders_365d, in the shop's currency, not
      discounted. Source: value as margin per order times expected orders (Berger and Nasr, "Customer
      Lifetime Value", Journal of Interactive Marketing 12, 1998) with revenue in place of margin.
    """
    bought = events_at(purchases(orders), "order_timestamp", grid).repartition("customer_id")
    measures = Measures(
        sums={"orders": F.lit(1), "historical_value": F.col("total_order_value")},
        minima={"first_at": F.col("at")},
    )
    last = last_snapshot(grid, (orders, "order_timestamp"))
    changed = changes(bought, ["customer_id"], measures, last, grid)
    rows = snapshots(changed, "customer_id", measures, last, grid)
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


def _of_customer() -> Measures:
    """The measures over the rows of `_by_category`."""
    sums = ("orders", "units", "spend", "weekend", *DAY_PARTS, "categories", "squares")
    return Measures(
        sums={name: F.col(name) for name in sums},
        minima={name: F.col(name) for name in ("first_at", "favourite")},
        maxima={"last_at": F.col("last_at")},
        trailing=("orders", "spend"),
    )


def _by_category(orders: DataFrame, last: DataFrame, grid: SnapshotGrid) -> DataFrame:
    """What changes for a customer at a snapshot, with figures from the counts of each category.

    `categories` counts those with a purchase, `squares` sums the squares of the counts, and `favourite` is
    the minimum of (- count, category).
    """
    time_of_day = F.pmod(F.col("at"), F.lit(DAY))
    time_of_week = F.pmod(F.col("at") - F.lit(GRID_ANCHOR), F.lit(7 * DAY))
    starts = [hour * 3600 for hour in DAY_PARTS.values()]
    ends = [*starts[1:], DAY]
    measures = Measures(
        sums={
            "orders": F.lit(1),
            "units": F.col("quantity"),
            "spend": F.col("total_order_value"),
            "weekend": (time_of_week >= WEEKEND_STARTS).cast("int"),
        }
        | {
            part: ((time_of_day >= start) & (time_of_day < end)).cast("int")
            for part, start, end in zip(DAY_PARTS, starts, ends, strict=True)
        },
        minima={"first_at": F.col("at")},
        maxima={"last_at": F.col("at")},
        trailing=("orders", "spend"),
    )
    bought = events_at(purchases(orders), "order_timestamp", grid).withColumn(
        "category", F.coalesce("category", F.lit(UNKNOWN_CATEGORY))
    )
    changed = changes(bought.repartition("customer_id"), ["customer_id", "category"], measures, last, grid)
    in_order = Window.partitionBy("customer_id", "category").orderBy("snapshot")
    later = in_order.rowsBetween(1, Window.unboundedFollowing)
    count = F.col("count")
    before = count - F.col("orders")
    counted = changed.withColumn(
        "count", F.sum("orders").over(in_order.rowsBetween(Window.unboundedPreceding, Window.currentRow))
    ).withColumns(
        {
            "categories": (count > 0).cast("int") - (before > 0).cast("int"),
            "squares": count * count - before * before,
            "_favourite": F.when(count > 0, F.struct((-count).alias("minus_orders"), F.col("category"))),
            # A count that never falls again can stay: a greater one of the category will take its place.
            "_stays": F.coalesce(F.min("count").over(later) >= count, F.lit(True)),
            "_until": F.lead("snapshot").over(in_order) - F.lit(grid.step),
        }
    )
    return _with_favourites(counted, grid)


def _with_favourites(counted: DataFrame, grid: SnapshotGrid) -> DataFrame:
    """One row per customer and snapshot; a favourite that will be replaced is at each of its snapshots."""
    itself = F.array(F.struct(F.col("snapshot").alias("point"), F.lit(False).alias("passes")))
    alive = F.sequence("snapshot", F.when(~F.col("_stays"), F.col("_until")), F.lit(grid.step))
    passing = F.transform(alive, lambda at: F.struct(at.alias("point"), F.lit(True).alias("passes")))
    rows = counted.withColumn("_at", F.explode(F.concat(itself, F.coalesce(passing, F.slice(itself, 1, 0)))))
    passes, own = F.col("_at.passes"), ~F.col("_at.passes")
    extremes = {"first_at": F.min, "last_at": F.max}
    extremes |= {name + PASSING: extreme for name, extreme in extremes.items()}
    return rows.groupBy("customer_id", F.col("_at.point").alias("snapshot")).agg(
        *[F.sum(F.when(own, F.col(name)).otherwise(0)).alias(name) for name in _of_customer().totals],
        *[extreme(F.when(own, F.col(name))).alias(name) for name, extreme in extremes.items()],
        F.min(F.when(own & F.col("_stays"), F.col("_favourite"))).alias("favourite"),
        F.min(F.when(passes, F.col("_favourite"))).alias("favourite" + PASSING),
    )

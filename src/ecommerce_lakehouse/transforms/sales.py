"""Sales over time: per day, over rolling weeks, and in windows of a stream.

An order with a status in NON_REVENUE_STATUSES is not a purchase: it earns nothing and is counted separately.
Money stays decimal and counts stay whole until the last step, so no result depends on the order of rows.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.domain.entities import NON_REVENUE_STATUSES, ORDERS
from ecommerce_lakehouse.transforms.ingest import sequence

ROLLING_DAYS = 7
MONEY = "decimal(18,2)"


def daily_sales(orders: DataFrame) -> DataFrame:
    """Sales of each date on which an order was placed; one row per `order_date`.

    In: silver orders. Out, all for that date:
    - `order_date` DATE;
    - `orders` BIGINT, `units` BIGINT, `revenue` DECIMAL(28,2): number, quantity and value of purchases, >= 0;
    - `customers` BIGINT: distinct customers with a purchase, 0 to `orders`;
    - `average_order_value` DECIMAL(18,2): revenue / orders, half up; 0 without purchases;
    - `cancelled_orders`, `returned_orders` BIGINT, `lost_value` DECIMAL(28,2): the orders that earn nothing.

    Formulas: plain sums and the retail definition of average order value (revenue / number of orders).
    """
    buyers = _buyer_days(orders).groupBy("order_date").agg(F.count("*").alias("customers"))
    return (
        _per_date(orders)
        .join(buyers, "order_date", "left")
        .select(
            "order_date",
            "orders",
            F.coalesce("customers", F.lit(0)).alias("customers"),
            "units",
            "revenue",
            average_money(F.col("revenue"), F.col("orders")).alias("average_order_value"),
            "cancelled_orders",
            "returned_orders",
            "lost_value",
        )
    )


def rolling_sales(orders: DataFrame) -> DataFrame:
    """Sales of the seven days that end with each date, for every date from the first to the last order.

    In: silver orders. Out, one row per calendar date, whether it has orders or not:
    - `metric_date` DATE; `days_covered` INT: days from the first order on, 1 to 7, 7 from the seventh on;
    - `orders_7d`, `units_7d` BIGINT, `revenue_7d` DECIMAL(28,2): sums of purchases over the days, >= 0;
    - `customers_7d` BIGINT: distinct customers with a purchase in the days, exact;
    - `average_order_value_7d` DECIMAL(18,2): revenue_7d / orders_7d, half up, 0 without purchases;
    - `average_daily_revenue_7d` DECIMAL(18,2), `average_daily_orders_7d` DOUBLE: sums / days_covered;
    - `cancelled_orders_7d`, `returned_orders_7d` BIGINT.

    Distinct customers come from intervals: a purchase keeps its customer in the count for seven days, so
    customers_7d = customers who entered the count so far - customers whose seven days have ended. That takes
    one small row per customer and day, while counting each row in seven windows would take seven.
    """
    calendar = Window.orderBy("metric_date")
    week = calendar.rowsBetween(1 - ROLLING_DAYS, Window.currentRow)
    so_far = calendar.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    ended = calendar.rowsBetween(Window.unboundedPreceding, -ROLLING_DAYS)
    sums = {name: F.sum(name).over(week) for name in _SUMMED}
    days = _per_date(orders).join(_arrivals(_buyer_days(orders)), "order_date", "left")
    rolled = _every_date(days.fillna(0, ["arriving", "leaving"])).select(
        "metric_date",
        F.least(F.row_number().over(calendar), F.lit(ROLLING_DAYS)).alias("days_covered"),
        *[total.cast(_SUMMED[name]).alias(name) for name, total in sums.items()],
        (F.sum("arriving").over(so_far) - F.coalesce(F.sum("leaving").over(ended), F.lit(0))).alias(
            "customers"
        ),
    )
    return rolled.select(
        "metric_date",
        "days_covered",
        F.col("orders").alias("orders_7d"),
        F.col("customers").alias("customers_7d"),
        F.col("units").alias("units_7d"),
        F.col("revenue").alias("revenue_7d"),
        average_money(F.col("revenue"), F.col("orders")).alias("average_order_value_7d"),
        average_money(F.col("revenue"), F.col("days_covered")).alias("average_daily_revenue_7d"),
        (F.col("orders").cast("double") / F.col("days_covered")).alias("average_daily_orders_7d"),
        F.col("cancelled_orders").alias("cancelled_orders_7d"),
        F.col("returned_orders").alias("returned_orders_7d"),
    )


def realtime_metrics(orders: DataFrame, config: LakehouseConfig) -> DataFrame:
    """Sales per tumbling window of event time, for a stream in append mode.

    In: the stream of valid order records, repeated ones included, with the columns that order them.
    Out, one row per window of `config.realtime_window` that has orders, once the newest order is
    `config.watermark_delay` past its end: `window_start`, `window_end` TIMESTAMP, `orders`, `units` BIGINT,
    `revenue` DECIMAL(28,2), `average_order_value` DECIMAL(18,2), `largest_order_value` DECIMAL(18,2),
    `cancelled_orders`, `returned_orders` BIGINT; all >= 0, purchases and averages as in daily_sales.

    An order counts once in a window: of its records the newest counts, as in silver, whatever the order of
    arrival. A record that is later than the watermark allows is not counted here, but in the daily tables,
    which are computed from all of silver.
    """
    once = (
        orders.withWatermark("order_timestamp", config.watermark_delay)
        .groupBy(F.window("order_timestamp", config.realtime_window), "order_id")
        .agg(F.max_by(F.struct("status", "quantity", "total_order_value"), sequence(ORDERS)).alias("order"))
        .select("window", "order.*")
    )
    largest = F.max(F.when(is_purchase(), F.col("total_order_value")).otherwise(0))
    return (
        once.groupBy("window")
        .agg(*order_measures(), largest.cast(MONEY).alias("largest_order_value"))
        .select(
            F.col("window.start").alias("window_start"),
            F.col("window.end").alias("window_end"),
            "orders",
            "units",
            "revenue",
            average_money(F.col("revenue"), F.col("orders")).alias("average_order_value"),
            "largest_order_value",
            "cancelled_orders",
            "returned_orders",
        )
    )


def data_quality_check(
    orders: DataFrame, quarantined: DataFrame, duplicates: DataFrame, customers: DataFrame
) -> DataFrame:
    """Counts of what silver holds, in one row, so that an expectation can check them.

    In: silver orders, quarantined orders, duplicate orders, silver customers. Out: `silver_orders`,
    `quarantined_orders`, `duplicate_orders`, `customers` BIGINT, rows of each, >= 0;
    `latest_order_timestamp` TIMESTAMP, NULL without orders; `quarantine_rate` DOUBLE, 0 to 1:
    quarantined / (silver + quarantined + duplicates), 0 without records.
    """
    counted = orders.agg(
        F.count("*").alias("silver_orders"), F.max("order_timestamp").alias("latest_order_timestamp")
    )
    for name, rows in {
        "quarantined_orders": quarantined,
        "duplicate_orders": duplicates,
        "customers": customers,
    }.items():
        counted = counted.crossJoin(rows.agg(F.count("*").alias(name)))
    records = F.col("silver_orders") + F.col("quarantined_orders") + F.col("duplicate_orders")
    return counted.select(
        "silver_orders",
        "quarantined_orders",
        "duplicate_orders",
        "customers",
        "latest_order_timestamp",
        share(F.col("quarantined_orders"), records).alias("quarantine_rate"),
    )


def is_purchase() -> Column:
    """Whether an order earns revenue: its `status` is not in NON_REVENUE_STATUSES."""
    return ~F.col("status").isin(*NON_REVENUE_STATUSES)


def order_measures() -> list[Column]:
    """Aggregates: `orders`, `units`, `revenue` of purchases; `cancelled_orders`, `returned_orders`."""
    return [
        F.count_if(is_purchase()).alias("orders"),
        F.sum(F.when(is_purchase(), F.col("quantity")).otherwise(0)).alias("units"),
        F.sum(F.when(is_purchase(), F.col("total_order_value")).otherwise(0)).alias("revenue"),
        F.count_if(F.col("status") == "cancelled").alias("cancelled_orders"),
        F.count_if(F.col("status") == "returned").alias("returned_orders"),
    ]


def average_money(total: Column, count: Column) -> Column:
    """`total / count` DECIMAL(18,2), half up; 0 if `count` is 0."""
    return F.when(count > 0, F.round(total / count, 2)).otherwise(0).cast(MONEY)


def share(part: Column, whole: Column) -> Column:
    """`part / whole` DOUBLE; 0 if `whole` is 0."""
    return F.when(whole > 0, part.cast("double") / whole).otherwise(F.lit(0.0))


_SUMMED = {
    "orders": "bigint",
    "units": "bigint",
    "revenue": "decimal(28,2)",
    "cancelled_orders": "bigint",
    "returned_orders": "bigint",
}


def _per_date(orders: DataFrame) -> DataFrame:
    lost = F.sum(F.when(is_purchase(), 0).otherwise(F.col("total_order_value")))
    return orders.groupBy("order_date").agg(*order_measures(), lost.alias("lost_value"))


def _buyer_days(orders: DataFrame) -> DataFrame:
    """Every `customer_id` and `order_date` with a purchase, once.

    Computed separately, because there are nearly as many pairs as orders: only two columns are shuffled.
    """
    return orders.where(is_purchase()).select("customer_id", "order_date").distinct()


def _arrivals(buyer_days: DataFrame) -> DataFrame:
    """Per order date, the customers who start (`arriving`) and who end (`leaving`) a run of purchases there.

    A run ends where the customer's next purchase is seven or more days away; its last date keeps the customer
    in the count for another six.
    """
    own = Window.partitionBy("customer_id").orderBy("order_date")
    since = F.date_diff("order_date", F.lag("order_date").over(own))
    until = F.date_diff(F.lead("order_date").over(own), "order_date")
    return (
        buyer_days.withColumns({"since": since, "until": until})
        .groupBy("order_date")
        .agg(
            F.count_if(F.col("since").isNull() | (F.col("since") >= ROLLING_DAYS)).alias("arriving"),
            F.count_if(F.col("until").isNull() | (F.col("until") >= ROLLING_DAYS)).alias("leaving"),
        )
    )


def _every_date(days: DataFrame) -> DataFrame:
    """Add the dates without orders between the first and the last, with zeros; `metric_date` is the date."""
    next_date = F.lead("order_date").over(Window.orderBy("order_date"))
    last_idle = F.coalesce(F.date_sub(next_date, 1), F.col("order_date"))
    spans = days.withColumn("last_idle", last_idle)
    dated = spans.withColumn("metric_date", F.explode(F.sequence("order_date", "last_idle")))
    has_orders = F.col("metric_date") == F.col("order_date")
    measures = [name for name in days.columns if name != "order_date"]
    return dated.select(
        "metric_date", *[F.when(has_orders, F.col(name)).otherwise(0).alias(name) for name in measures]
    )

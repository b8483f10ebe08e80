"""Sales per day, per rolling week and per window, against figures worked out in plain Python."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from chispa import assert_df_equality
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.quality.rules import rules_for
from ecommerce_lakehouse.transforms.sales import (
    daily_sales,
    data_quality_check,
    realtime_metrics,
    rolling_sales,
)
from tests.unit.shop import (
    HOURS,
    REPEATED,
    by,
    customer,
    customers_table,
    in_utc,
    judged,
    order,
    orders_table,
)

CONFIG = get_config("local")
WEEK = [
    order(1, day=0, customer="ann", price="10.00", quantity=3),
    order(2, day=0, customer="ann", price="0.05"),
    order(3, day=0, customer="bob", price="99.99", quantity=2, status="cancelled"),
    order(4, day=0, customer="cid", price="20.00", status="pending"),
    order(5, day=2, customer="bob", price="5.00", status="returned"),
    order(6, day=9, customer="ann", price="1.00", quantity=4),
]


def test_a_day_counts_purchases_and_lost_value(spark: SparkSession) -> None:
    expected = spark.createDataFrame(
        [
            # 30.00 + 0.05 + 20.00 by ann and cid; 50.05 / 3 = 16.6833
            (date(2024, 1, 1), 3, 2, 5, Decimal("50.05"), Decimal("16.68"), 1, 0, Decimal("199.98")),
            (date(2024, 1, 3), 0, 0, 0, Decimal("0.00"), Decimal("0.00"), 0, 1, Decimal("5.00")),
            (date(2024, 1, 10), 1, 1, 4, Decimal("4.00"), Decimal("4.00"), 0, 0, Decimal("0.00")),
        ],
        "order_date date, orders bigint, customers bigint, units bigint, revenue decimal(28,2), "
        "average_order_value decimal(18,2), cancelled_orders bigint, returned_orders bigint, "
        "lost_value decimal(28,2)",
    )
    result = daily_sales(orders_table(spark, WEEK))
    assert_df_equality(result, expected, ignore_row_order=True, ignore_nullable=True)


def test_an_average_rounds_half_a_cent_up(spark: SparkSession) -> None:
    rows = [order(1, price="0.01"), order(2, price="0.02")]
    assert by("order_date", daily_sales(orders_table(spark, rows)))[date(2024, 1, 1)][
        "average_order_value"
    ] == Decimal("0.02")


def test_a_rolling_week_covers_idle_days_and_counts_each_customer_once(spark: SparkSession) -> None:
    weeks = by("metric_date", rolling_sales(orders_table(spark, WEEK)))
    assert sorted(weeks) == [date(2024, 1, 1) + timedelta(days=day) for day in range(10)]
    # Two customers of the first day stay to the seventh; the returned order of the third day brings nobody.
    assert [weeks[day]["customers_7d"] for day in sorted(weeks)] == [2, 2, 2, 2, 2, 2, 2, 0, 0, 1]
    seventh = weeks[date(2024, 1, 7)]
    assert seventh == {
        "metric_date": date(2024, 1, 7),
        "days_covered": 7,
        "orders_7d": 3,
        "customers_7d": 2,
        "units_7d": 5,
        "revenue_7d": Decimal("50.05"),
        "average_order_value_7d": Decimal("16.68"),
        "average_daily_revenue_7d": Decimal("7.15"),
        "average_daily_orders_7d": pytest.approx(3 / 7),
        "cancelled_orders_7d": 1,
        "returned_orders_7d": 1,
    }
    assert weeks[date(2024, 1, 2)]["average_daily_revenue_7d"] == Decimal("25.03")  # 50.05 / 2 days, half up
    assert weeks[date(2024, 1, 10)]["revenue_7d"] == Decimal("4.00")


def test_an_order_counts_once_in_its_window_and_its_newest_record_counts(spark: SparkSession) -> None:
    metrics = by("window_start", in_utc(realtime_metrics(orders_table(spark, HOURS + REPEATED), CONFIG)))
    assert metrics == {
        "2024-01-01 10:00:00": {
            "window_start": "2024-01-01 10:00:00",
            "window_end": "2024-01-01 11:00:00",
            "orders": 1,
            "units": 2,
            "revenue": Decimal("20.00"),
            "average_order_value": Decimal("20.00"),
            "largest_order_value": Decimal("20.00"),
            "cancelled_orders": 1,
            "returned_orders": 0,
        },
        "2024-01-01 11:00:00": {
            "window_start": "2024-01-01 11:00:00",
            "window_end": "2024-01-01 12:00:00",
            "orders": 1,
            "units": 1,
            "revenue": Decimal("7.50"),
            "average_order_value": Decimal("7.50"),
            "largest_order_value": Decimal("7.50"),
            "cancelled_orders": 0,
            "returned_orders": 1,
        },
    }


def test_the_check_row_counts_silver_and_quarantine(spark: SparkSession) -> None:
    orders = orders_table(spark, WEEK)
    people = customers_table(spark, [customer("ann"), customer("bob")])
    check = data_quality_check(orders, orders.limit(3), orders.limit(1), people)
    latest = F.date_format("latest_order_timestamp", "yyyy-MM-dd HH:mm:ss").alias("latest_order_timestamp")
    (row,) = checked("gold_data_quality_check", check).withColumn("latest_order_timestamp", latest).collect()
    assert row.asDict() == {
        "silver_orders": 6,
        "quarantined_orders": 3,
        "duplicate_orders": 1,
        "customers": 2,
        "latest_order_timestamp": "2024-01-10 12:00:00",
        "quarantine_rate": 0.3,
        "broken_rules": [],
    }


def test_silver_without_orders_breaks_the_critical_rule(spark: SparkSession) -> None:
    nothing, nobody = orders_table(spark, []), customers_table(spark, [])
    (row,) = checked(
        "gold_data_quality_check", data_quality_check(nothing, nothing, nothing, nobody)
    ).collect()
    assert (row.silver_orders, row.latest_order_timestamp, row.quarantine_rate) == (0, None, 0.0)
    assert row.broken_rules == ["critical_data_quality"]


def checked(dataset: str, result: DataFrame) -> DataFrame:
    return judged(result, rules_for(dataset, CONFIG))

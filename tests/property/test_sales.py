"""Sales tables over any orders: figures as by hand, whatever the order of arrival."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from chispa import assert_df_equality
from hypothesis import given, settings
from pyspark.sql import SparkSession

from ecommerce_lakehouse.transforms.sales import (
    daily_sales,
    rolling_sales,
)
from tests.unit.shop import (
    by,
    cents,
    orders_table,
    purchases,
    some_orders,
    value_of,
)
from tests.unit.test_sales import WEEK, checked


@settings(max_examples=3, deadline=None)
@given(rows=some_orders(size=80, days=40))
def test_daily_and_rolling_figures_equal_a_count_by_hand(
    spark: SparkSession, rows: list[dict[str, Any]]
) -> None:
    orders = orders_table(spark, rows)
    days = by("order_date", checked("gold_daily_sales", daily_sales(orders)))
    weeks = by("metric_date", checked("gold_rolling_sales", rolling_sales(orders)))
    dates = {row["order_date"] for row in rows}
    first, last = min(dates), max(dates)
    assert set(days) == dates
    assert set(weeks) == {first + timedelta(days=n) for n in range((last - first).days + 1)}
    for day, found in days.items():
        placed = [row for row in rows if row["order_date"] == day]
        bought = purchases(placed)
        assert found["broken_rules"] == []
        assert found["orders"] == len(bought)
        assert found["customers"] == len({row["customer_id"] for row in bought})
        assert found["units"] == sum(row["quantity"] for row in bought)
        assert found["revenue"] == value_of(bought)
        assert found["lost_value"] == value_of(placed) - value_of(bought)
        assert found["cancelled_orders"] + found["returned_orders"] == len(placed) - len(bought)
    for day, found in weeks.items():
        placed = [row for row in rows if day - timedelta(days=6) <= row["order_date"] <= day]
        bought = purchases(placed)
        covered = min(7, (day - first).days + 1)
        assert found["broken_rules"] == []
        assert found["days_covered"] == covered
        assert found["orders_7d"] == len(bought)
        assert found["customers_7d"] == len({row["customer_id"] for row in bought})
        assert found["units_7d"] == sum(row["quantity"] for row in bought)
        assert found["revenue_7d"] == value_of(bought)
        assert found["average_order_value_7d"] == (cents(value_of(bought) / len(bought)) if bought else 0)
        assert found["average_daily_revenue_7d"] == cents(value_of(bought) / covered)
        assert found["average_daily_orders_7d"] == pytest.approx(len(bought) / covered)
        assert found["cancelled_orders_7d"] == sum(row["status"] == "cancelled" for row in placed)
        assert found["returned_orders_7d"] == sum(row["status"] == "returned" for row in placed)


def test_the_order_of_rows_and_an_empty_arrival_change_no_figure(spark: SparkSession) -> None:
    orders = orders_table(spark, WEEK)
    shuffled = orders_table(spark, WEEK[::-1]).repartition(3).unionByName(orders_table(spark, []))
    for measure in (daily_sales, rolling_sales):
        assert_df_equality(measure(orders), measure(shuffled), ignore_row_order=True)

"""Product tables over any orders: each product once, figures as by hand, whatever the order of arrival."""

from __future__ import annotations

import statistics
from typing import Any

import pytest
from chispa import assert_df_equality
from hypothesis import given, settings
from pyspark.sql import SparkSession

from ecommerce_lakehouse.quality.rules import rules_for
from ecommerce_lakehouse.transforms.products import product_performance
from tests.unit.shop import by, cents, judged, order, orders_table, purchases, some_orders, value_of
from tests.unit.test_products import CONFIG, LAMP


@settings(max_examples=3, deadline=None)
@given(rows=some_orders())
def test_every_product_is_there_once_with_figures_as_by_hand(
    spark: SparkSession, rows: list[dict[str, Any]]
) -> None:
    result = product_performance(orders_table(spark, rows), CONFIG)
    found = by("product_id", judged(result, rules_for("gold_product_performance", CONFIG)))
    assert set(found) == {row["product_id"] for row in rows}
    now = max(row["order_date"] for row in rows)
    for product, figures in found.items():
        own = [row for row in rows if row["product_id"] == product]
        bought, prices = purchases(own), [row["price"] for row in own]
        ages = [((now - row["order_date"]).days, row["quantity"]) for row in bought]
        variance = float(statistics.pvariance(prices))
        buyers, units = len({row["customer_id"] for row in bought}), sum(row["quantity"] for row in bought)
        returned = sum(row["status"] == "returned" for row in own)
        assert figures["broken_rules"] == []
        assert (figures["orders"], figures["buyers"], figures["units"]) == (len(bought), buyers, units)
        assert figures["revenue"] == value_of(bought)
        assert figures["popularity_score"] == pytest.approx(0.7 * buyers + 0.3 * units)
        assert (figures["min_price"], figures["max_price"]) == (min(prices), max(prices))
        assert figures["average_price"] == cents(sum(prices) / len(prices))
        assert figures["price_variance"] == pytest.approx(variance)
        assert figures["price_stability"] == pytest.approx(
            max(0.0, 1 - variance**0.5 / float(statistics.mean(prices))), abs=1e-12
        )
        assert figures["returns_rate"] == pytest.approx(
            returned / (len(bought) + returned) if bought or returned else 0.0
        )
        assert figures["recent_units"] == sum(quantity for age, quantity in ages if age <= 27)
        assert figures["previous_units"] == sum(quantity for age, quantity in ages if 28 <= age <= 55)


def test_the_order_of_rows_and_an_empty_arrival_change_nothing(spark: SparkSession) -> None:
    rows = LAMP + [
        order(10 + n, product=f"p{n % 2}", price=f"{n + 1}.10", customer=f"c{n}") for n in range(6)
    ]
    shuffled = orders_table(spark, rows[::-1]).repartition(3).unionByName(orders_table(spark, []))
    assert_df_equality(
        product_performance(orders_table(spark, rows), CONFIG),
        product_performance(shuffled, CONFIG),
        ignore_row_order=True,
    )

"""Product performance, against figures worked out in plain Python."""

from __future__ import annotations

import statistics
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from chispa import assert_df_equality
from hypothesis import given, settings
from pyspark.sql import SparkSession

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.quality.rules import rules_for
from ecommerce_lakehouse.transforms.products import product_performance
from tests.unit.shop import by, cents, judged, order, orders_table, purchases, some_orders, value_of

CONFIG = get_config("local").model_copy(
    update={"popularity_buyer_weight": 0.7, "popularity_unit_weight": 0.3}
)

LAMP = [
    order(1, day=0, customer="ann", product="lamp", price="2.00", quantity=5, name="Lamp"),
    order(2, day=50, customer="ann", product="lamp", price="4.00", quantity=2, name="Lamp"),
    order(3, day=60, customer="bob", product="lamp", price="4.00", quantity=1, name="Lamp II"),
    order(
        4,
        day=90,
        customer="cid",
        product="lamp",
        price="6.00",
        quantity=9,
        status="returned",
        name="Lamp III",
    ),
]


def test_the_measures_of_a_worked_example(spark: SparkSession) -> None:
    (row,) = product_performance(orders_table(spark, LAMP), CONFIG).collect()
    assert row.asDict() == {
        "product_id": "lamp",
        "product_name": "Lamp III",
        "category": "books",
        "orders": 3,
        "buyers": 2,
        "units": 8,
        "revenue": Decimal("22.00"),
        "popularity_score": pytest.approx(3.8),  # 0.7 * 2 buyers + 0.3 * 8 units
        "min_price": Decimal("2.00"),
        "max_price": Decimal("6.00"),
        "average_price": Decimal("4.00"),
        "price_variance": pytest.approx(2.0),  # (4 + 0 + 0 + 4) / 4
        "price_stability": pytest.approx(1 - 2**0.5 / 4),
        "cancelled_orders": 0,
        "returned_orders": 1,
        "returns_rate": 0.25,
        "first_order_date": date(2024, 1, 1),
        "last_order_date": date(2024, 3, 31),
        "recent_units": 0,  # days 63 to 90: what was returned does not count
        "previous_units": 3,  # days 35 to 62
        "lifecycle_stage": "Decline",
    }


def test_the_stage_follows_the_last_four_weeks_against_the_four_before(spark: SparkSession) -> None:
    # Now is day 100: recent are days 73 to 100, previous days 45 to 72.
    sold = {
        "young": {73: 1},
        "growing": {45: 50, 100: 61},
        "steady at the top": {72: 50, 73: 60},
        "steady at the bottom": {72: 50, 73: 40},
        "falling": {72: 50, 73: 39},
        "back": {0: 5, 99: 1},
        "forgotten": {0: 5, 44: 7},
    }
    rows = [order(0, day=100, product="now", status="cancelled")]
    rows += [
        order(number * 1000 + day, product=product, day=day, quantity=units)
        for number, (product, days) in enumerate(sold.items(), 1)
        for day, units in days.items()
    ]
    found = by("product_id", product_performance(orders_table(spark, rows), CONFIG))
    assert {product: found[product]["lifecycle_stage"] for product in sold} == {
        "young": "Introduction",
        "growing": "Growth",
        "steady at the top": "Maturity",
        "steady at the bottom": "Maturity",
        "falling": "Decline",
        "back": "Growth",
        "forgotten": "Decline",
    }
    never_sold = found["now"]
    assert (never_sold["popularity_score"], never_sold["returns_rate"], never_sold["price_stability"]) == (
        0,
        0,
        1,
    )


def test_a_price_that_swings_beyond_its_mean_has_no_stability(spark: SparkSession) -> None:
    rows = [order(n, price="0.01") for n in range(9)] + [order(9, price="1000.00")]
    (row,) = product_performance(orders_table(spark, rows), CONFIG).collect()
    assert row.price_stability == 0.0
    assert row.price_variance == pytest.approx(statistics.pvariance([0.01] * 9 + [1000.0]))


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

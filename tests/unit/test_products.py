"""Product performance, against figures worked out in plain Python."""

from __future__ import annotations

import statistics
from datetime import date
from decimal import Decimal

import pytest
from pyspark.sql import SparkSession

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.transforms.products import product_performance
from tests.unit.shop import by, order, orders_table

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

"""Segments, churn risk and lifetime value, against figures worked out in plain Python."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from pyspark.sql import SparkSession

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.transforms.customers import RFM_GRID, customer_lifetime_value, customer_segments
from tests.unit.shop import (
    by,
    customer,
    customers_table,
    order,
    orders_table,
)

CONFIG = get_config("local").model_copy(
    update={
        "premium_customer_threshold": 99.99,
        "standard_customer_threshold": 50.0,
        "frequent_customer_orders": 3,
        "regular_customer_orders": 2,
        "churn_medium_risk_days": 30,
        "churn_high_risk_days": 60,
        "new_customer_days": 20,
    }
)

# The newest order is on day 100, and it was cancelled: now is 10 April 2024.
NOW = order(0, day=100, customer="canceller", status="cancelled")
ROWS = [
    NOW,
    *[order(10 + n, day=day, customer="loyal", price="25.00") for n, day in enumerate((0, 40, 80, 95))],
    *[order(20 + n, day=day, customer="bulk", price="10.00", quantity=3) for n, day in enumerate((10, 60))],
    order(30, day=30, customer="gone", price="50.00"),
    order(31, day=31, customer="gone", price="500.00", status="returned"),
    order(40, day=90, customer="fresh", price="12.34"),
    order(50, day=50, customer="mild", price="99.99"),
]
PEOPLE = [
    customer("loyal"),
    customer("gone"),
    customer("visitor", signup_day=55),
    customer("tomorrow", signup_day=101),
]


def test_every_segment_of_a_worked_example(spark: SparkSession) -> None:
    found = by(
        "customer_id", customer_segments(orders_table(spark, ROWS), customers_table(spark, PEOPLE), CONFIG)
    )
    columns = (
        "total_orders",
        "lifetime_value",
        "recency_days",
        "rfm_scores",
        "rfm_segment",
        "behavior_segment",
        "lifecycle_stage",
        "value_tier",
        "customer_segment",
        "frequency_segment",
        "churn_risk",
    )
    # Five buyers. Cuts by linear interpolation at ranks 0.8, 1.6, 2.4, 3.2 of the sorted values:
    # last purchase on day 30, 50, 60, 90, 95 -> 46, 56, 72, 91: scores 1 to 5;
    # purchases 1, 1, 1, 2, 4 -> 1, 1, 1.4, 2.4: score 1 for one, 4 for two, 5 for four;
    # value 12.34, 50, 60, 99.99, 100 -> 42.468, 56, 75.996, 99.992: scores 1 to 5.
    expected = {
        "loyal": (
            4,
            "100.00",
            5,
            (5, 5, 5),
            "Champions",
            "Repeat Buyer",
            "Active",
            "High",
            "Premium",
            "Frequent",
            "Low",
        ),
        "bulk": (
            2,
            "60.00",
            40,
            (3, 4, 3),
            "Loyal Customers",
            "Bulk Buyer",
            "At Risk",
            "Medium",
            "Standard",
            "Regular",
            "Medium",
        ),
        "gone": (
            1,
            "50.00",
            70,
            (1, 1, 2),
            "Hibernating",
            "Frequent Returner",
            "Churned",
            "Medium",
            "Standard",
            "Occasional",
            "High",
        ),
        "fresh": (
            1,
            "12.34",
            10,
            (4, 1, 1),
            "Promising",
            "One-Time Buyer",
            "New",
            "Low",
            "Basic",
            "Occasional",
            "Low",
        ),
        "mild": (
            1,
            "99.99",
            50,
            (2, 1, 4),
            "Hibernating",
            "One-Time Buyer",
            "At Risk",
            "High",
            "Premium",
            "Occasional",
            "Medium",
        ),
        "canceller": (
            0,
            "0.00",
            None,
            (0, 0, 0),
            "Prospect",
            "No Purchase",
            "Prospect",
            "None",
            "Basic",
            "Occasional",
            "Low",
        ),
        "visitor": (
            0,
            "0.00",
            None,
            (0, 0, 0),
            "Prospect",
            "No Purchase",
            "Prospect",
            "None",
            "Basic",
            "Occasional",
            "Medium",
        ),
        "tomorrow": (
            0,
            "0.00",
            None,
            (0, 0, 0),
            "Prospect",
            "No Purchase",
            "Prospect",
            "None",
            "Basic",
            "Occasional",
            "Low",
        ),
    }
    for row in found.values():
        row["rfm_scores"] = (row["recency_score"], row["frequency_score"], row["monetary_score"])
        row["lifetime_value"] = str(row["lifetime_value"])
    assert {who: tuple(row[name] for name in columns) for who, row in found.items()} == expected
    risks = {who: row["churn_risk_score"] for who, row in found.items()}
    assert risks == {
        "loyal": pytest.approx(5 / 60),
        "bulk": pytest.approx(40 / 60),
        "gone": 1.0,
        "fresh": pytest.approx(10 / 60),
        "mild": pytest.approx(50 / 60),
        "canceller": 0.0,
        "visitor": pytest.approx(45 / 60),  # away since the signup
        "tomorrow": 0.0,  # signed up after the newest order
    }
    assert (found["visitor"]["country"], found["bulk"]["country"]) == ("DE", None)
    assert found["gone"]["returned_orders"] == 1


def test_a_threshold_is_reached_at_its_exact_value(spark: SparkSession) -> None:
    worth = {"a": "99.99", "b": "99.98", "c": "50.00", "d": "49.99"}
    bought = {"e": 3, "f": 2, "g": 1}
    away = {"h": 29, "i": 30, "j": 59, "k": 60}
    age = {"l": 20, "m": 21}
    rows = [order(0, day=100, customer="now", status="cancelled")]
    rows += [order(n, customer=who, price=price) for n, (who, price) in enumerate(worth.items(), 1)]
    rows += [
        order(10 * n + m, customer=who)
        for n, (who, count) in enumerate(bought.items(), 1)
        for m in range(count)
    ]
    rows += [order(100 + days, customer=who, day=100 - days) for who, days in away.items()]
    rows += [order(200 + days, customer=who, day=100 - days) for who, days in age.items()]
    found = by(
        "customer_id", customer_segments(orders_table(spark, rows), customers_table(spark, []), CONFIG)
    )
    assert [found[who]["customer_segment"] for who in worth] == ["Premium", "Standard", "Standard", "Basic"]
    assert [found[who]["frequency_segment"] for who in bought] == ["Frequent", "Regular", "Occasional"]
    assert [found[who]["churn_risk"] for who in away] == ["Low", "Medium", "Medium", "High"]
    assert [found[who]["lifecycle_stage"] for who in away] == ["Active", "At Risk", "At Risk", "Churned"]
    assert [found[who]["lifecycle_stage"] for who in age] == ["New", "Active"]


def test_each_pair_of_scores_has_exactly_one_segment() -> None:
    for recency in range(1, 6):
        for frequency in range(1, 6):
            names = [
                name for r0, r1, f0, f1, name in RFM_GRID if r0 <= recency <= r1 and f0 <= frequency <= f1
            ]
            assert len(names) == 1, (recency, frequency, names)


def test_the_value_of_a_customer_in_a_worked_example(spark: SparkSession) -> None:
    found = by(
        "customer_id",
        customer_lifetime_value(orders_table(spark, ROWS), customers_table(spark, PEOPLE), CONFIG),
    )
    assert found["loyal"] == {
        "customer_id": "loyal",
        "total_orders": 4,
        "historical_value": Decimal("100.00"),
        "average_order_value": Decimal("25.00"),
        "first_order_date": date(2024, 1, 1),
        "last_order_date": date(2024, 4, 5),
        "tenure_days": 100,
        "purchases_per_30_days": pytest.approx(1.2),
        "expected_lifespan_days": pytest.approx(365 * 55 / 60),
        "predicted_value": Decimal("334.58"),  # 25.00 * 0.04 a day * 334.5833 days
        "total_value": Decimal("434.58"),
    }
    # One purchase ten days ago counts as one in thirty days: 12.34 / 30 * 365 * 50 / 60.
    fresh = found["fresh"]
    assert (fresh["tenure_days"], fresh["purchases_per_30_days"]) == (10, pytest.approx(1.0))
    assert fresh["predicted_value"] == Decimal("125.11")
    assert (found["gone"]["predicted_value"], found["gone"]["expected_lifespan_days"]) == (
        Decimal("0.00"),
        0.0,
    )
    assert found["visitor"]["total_value"] == Decimal("0.00")
    assert (found["visitor"]["expected_lifespan_days"], found["visitor"]["tenure_days"]) == (0.0, 0)


def test_profiles_without_any_order_are_prospects(spark: SparkSession) -> None:
    (row,) = customer_segments(orders_table(spark, []), customers_table(spark, PEOPLE[:1]), CONFIG).collect()
    assert (row.lifecycle_stage, row.rfm_score, row.churn_risk, row.churn_risk_score) == (
        "Prospect",
        0,
        "Low",
        0.0,
    )

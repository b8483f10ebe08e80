"""Segments, churn risk and lifetime value, against figures worked out in plain Python."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from chispa import assert_df_equality
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.quality.rules import rules_for
from ecommerce_lakehouse.transforms.customers import RFM_GRID, customer_lifetime_value, customer_segments
from tests.unit.shop import (
    by,
    cents,
    customer,
    customers_table,
    judged,
    order,
    orders_table,
    purchases,
    some_orders,
    value_of,
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


def test_a_threshold_is_reached_at_its_very_value(spark: SparkSession) -> None:
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


def test_the_worth_of_a_customer_in_a_worked_example(spark: SparkSession) -> None:
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


@settings(max_examples=3, deadline=None)
@given(
    rows=some_orders(),
    signed_up=st.lists(st.tuples(st.integers(6, 18), st.integers(0, 120)), unique_by=lambda x: x[0]),
)
def test_every_customer_is_in_each_table_once_with_figures_as_by_hand(
    spark: SparkSession, rows: list[dict[str, Any]], signed_up: list[tuple[int, int]]
) -> None:
    people = [customer(f"c{number}", day) for number, day in signed_up]
    orders, profiles = orders_table(spark, rows), customers_table(spark, people)
    segments = customer_segments(orders, profiles, CONFIG)
    values = customer_lifetime_value(orders, profiles, CONFIG)
    found_segments = by("customer_id", judged(segments, rules_for("gold_customer_segments", CONFIG)))
    found_values = by("customer_id", judged(values, rules_for("gold_customer_lifetime_value", CONFIG)))
    expected = _by_hand(rows, people)
    assert set(found_segments) == set(found_values) == set(expected)
    for who, figures in expected.items():
        both = found_segments[who] | found_values[who]
        assert found_segments[who]["broken_rules"] == found_values[who]["broken_rules"] == []
        assert {name: both[name] for name in figures} == figures


def test_the_order_of_rows_and_an_empty_arrival_change_nothing(spark: SparkSession) -> None:
    orders, people = orders_table(spark, ROWS), customers_table(spark, PEOPLE)
    shuffled = orders_table(spark, ROWS[::-1]).repartition(3).unionByName(orders_table(spark, []))
    for measure in (customer_segments, customer_lifetime_value):
        assert_df_equality(
            measure(orders, people, CONFIG), measure(shuffled, people, CONFIG), ignore_row_order=True
        )


def test_profiles_without_any_order_are_prospects(spark: SparkSession) -> None:
    (row,) = customer_segments(orders_table(spark, []), customers_table(spark, PEOPLE[:1]), CONFIG).collect()
    assert (row.lifecycle_stage, row.rfm_score, row.churn_risk, row.churn_risk_score) == (
        "Prospect",
        0,
        "Low",
        0.0,
    )


def _by_hand(rows: list[dict[str, Any]], people: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The definitions once more, over plain rows."""
    now = max(row["order_date"] for row in rows)
    signups = {person["customer_id"]: person["signup_date"] for person in people}
    everyone = {row["customer_id"] for row in rows} | set(signups)
    bought = {who: [row for row in purchases(rows) if row["customer_id"] == who] for who in everyone}
    buyers = [own for own in bought.values() if own]
    last = [float(_last(own).toordinal()) for own in buyers]
    counts = [float(len(own)) for own in buyers]
    worths = [float(value_of(own)) for own in buyers]
    result = {}
    for who, own in bought.items():
        placed = [row["order_date"] for row in rows if row["customer_id"] == who]
        since = _last(own) if own else signups.get(who) or min(placed)
        inactive = max(0, (now - since).days)
        value = value_of(own)
        scores = (0, 0, 0)
        tenure = 0
        if own:
            scores = (
                _quintile(last, _last(own).toordinal()),
                _quintile(counts, len(own)),
                _quintile(worths, float(value)),
            )
            tenure = (now - min(row["order_date"] for row in own)).days
        predicted = cents(value * 365 * (60 - min(inactive, 60)) / (60 * max(tenure, 30)))
        result[who] = {
            "total_orders": len(own),
            "total_units": sum(row["quantity"] for row in own),
            "lifetime_value": value,
            "historical_value": value,
            "average_order_value": cents(value / len(own)) if own else Decimal(0),
            "recency_days": (now - _last(own)).days if own else None,
            "recency_score": scores[0],
            "frequency_score": scores[1],
            "monetary_score": scores[2],
            "rfm_score": sum(scores),
            "inactive_days": inactive,
            "churn_risk_score": pytest.approx(min(1.0, inactive / 60)),
            "customer_segment": "Premium"
            if value >= Decimal("99.99")
            else "Standard"
            if value >= 50
            else "Basic",
            "frequency_segment": "Frequent"
            if len(own) >= 3
            else "Regular"
            if len(own) == 2
            else "Occasional",
            "tenure_days": tenure,
            "purchases_per_30_days": pytest.approx(len(own) * 30 / max(tenure, 30)),
            "predicted_value": predicted,
            "total_value": value + predicted,
        }
    return result


def _last(own: list[dict[str, Any]]) -> date:
    return max(row["order_date"] for row in own)


def _quintile(values: list[float], value: float) -> int:
    ordered = sorted(values)
    cuts = []
    for fifth in (0.2, 0.4, 0.6, 0.8):
        rank = fifth * (len(ordered) - 1)
        low, high = int(rank), min(int(rank) + 1, len(ordered) - 1)
        cuts.append(ordered[low] + (rank - low) * (ordered[high] - ordered[low]))
    return 1 + sum(cut < value for cut in cuts)

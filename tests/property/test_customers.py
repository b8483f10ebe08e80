"""Customer tables over any orders: each customer once, figures as by hand, whatever the order of arrival."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from chispa import assert_df_equality
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from ecommerce_lakehouse.quality.rules import rules_for
from ecommerce_lakehouse.transforms.customers import customer_lifetime_value, customer_segments
from tests.unit.shop import (
    by,
    cents,
    customer,
    customers_table,
    judged,
    orders_table,
    purchases,
    some_orders,
    value_of,
)
from tests.unit.test_customers import CONFIG, PEOPLE, ROWS


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


def _by_hand(rows: list[dict[str, Any]], people: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The definitions again, over plain rows."""
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

"""Rules of whole datasets, and tolerances: what breaks them, and when a warning becomes a failure."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.sql import Row, SparkSession

from ecommerce_lakehouse.quality.checks import quality_checks
from ecommerce_lakehouse.quality.rule import (
    AnyRule,
    DatasetRule,
    Freshness,
    References,
    RowCount,
    Rule,
    RuleSet,
    Tolerance,
    Unique,
)

WHY = "A reason of some length"
# Ten orders: number 3 and a missing number come twice; two negative amounts and one that is missing; the
# newest order lies 90 seconds before the newest arrival; customers c1 to c3, and two orders of nobody.
ORDERS = """
    SELECT * FROM VALUES
        (1, 'c1', 5, 0), (2, 'c2', 5, 10), (3, 'c3', -1, 20), (3, 'c1', 5, 30), (4, 'c2', -2, 40),
        (5, 'c9', 5, 50), (6, 'c9', 5, 60), (CAST(NULL AS INT), NULL, 5, 70), (NULL, NULL, NULL, 80),
        (7, 'c1', 5, 10)
    AS t(number, customer, amount, second)
"""


def amount(name: str, tolerance: Tolerance | None) -> Rule:
    return Rule(name, "amount > 0", "warn", WHY, tolerance=tolerance)


def check(name: str, what: Any, severity: Any = "warn", tolerance: Tolerance | None = None) -> DatasetRule:
    return DatasetRule(name, what, severity, WHY, tolerance=tolerance)


RULES: list[tuple[AnyRule, tuple[int, int | None, str]]] = [
    # rule; violations, allowed, verdict
    (amount("two_rows", Tolerance(rows=2)), (3, 2, "failed")),
    (amount("three_rows", Tolerance(rows=3)), (3, 3, "warned")),
    (amount("a_quarter", Tolerance(share=0.25)), (3, 2, "failed")),
    (amount("a_third", Tolerance(share=0.34)), (3, 3, "warned")),
    (Rule("no_amount", "second >= 0", "warn", WHY, tolerance=Tolerance(rows=0)), (0, 0, "passed")),
    (check("key", Unique(("number",)), "fail"), (2, 0, "failed")),
    (check("key_within", Unique(("number",)), "warn", Tolerance(rows=2)), (2, 2, "warned")),
    (check("key_of_two", Unique(("number", "second")), "fail"), (0, 0, "passed")),
    (check("known", References("customer", "customers", "id")), (2, None, "warned")),
    (check("known_strictly", References("customer", "customers", "id"), "fail"), (2, 0, "failed")),
    (check("fresh", Freshness("happened_at", 90)), (0, None, "passed")),
    (check("fresher", Freshness("happened_at", 89)), (1, None, "warned")),
    (check("fresh_beside", Freshness("happened_at", 30, ("customers", "seen_at"))), (0, None, "passed")),
    (check("fresher_beside", Freshness("happened_at", 29, ("customers", "seen_at"))), (1, None, "warned")),
    (check("some", RowCount(10), "fail"), (0, 0, "passed")),
    (check("more", RowCount(11), "fail"), (1, 0, "failed")),
    (check("few", RowCount(0, at_most=9), "fail"), (1, 0, "failed")),
]


@pytest.fixture(scope="module")
def answers(spark: SparkSession) -> dict[tuple[str, str], Row]:
    """Every rule's row, for the orders and for no rows, in one job."""
    times = "timestamp_seconds(second) AS happened_at, timestamp_seconds(second + 90) AS ingested_at"
    orders = spark.sql(f"SELECT *, {times} FROM ({ORDERS})").coalesce(1)
    tables = {
        "orders": orders,
        "none": orders.limit(0),
        # The newest is 30 seconds after the newest order.
        "customers": spark.sql(
            "SELECT id, timestamp_seconds(second) AS seen_at "
            "FROM VALUES ('c1', 10), ('c2', 110), ('c3', NULL), ('c3', 5) AS t(id, second)"
        ),
    }
    asked = RuleSet(
        rules=tuple(rule for rule, _ in RULES if isinstance(rule, Rule)),
        checks=tuple(rule for rule, _ in RULES if isinstance(rule, DatasetRule)),
        owner="a team",
    )
    nothing = RuleSet(rules=(Rule("untold", "amount > 0", "warn", WHY),))
    rows = quality_checks(
        {"orders": asked, "none": asked, "customers": nothing}, tables.__getitem__
    ).collect()
    return {(row.dataset, row.rule): row for row in rows}


@pytest.mark.parametrize(("rule", "expected"), RULES, ids=[rule.name for rule, _ in RULES])
def test_a_rule_of_a_dataset_counts_what_breaks_it(
    answers: dict[tuple[str, str], Row], rule: AnyRule, expected: tuple[int, int | None, str]
) -> None:
    row = answers["orders", rule.name]
    assert (row.violations, row.allowed, row.verdict) == expected
    assert (row["rows"], row.severity, row.owner) == (10, rule.severity, "a team")


def test_freshness_gives_the_age_of_the_newest_event(answers: dict[tuple[str, str], Row]) -> None:
    assert answers["orders", "fresh"].lag_seconds == 90
    assert answers["orders", "fresh_beside"].lag_seconds == 30
    assert answers["none", "fresh"].lag_seconds is None
    assert answers["none", "fresh_beside"].lag_seconds is None
    assert answers["orders", "key"].lag_seconds is None


def test_an_empty_dataset_breaks_only_the_rules_that_require_rows(
    answers: dict[tuple[str, str], Row],
) -> None:
    broken = {rule for (dataset, rule), row in answers.items() if dataset == "none" and row.violations}
    assert broken == {"some", "more"}


def test_a_warning_without_tolerance_is_left_to_its_expectation(
    answers: dict[tuple[str, str], Row],
) -> None:
    assert {dataset for dataset, _ in answers} == {"orders", "none"}
    assert len(answers) == 2 * len(RULES)

"""The rule registry: names, severities, boundaries, and that every rule of silver can be broken."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from ecommerce_lakehouse.config import LakehouseConfig, get_config
from ecommerce_lakehouse.domain.entities import SAMPLED
from ecommerce_lakehouse.quality import rules as registry
from ecommerce_lakehouse.quality.determinism import nondeterminism
from ecommerce_lakehouse.quality.rule import (
    DatasetRule,
    Freshness,
    Rule,
    RuleError,
    RuleSet,
    Tolerance,
    Unique,
)
from ecommerce_lakehouse.quality.rules import (
    datasets_with_rules,
    order_analytics,
    pipeline_rules,
    registry_problems,
    rules_for,
    tolerating_problems,
)
from ecommerce_lakehouse.transforms.ingest import parse
from tests.unit.bronze import bronze, line
from tests.unit.shop import judged

CONFIG = get_config("dev")
AGGREGATE = re.compile(
    r"\b(count|sum|avg|min|max|collect_\w+|approx_\w+|any_value|first|last)\s*\(", re.IGNORECASE
)


def every_rule() -> Iterator[tuple[str, Rule]]:
    for dataset in datasets_with_rules(CONFIG):
        for rule in rules_for(dataset, CONFIG).rules:
            yield dataset, rule


# Names ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", datasets_with_rules(CONFIG))
def test_a_datasets_rules_have_names_of_their_own(dataset: str) -> None:
    rules = rules_for(dataset, CONFIG)
    names = [rule.name for rule in (*rules.rules, *rules.checks)]
    assert names
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names)


def test_every_layer_has_rules_and_every_kind_of_consequence_is_used() -> None:
    layers = {dataset.split("_")[0] for dataset in datasets_with_rules(CONFIG)}
    assert layers == {"bronze", "silver", "quarantine", "gold", "feature", "quality"}
    assert {rule.severity for _, rule in every_rule()} == {"warn", "drop", "fail"}


def test_the_rules_that_the_business_named_are_there() -> None:
    orders = rules_for("silver_orders", CONFIG)
    assert {"valid_order_id", "valid_quantity", "valid_price"} <= set(orders.drop)
    assert "reasonable_order_value" in orders.warn
    assert "critical_data_quality" in rules_for("gold_data_quality_check", CONFIG).fail


def test_rules_are_returned_by_severity() -> None:
    rules = rules_for("silver_orders", CONFIG)
    offered = {**rules.warn, **rules.drop, **rules.fail}
    assert offered == {rule.name: rule.constraint for rule in rules.rules}
    assert len(rules.warn) + len(rules.drop) + len(rules.fail) == len(rules.rules)
    assert rules.fail == {}
    with pytest.raises(RuleError, match="the dataset 'silver_invoices' has no rules"):
        rules_for("silver_invoices", CONFIG)


def test_an_unknown_pipeline_and_a_dataset_of_two_pipelines_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(RuleError, match=r"'invoices' has no rules: write the module \S+rules\.invoices"):
        pipeline_rules("invoices", CONFIG)
    shared = {"gold_daily_sales": rules_for("gold_daily_sales", CONFIG)}
    monkeypatch.setattr(order_analytics, "rules", lambda config: shared)
    with pytest.raises(
        RuleError, match="'order_analytics' are for other pipelines' datasets: gold_daily_sales"
    ):
        rules_for("silver_orders", CONFIG)


# Constraints ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "constraint",
    [
        "at <= current_timestamp()",
        "at <= CURRENT_TIMESTAMP",
        "at < Now ( )",
        "d = curdate()",
        "d = current_date",
        "unix_timestamp() > 0",
        "rand(7) < 0.5",
        "id <> uuid()",
        "system.builtin.now() > at",
        "at < `now`()",
        "at < TIMESTAMP 'now'",
        "d >= DATE ' Yesterday '",
        "owner = current_user()",
        "a > 0 /* not in a comment */ AND b < now()",
        "note = 'it''s' AND at < now()",
    ],
)
def test_a_constraint_that_reads_the_clock_or_chance_is_refused(constraint: str) -> None:
    assert nondeterminism(constraint) != []
    rules = RuleSet((Rule("late", constraint, "warn", "A reason of some length"),), owner="a team")
    assert [problem for _, problem in rules.problems("shop")] != []


@pytest.mark.parametrize(
    "constraint",
    [
        "at <= ingested_at + INTERVAL 1 DAY",
        "note <> 'now() or current_date'",
        'note <> "rand()"',
        "now > 0 AND t.current_date IS NOT NULL",
        "`current_date` > DATE '2020-01-01'",
        "a > 0 -- not rand()",
        "unix_timestamp(at) > 0",
        "at > TIMESTAMP '2024-01-01 00:00:00'",
        "known(a) OR renow(b)",
    ],
)
def test_a_constraint_over_its_row_is_accepted(constraint: str) -> None:
    assert nondeterminism(constraint) == []


def test_the_registry_has_no_problem() -> None:
    assert registry_problems(CONFIG) == []


def test_a_rule_that_cannot_be_used_is_listed_with_file_and_line() -> None:
    fine = Rule("fine", "a > 0", "warn", "A reason of some length")
    wrong = RuleSet(
        (
            fine,
            Rule("fine", "b > 0", "drop", "A reason of some length"),
            Rule("Loud", "a > 0", "warn", "short", tolerance=Tolerance(rows=1, share=0.5)),
            Rule("strict", "a > 0", "fail", "A reason of some length", tolerance=Tolerance(rows=1)),
        ),
        checks=(DatasetRule("fine", Unique(("a",)), "fail", "A reason of some length"),),
    )
    found = [(rule.name, problem.rpartition(": ")[2]) for rule, problem in wrong.problems("shop")]
    file, line = fine.location.split(":")
    assert Path(file) == Path(__file__)
    assert "Rule(" in Path(file).read_text(encoding="utf-8").splitlines()[int(line) - 1]
    twice = f"dataset 'shop' has two rules named 'fine', the first at {file}:{line}"
    assert [problem for _, problem in wrong.problems("shop") if "two rules" in problem] == [twice, twice]
    # Nobody owns them, as neither the rules nor the dataset say who.
    assert [name for name, problem in found if problem == "it needs an owner"] == [
        "fine",
        "fine",
        "Loud",
        "strict",
        "fine",
    ]
    assert [problem for name, problem in found if name == "Loud"] == [
        "a name is lower-case letters, digits and underscores",
        "it needs a reason",
        "it needs an owner",
        "a tolerance is a number of rows or a share of them, 0 to 1",
    ]
    assert ("strict", "a tolerance is for a warning") in found


def test_a_pipeline_cannot_be_declared_with_rules_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bad = Rule("late", "at < now()", "drop", "A reason of some length")
    good = Rule("there", "at IS NOT NULL", "drop", "A reason of some length")
    found = {"silver_shop": RuleSet((bad, good), owner="us")}
    monkeypatch.setattr(registry, "_registry", lambda config: found)
    with pytest.raises(
        RuleError, match=r"test_rules.py:\d+: dataset 'silver_shop', rule 'late': 'now\(\)' depends"
    ):
        rules_for("silver_shop", CONFIG)
    with tolerating_problems():
        assert rules_for("silver_shop", CONFIG).drop == {"there": "at IS NOT NULL"}


def test_every_rule_has_an_owner_and_rows_that_break_it() -> None:
    assert [f"{dataset}.{rule.name}" for dataset, rule in every_rule() if not rule.owner] == []
    assert [f"{dataset}.{rule.name}" for dataset, rule in every_rule() if not rule.broken_by] == []


def test_no_rule_is_over_more_than_one_row() -> None:
    # Databricks refuses aggregates in an expectation.
    assert [
        f"{dataset}.{rule.name}" for dataset, rule in every_rule() if AGGREGATE.search(rule.constraint)
    ] == []
    assert AGGREGATE.search("count(*) > 0")


def test_every_rule_says_why() -> None:
    assert [f"{dataset}.{rule.name}" for dataset, rule in every_rule() if len(rule.reason) < 10] == []


# Every rule of silver, broken -------------------------------------------------------------------------------

PAST_TOLERANCE = "2024-05-02T12:00:01"  # a second more than a day after the lines' arrival
NO_RECORD = {
    "orders": {
        "valid_order_id",
        "valid_customer_id",
        "valid_product_id",
        "valid_quantity",
        "valid_price",
        "valid_status",
        "valid_order_timestamp",
        "order_not_in_future",
        "reasonable_order_value",
    },
    "customer_profiles": {
        "valid_customer_id",
        "valid_email",
        "valid_age",
        "valid_gender",
        "valid_loyalty_tier",
        "valid_signup_date",
        "valid_updated_at",
        "update_not_in_future",
        "loyalty_points_not_negative",
    },
    "customer_activity": {
        "valid_session_id",
        "valid_customer_id",
        "valid_session_timestamp",
        "session_not_in_future",
        "valid_session_duration",
        "valid_page_views",
        "valid_cart_adds",
        "valid_device_type",
    },
}
# Changes to a good record, and every rule that the changed one breaks.
BROKEN: dict[str, list[tuple[dict[str, Any], set[str]]]] = {
    "orders": [
        ({}, set()),
        ({"status": "RETURNED", "category": None, "product_name": None}, set()),
        ({"order_timestamp": "2024-05-02T12:00:00"}, set()),
        ({"order_id": None}, {"valid_order_id"}),
        ({"order_id": "  "}, {"valid_order_id"}),
        ({"customer_id": ""}, {"valid_customer_id"}),
        ({"product_id": None}, {"valid_product_id"}),
        ({"quantity": "two"}, {"valid_quantity", "reasonable_order_value"}),
        ({"price": 9.999}, {"valid_price", "reasonable_order_value"}),
        ({"price": 10_000, "quantity": 101}, {"valid_quantity", "reasonable_order_value"}),
        ({"status": "lost"}, {"valid_status"}),
        ({"order_timestamp": "12:30"}, {"valid_order_timestamp", "order_not_in_future"}),
        ({"order_timestamp": PAST_TOLERANCE}, {"order_not_in_future"}),
        ({"order_timestamp": "2024-04-30 10:00:00 BST"}, {"valid_order_timestamp", "order_not_in_future"}),
        ({"updated_at": "2024-05-01T08:00:00Z"}, set()),
        ({"updated_at": " "}, set()),
        ({"updated_at": "2024-05-01 08:00:00 BST"}, {"valid_updated_at"}),
        ({"updated_at": PAST_TOLERANCE}, {"update_not_in_future"}),
        ({"coupon": "MAY"}, {"no_unexpected_columns"}),
    ],
    "customer_profiles": [
        ({}, set()),
        ({"age": 16, "loyalty_points": 0, "country": None}, set()),
        ({"age": 120, "email": "Ana.B+shop@mail.example.com"}, set()),
        ({"customer_id": " "}, {"valid_customer_id"}),
        ({"email": "ana.example.com"}, {"valid_email"}),
        ({"email": "ana@example"}, {"valid_email"}),
        ({"email": "ana b@example.com"}, {"valid_email"}),
        ({"email": "ana@b@example.com"}, {"valid_email"}),
        ({"email": None}, {"valid_email"}),
        ({"age": 15}, {"valid_age"}),
        ({"age": 121}, {"valid_age"}),
        ({"gender": "unknown"}, {"valid_gender"}),
        ({"loyalty_tier": "wood"}, {"valid_loyalty_tier"}),
        ({"signup_date": "2024-02-30"}, {"valid_signup_date"}),
        ({"updated_at": "yesterday"}, {"valid_updated_at", "update_not_in_future"}),
        ({"updated_at": PAST_TOLERANCE}, {"update_not_in_future"}),
        ({"loyalty_points": -1}, {"loyalty_points_not_negative"}),
        ({"nickname": "A"}, {"no_unexpected_columns"}),
    ],
    "customer_activity": [
        ({}, set()),
        ({"session_duration_seconds": 0, "page_views": 0, "cart_adds": 0}, set()),
        ({"session_duration_seconds": 86_400, "device_type": "Tablet"}, set()),
        ({"session_id": None}, {"valid_session_id"}),
        ({"customer_id": None}, {"valid_customer_id"}),
        ({"session_timestamp": None}, {"valid_session_timestamp", "session_not_in_future"}),
        ({"session_timestamp": PAST_TOLERANCE}, {"session_not_in_future"}),
        ({"session_duration_seconds": 86_401}, {"valid_session_duration"}),
        ({"session_duration_seconds": -1}, {"valid_session_duration"}),
        ({"page_views": -1}, {"valid_page_views"}),
        ({"cart_adds": "some"}, {"valid_cart_adds"}),
        ({"device_type": "fridge"}, {"valid_device_type"}),
        ({"referrer": "x"}, {"no_unexpected_columns"}),
    ],
}


def test_every_rule_of_silver_is_broken_only_by_the_changes_meant_to_break_it(spark: SparkSession) -> None:
    expected: dict[str, set[str]] = {}
    tables: list[DataFrame] = []
    for name, cases in BROKEN.items():
        lines = {f"{name} {changes}": line(name, **changes) for changes, _ in cases}
        expected |= {f"{name} {changes}": broken for changes, broken in cases}
        lines |= {f"{name} truncated": line(name)[:-9], f"{name} latin": line(name, customer_id="C\xe9")}
        lines[f"{name} twice"] = line(name)[:-1] + b', "customer_id": "C-2"}'
        lines[f"{name} latin"] = lines[f"{name} latin"].replace(b"\\u00e9", b"\xe9")
        expected |= {
            f"{name} truncated": NO_RECORD[name] | {"valid_json"},
            f"{name} latin": {"valid_encoding"},
            f"{name} twice": {"keys_given_once"},
        }
        rules = rules_for(f"silver_{SAMPLED[name].target}", CONFIG)
        assert {rule.name for rule in rules.rules} == set().union(*(expected[line] for line in lines))
        rows = judged(parse(bronze(spark, lines), SAMPLED[name]), rules)
        tables.append(rows.select("source_file", "broken_rules"))
    found = reduce(DataFrame.union, tables).collect()
    assert {row.source_file: set(row.broken_rules) for row in found} == expected
    assert len(found) == len(expected)


def test_an_empty_line_is_counted_at_bronze(spark: SparkSession) -> None:
    rows = judged(bronze(spark, [b"", b" ", b"{}"]), rules_for("bronze_orders", CONFIG))
    assert [row.broken_rules for row in rows.collect()] == [["line_not_empty"], [], []]


# Limits of the configuration --------------------------------------------------------------------------------


def broken_by_limit(
    spark: SparkSession, config: LakehouseConfig, cases: dict[str, dict[str, Any]]
) -> dict[str, list[str]]:
    """The rules of orders that each changed order breaks."""
    lines = {name: line("orders", **changes) for name, changes in cases.items()}
    rows = judged(parse(bronze(spark, lines), SAMPLED["orders"]), rules_for("silver_orders", config))
    return {row.source_file: row.broken_rules for row in rows.select("source_file", "broken_rules").collect()}


def test_the_limits_of_price_and_quantity_are_within(spark: SparkSession) -> None:
    config = CONFIG.model_copy(update={"max_price": 49.99, "max_quantity": 3})
    cases: dict[str, tuple[dict[str, Any], list[str]]] = {
        "lowest": ({"price": 0.01, "quantity": 1}, []),
        "highest": ({"price": 49.99, "quantity": 3}, []),
        "price too high": ({"price": 50.00, "quantity": 2}, ["valid_price"]),
        "too many": ({"price": 1, "quantity": 4}, ["valid_quantity"]),
        "both": ({"price": 50, "quantity": 4}, ["valid_quantity", "valid_price", "reasonable_order_value"]),
        "free": ({"price": 0, "quantity": 1}, ["valid_price"]),
        "paid back": ({"price": -0.01, "quantity": 1}, ["valid_price"]),
        "none": ({"price": 5, "quantity": 0}, ["valid_quantity"]),
        "given back": ({"price": 5, "quantity": -1}, ["valid_quantity"]),
        # 49.99 x 3 = 149.97 is the highest value that the limits allow.
        "worth the limit": ({"price": 149.97, "quantity": 1}, ["valid_price"]),
        "worth more": ({"price": 149.98, "quantity": 1}, ["valid_price", "reasonable_order_value"]),
    }
    found = broken_by_limit(spark, config, {name: changes for name, (changes, _) in cases.items()})
    assert found == {name: broken for name, (_, broken) in cases.items()}


def test_the_limits_of_development_are_those_of_its_settings(spark: SparkSession) -> None:
    at_limit = {"price": CONFIG.max_price, "quantity": CONFIG.max_quantity}
    cases = {
        "at": at_limit,
        "dearer": at_limit | {"price": CONFIG.max_price + 0.01},
        "more": at_limit | {"quantity": CONFIG.max_quantity + 1},
    }
    assert broken_by_limit(spark, CONFIG, cases) == {
        "at": [],
        "dearer": ["valid_price", "reasonable_order_value"],
        "more": ["valid_quantity", "reasonable_order_value"],
    }


def test_a_limit_of_more_than_six_digits_is_exact(spark: SparkSession) -> None:
    config = CONFIG.model_copy(update={"max_price": 12_345.67})
    assert broken_by_limit(spark, config, {"at": {"price": 12_345.67}, "above": {"price": 12_345.68}}) == {
        "at": [],
        "above": ["valid_price"],
    }


@pytest.mark.parametrize(
    ("environment", "orders", "sessions"),
    [
        ("prod", "ingestion", "ingestion"),
        (
            "local",
            "the newest silver_customers.updated_at",
            "the newest silver_orders_as_known.order_timestamp",
        ),
    ],
)
def test_generated_data_is_fresh_by_its_own_calendar_and_delivered_data_by_its_arrival(
    environment: str, orders: str, sessions: str
) -> None:
    config = get_config(environment)
    found = {
        rule.name: str(rule.check)
        for dataset in ("silver_orders", "silver_customer_activity")
        for rule in rules_for(dataset, config).checks
        if isinstance(rule.check, Freshness)
    }
    assert found == {
        "orders_fresh": f"newest order_timestamp within 172800 s of {orders}",
        "sessions_fresh": f"newest session_timestamp within 172800 s of {sessions}",
    }
    # Generated order batches are of the hour before: they are judged by their arrival everywhere.
    batches = {rule.name: rule.check for rule in rules_for("silver_order_batches", config).checks}
    assert batches["orders_fresh"] == Freshness("order_timestamp", 172_800)

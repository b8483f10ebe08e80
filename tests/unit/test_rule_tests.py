"""`lakehouse quality test`: a rule that no row breaks is found, and so is one that breaks too much."""

from __future__ import annotations

import json

import pytest
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from ecommerce_lakehouse.cli.main import command_line
from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.quality import rule_tests, rules
from ecommerce_lakehouse.quality.rule import DatasetRule, Example, RowCount, Rule, RuleSet, Unique
from ecommerce_lakehouse.quality.rule_tests import run_rule_tests
from ecommerce_lakehouse.quality.rules import datasets_with_rules, rules_for

WHY = "A reason of some length"


def rule(name: str, constraint: str, *broken_by: Example) -> Rule:
    return Rule(name, constraint, "warn", WHY, broken_by=broken_by)


SHOP = RuleSet(
    rules=(
        rule("fine", "price > 0", {"price": "0"}, {"price": "CAST(NULL AS INT)"}),
        rule("never_broken", "price > 0 OR true", {"price": "0"}),
        rule("second_case", "price > 0", {"price": "0"}, {"price": "1"}),
        rule("no_case", "price > 0"),
        rule("always_broken", "price > 5", {"price": "0"}),
        rule("no_sql", "price >", {"price": "0"}),
        rule("no_column", "prize > 0", {"price": "0"}),
        rule("unknown_case", "price > 0", {"prize": "0"}),
        rule("not_by_null", "coalesce(price, 1) > 0", {"price": "CAST(NULL AS INT)"}),
        rule("error_at_run_time", "CAST(name AS INT) > 0", {"name": "'a'"}),
    ),
    checks=(
        DatasetRule("one_row_per_key", Unique(("name",)), "fail", WHY),
        DatasetRule("never_few", RowCount(0, at_most=3), "warn", WHY),
    ),
    example={"price": "3", "name": "'7'"},
    owner="us",
)


def test_every_kind_of_useless_rule_is_found(spark: SparkSession) -> None:
    found = {item.rule: item.problem for item in run_rule_tests(spark, {"shop": SHOP})}
    assert {name for name, problem in found.items() if not problem} == {
        "fine",
        "one_row_per_key",
        "never_few",
    }
    assert found["never_broken"] == "row 1 of its 'broken_by' does not break it"
    assert found["second_case"] == "row 2 of its 'broken_by' does not break it"
    assert found["no_case"] == "no row breaks it: it has no 'broken_by'"
    assert found["always_broken"] == "the dataset's example breaks it"
    assert found["unknown_case"] == "the dataset's example has no column 'prize'"
    assert found["not_by_null"] == "row 1 of its 'broken_by' does not break it"
    assert "PARSE_SYNTAX_ERROR" in found["no_sql"]
    assert "prize" in found["no_column"]
    assert "CAST_INVALID_INPUT" in found["error_at_run_time"]


def test_rules_without_a_fault_are_tried_by_one_query(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one query a rule the registry would take a minute."""
    tries: list[int] = []
    verdicts = rule_tests._verdicts
    monkeypatch.setattr(
        rule_tests,
        "_verdicts",
        lambda session, trials: tries.append(len(trials)) or verdicts(session, trials),
    )
    two = (rule("fine", "price > 0", {"price": "0"}), rule("named", "name > ''", {"name": "''"}))
    shops = {name: RuleSet(two, (), SHOP.example, "us") for name in ("north", "south")}
    assert {item.problem for item in run_rule_tests(spark, shops)} == {""}
    assert tries == [2]


def test_every_rule_of_the_registry_is_broken_by_its_own_rows(spark: SparkSession, home: object) -> None:
    result = CliRunner().invoke(command_line(), ["quality", "test", "--json"])
    assert result.exit_code == 0, result.output
    tested = json.loads(result.stdout)
    config = get_config("local")
    asked = {name: rules_for(name, config) for name in datasets_with_rules(config)}
    assert [(item["dataset"], item["rule"]) for item in tested] == [
        *[(name, each.name) for name, rules in asked.items() for each in rules.rules],
        *[(name, each.name) for name, rules in asked.items() for each in rules.checks],
    ]
    assert {item["problem"] for item in tested} == {""}


def test_a_useless_rule_fails_the_command(
    spark: SparkSession, home: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    useless = RuleSet((rule("never_broken", "price > 0 OR true", {"price": "0"}),), (), {"price": "1"}, "us")
    monkeypatch.setattr(rules, "_registry", lambda config: {"silver_shop": useless})
    result = CliRunner().invoke(command_line(), ["quality", "test", "silver_shop"])
    assert result.exit_code == 1
    assert "never_broken" in result.stdout
    assert "1 rule failed" in result.stdout
    assert "test_rule_tests.py:" in result.stdout


def test_the_list_shows_requirements_and_owners() -> None:
    result = CliRunner().invoke(command_line(), ["quality", "list", "silver_customers", "--json"])
    rows = {row["rule"]: row for row in json.loads(result.stdout)}
    age = rows["valid_age"]
    assert (age["severity"], age["requirement"]) == ("drop", "age >= 16 AND age <= 120")
    assert (age["reason"], age["owner"]) == ("A customer is a living adult", "customer relations")
    assert rows["one_row_per_key"]["requirement"] == "unique (customer_id)"
    plain = CliRunner().invoke(command_line(), ["quality", "list", "bronze_orders"])
    assert "line_not_empty" in plain.stdout
    assert "10.00% of rows" in plain.stdout


def test_an_unknown_dataset_is_named_with_the_closest(home: object) -> None:
    result = CliRunner().invoke(command_line(), ["quality", "list", "silver_ordesr"])
    assert result.exit_code == 2
    assert "Did you mean 'silver_orders'?" in result.stderr

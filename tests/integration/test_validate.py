"""`lakehouse validate` lists every problem of a project, with file and line, before anything runs."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from ecommerce_lakehouse.activation.sync import declarations
from ecommerce_lakehouse.cli.main import command_line
from ecommerce_lakehouse.quality import rules

BUNDLE = """\
bundle:
  name: ecommerce_lakehouse
variables:
  environment:
    default: local
  catalog:
    default: main
  schema:
    default: shop
  volume:
    default: data
targets:
  dev:
    default: true
  broken:
    resources:
      jobs:
        nightly:
          tasks:
            - task_key: a
              pipeline_task:
                pipeline_id: ${resources.pipelines.unheard_of.id}
resources:
  dashboards:
    forgotten:
      display_name: forgotten
      file_path: src/dashboards/forgotten.lvdash.json
    sales:
      display_name: sales
      file_path: src/dashboards/sales.lvdash.json
  pipelines:
    reports:
      name: reports
      catalog: main
      schema: shop
      root_path: src/pipelines/reports
      libraries:
        - glob:
            include: src/pipelines/reports/**
    shop:
      name: shop
      catalog: main
      schema: shop
      root_path: src/pipelines/shop
      libraries:
        - glob:
            include: src/pipelines/shop/**
"""
SHOP = """\
from pyspark import pipelines as dp
from pyspark.sql import SparkSession

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.quality.rules import rules_for

spark = SparkSession.active()


@dp.table
def arrivals():
    return spark.readStream.format("text").load("/nothing/has/arrived/here")


@dp.materialized_view(name="sales")
@dp.expect_all(rules_for("sales", get_config("local")).warn)
def sales():
    return spark.sql("SELECT 1 AS id, 2.50 AS price, 'x' AS note")


@dp.materialized_view
@dp.expect("by_chance", "id > rand()")
def lucky():
    return spark.read.table("sales")


@dp.materialized_view
def wrong_table():
    return spark.read.table("salse")


@dp.materialized_view
def wrong_column():
    return spark.read.table("sales").select("prize")


@dp.materialized_view
def below_the_wrong_column():
    return spark.read.table("wrong_column")
"""
# Loaded before `shop`, whose table it reads; the bundle lists them in another order.
REPORTS = """\
from pyspark import pipelines as dp
from pyspark.sql import SparkSession

spark = SparkSession.active()


@dp.materialized_view
def report():
    return spark.read.table("sales").select("id", "price")
"""
RULES = """\
from ecommerce_lakehouse.quality.rule import (
    DatasetRule, Freshness, References, RowCount, Rule, RuleSet, Unique
)

WHY = "A reason of some length"


def shop(config):
    return {
        "sales": RuleSet(
            (
                Rule("fine", "price > 0", "warn", WHY),
                Rule("no_sql", "price > > 0", "warn", WHY),
                Rule("no_column", "prize > 0", "warn", WHY),
                Rule("twice", "id > 0", "warn", WHY),
                Rule("twice", "id > 1", "warn", WHY),
                Rule("clock", "note < now()", "warn", WHY),
            ),
            checks=(
                DatasetRule("one_row", Unique(("id", "ref")), "fail", WHY),
                DatasetRule("known_id", References("id", "lucky", "ids"), "warn", WHY),
                DatasetRule("known_note", References("note", "notes", "text"), "warn", WHY),
                DatasetRule("new", Freshness("sold_at", 60), "warn", WHY),
                DatasetRule("some", RowCount(1), "warn", WHY),
            ),
            owner="us",
        ),
        "salse": RuleSet((Rule("fine", "price > 0", "warn", WHY),), owner="us"),
    }
"""
SALES = "src/dashboards/sales.lvdash.json"
DASHBOARD = {
    "datasets": [
        {
            "name": "fine",
            "displayName": "Fine",
            "queryLines": ["SELECT id, sum(price) AS price\n", "FROM sales GROUP BY id"],
        },
        {"name": "two", "displayName": "No column", "queryLines": ["SELECT\n", "  prize\n", "FROM sales\n"]},
        {"name": "three", "displayName": "No table", "queryLines": ["SELECT *\n", "FROM salse"]},
        {"name": "four", "displayName": "No SQL", "queryLines": ["SELECT * FORM sales"]},
        {"name": "five", "displayName": "Writes", "query": "DROP TABLE sales"},
        {
            "name": "six",
            "displayName": "Asked",
            "queryLines": ["SELECT id FROM sales WHERE price > :least"],
            "parameters": [{"keyword": "least", "dataType": "DECIMAL"}],
        },
        {
            "name": "seven",
            "displayName": "Billing",
            "query": "SELECT usage_quantity FROM system.billing.usage",
        },
    ],
    "pages": [],
}


def line_of(text: str, part: str) -> int:
    (number,) = [number for number, line in enumerate(text.splitlines(), 1) if part in line]
    return number


PEOPLE = "# People.\ntable: salse\nkey: id\ncall: identify\ntraits: [name]\n"
BUYERS = "key: id\ncall: identify\ntraits: {age: now() - day}\ntable: sales\n"


@pytest.fixture
def project(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = {
        "databricks.yml": BUNDLE,
        "src/pipelines/shop/shop.py": SHOP,
        "src/pipelines/reports/reports.py": REPORTS,
        "src/rules.py": RULES,
        SALES: json.dumps(DASHBOARD, indent=2),
        "src/syncs/people.yml": PEOPLE,
        "src/syncs/buyers.yml": BUYERS,
    }
    root = tmp_path / "project"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(root)
    shop = runpy.run_path(str(root / "src/rules.py"))["shop"]
    monkeypatch.setattr(rules, "_registry", shop)
    monkeypatch.setattr(declarations, "FOLDER", root / "src/syncs")
    return root


def test_everything_that_is_wrong_is_listed_with_file_and_line(spark: SparkSession, project: Path) -> None:
    result = CliRunner().invoke(command_line(), ["validate", "--json"])
    found = {(item["location"], item["message"]) for item in json.loads(result.stdout)}
    dashboard = (project / SALES).read_text(encoding="utf-8")
    expected = {
        ("databricks.yml", BUNDLE, "pipeline_id: ${resources.pipelines.unheard_of.id}"): "unheard_of",
        ("databricks.yml", BUNDLE, "forgotten.lvdash.json"): "there is no file 'forgotten.lvdash.json'",
        ("src/syncs/people.yml", PEOPLE, "table: salse"): "Unknown table 'salse'. Did you mean 'sales'?",
        ("src/syncs/buyers.yml", BUYERS, "table: sales"): "traits.age depends on more than its row: now()",
        ("src/rules.py", RULES, 'Rule("no_sql"'): "PARSE_SYNTAX_ERROR",
        ("src/rules.py", RULES, 'Rule("no_column"'): "`prize` cannot be resolved",
        ("src/rules.py", RULES, '"id > 1"'): "two rules named 'twice', the first at",
        ("src/rules.py", RULES, 'Rule("clock"'): "'now()' depends on more than the row",
        ("src/rules.py", RULES, '"one_row"'): "rule 'one_row' of 'sales': Unknown column 'ref'",
        ("src/rules.py", RULES, '"known_id"'): "Unknown column 'ids'. Did you mean 'id'?",
        ("src/rules.py", RULES, '"known_note"'): "Unknown table 'notes'",
        ("src/rules.py", RULES, '"new"'): "Unknown column 'sold_at'",
        ("src/rules.py", RULES, 'Freshness("sold_at"'): "Unknown column 'ingested_at'",
        ("src/rules.py", RULES, '"salse": RuleSet'): "no pipeline declares the dataset 'salse'",
        ("src/pipelines/shop/shop.py", SHOP, '@dp.expect("by_chance"'): "rule 'by_chance'",
        ("src/pipelines/shop/shop.py", SHOP, "def wrong_table"): "Unknown table 'main.shop.salse'. Did you",
        ("src/pipelines/shop/shop.py", SHOP, "def wrong_column"): "`prize` cannot be resolved",
        (SALES, dashboard, "  prize\\n"): "query 'No column':",
        (
            SALES,
            dashboard,
            "FROM salse",
        ): "Unknown table 'salse'. Did you mean 'sales'?",
        (SALES, dashboard, "FORM"): "query 'No SQL': SQL syntax",
        (SALES, dashboard, "DROP TABLE"): "query 'Writes': DROP is refused",
    }
    left = set(found)
    for (file, text, part), message in expected.items():
        near = line_of(text, part)
        # A decorated function is known by the line of one of its decorators.
        at = [item for item in left if item[0].rpartition(":")[0] == file and message in item[1]]
        assert len(at) == 1, (part, sorted(found))
        assert abs(int(at[0][0].rpartition(":")[2]) - near) <= (1 if file.endswith("shop.py") else 0), at
        left -= set(at)
    assert left == set()
    assert result.exit_code == 1
    assert result.stderr == f"Error: {len(found)} problems found.\n"


def test_nothing_is_written_by_a_validation(spark: SparkSession, project: Path, home: Path) -> None:
    CliRunner().invoke(command_line(), ["validate"])
    assert not (home / "tables").exists()
    assert not (home / "pipelines").exists()


def test_the_repository_has_no_problem(
    spark: SparkSession, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    result = CliRunner().invoke(command_line(), ["validate"])
    assert (result.exit_code, result.stderr) == (0, "")
    line = " ".join(result.stdout.split("\n")).split(". ")[0]
    assert line.startswith("Nothing is wrong in the bundle: 4 pipelines, ")
    root = Path(__file__).parents[2]
    counted = dict(reversed(part.split(" ", 1)) for part in line.partition(": ")[2].split(", "))
    assert counted["syncs"] == str(len(list((root / "src").rglob("syncs/*.yml"))))
    assert counted["dashboards"] == str(len(list((root / "src/dashboards").iterdir())))

"""Dashboards before they are deployed: each mistake is found with its line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from lakerun.bundles.model import DashboardSpec
from lakerun.sql.dashboards import dashboard_problems

SCHEMAS = {"gold_daily_sales": StructType().add("order_date", "date").add("revenue", "decimal(28,2)")}
SOUND: dict[str, Any] = {
    "datasets": [
        {
            "name": "sales",
            "displayName": "Sales",
            "queryLines": ["SELECT\n", "  order_date,\n", "  revenue\n", "FROM gold_daily_sales"],
        }
    ],
    "pages": [
        {
            "name": "one",
            "displayName": "One",
            "layout": [
                {
                    "widget": {
                        "name": name,
                        "queries": [
                            {
                                "name": "main_query",
                                "query": {
                                    "datasetName": "sales",
                                    "fields": [{"name": "total", "expression": "SUM(`revenue`)"}],
                                    "disaggregated": False,
                                },
                            }
                        ],
                        "spec": {
                            "version": 2,
                            "widgetType": "counter",
                            "encodings": {"value": {"fieldName": "total"}},
                        },
                    },
                    "position": {"x": x, "y": 0, "width": 3, "height": 2},
                }
                for name, x in (("left", 0), ("right", 3))
            ],
        }
    ],
}


def problems(folder: Path, text: str, *, schema_is_given: bool = True) -> list[str]:
    """The problems of a dashboard, each with the text of its line before it."""
    file = folder / "shop.lvdash.json"
    file.write_text(text, encoding="utf-8")
    spec = DashboardSpec(key="shop", file=file, location="x.yml:3", schema_is_given=schema_is_given)
    found = []
    for problem in dashboard_problems([spec], SCHEMAS):
        name, _, line = problem.location.rpartition(":")
        assert name == str(file)
        found.append(f"{text.splitlines()[int(line) - 1].strip()} | {problem.message}")
    return found


def changed(change: Callable[[Any], object]) -> str:
    content = json.loads(json.dumps(SOUND))
    change(content)
    return json.dumps(content, indent=2)


def _lines(content: Any, *lines: str) -> None:
    content["datasets"][0]["queryLines"] = list(lines)


def _widget(content: Any, number: int = 1) -> Any:
    return content["pages"][0]["layout"][number]["widget"]


@pytest.mark.parametrize(
    "change",
    [
        lambda c: None,
        # Fields that Databricks does not take from the query's columns.
        lambda c: _widget(c)["queries"][0]["query"]["fields"][0].update(expression="SUM(`REVENUE`)"),
        lambda c: _widget(c)["queries"][0]["query"]["fields"][0].update(expression="COUNT(`*`)"),
        lambda c: (
            c["datasets"][0].update(columns=[{"displayName": "net", "expression": "`revenue` * 0.8"}]),
            _widget(c)["queries"][0]["query"]["fields"][0].update(expression="SUM(`net`)"),
        ),
        lambda c: (c["datasets"][0].pop("queryLines"), c["datasets"][0].update(asset_name="main.shop.sales")),
        lambda c: (
            c["pages"][0].update(layoutVersion="GRID_V1"),
            c["pages"][0]["layout"][1]["position"].update(x=6, width=6),
        ),
    ],
)
def test_a_valid_dashboard_has_no_problem(
    spark: SparkSession, home: Path, tmp_path: Path, change: Callable[[Any], object]
) -> None:
    assert problems(tmp_path, changed(change)) == []


@pytest.mark.parametrize(
    ("change", "line", "problem"),
    [
        (
            lambda c: _lines(c, "SELECT order_date,\n", "  revenu AS revenue\n", "FROM gold_daily_sales"),
            '"  revenu AS revenue\\n",',
            "query 'Sales': [UNRESOLVED_COLUMN.WITH_SUGGESTION] A column, variable, or function parameter "
            "with name `revenu` cannot be resolved. Did you mean one of the following? [`revenue`",
        ),
        (
            lambda c: _lines(c, "SELECT order_date, revenue\n", "FROM gold_daily_sale"),
            '"FROM gold_daily_sale"',
            "query 'Sales': Unknown table 'gold_daily_sale'. Did you mean 'gold_daily_sales'?",
        ),
        (
            lambda c: _lines(c, "SELECT order_date, revenue\n", "FORM gold_daily_sales"),
            '"FORM gold_daily_sales"',
            "query 'Sales': SQL syntax, line 2",
        ),
        (
            lambda c: _lines(c, "SELECT order_date, revenue\n", "FROM\n", "  prod.shop.gold_daily_sales"),
            '"  prod.shop.gold_daily_sales"',
            "query 'Sales': 'prod.shop.gold_daily_sales' names a schema; a dashboard gets it",
        ),
        (
            lambda c: _lines(c, "DELETE FROM gold_daily_sales"),
            '"DELETE FROM gold_daily_sales"',
            "query 'Sales': DELETE is refused",
        ),
        (
            lambda c: _lines(c, "SELECT order_date, no_such(revenue) AS revenue FROM gold_daily_sales"),
            '"SELECT order_date, no_such(revenue) AS revenue FROM gold_daily_sales"',
            "query 'Sales': [UNRESOLVED_ROUTINE] Cannot resolve routine `no_such`",
        ),
        (
            lambda c: c["datasets"].append(c["datasets"][0]),
            '"name": "sales",',
            "two datasets are named 'sales'",
        ),
        (
            lambda c: _widget(c)["queries"][0]["query"].update(datasetName="sale"),
            '"datasetName": "sale",',
            "widget 'right': Unknown dataset 'sale'. Did you mean 'sales'?",
        ),
        (
            lambda c: _widget(c)["queries"][0]["query"]["fields"][0].update(expression="SUM(`price`)"),
            "{",
            "widget 'right': Unknown column 'price'.",
        ),
        (
            lambda c: _widget(c)["queries"][0]["query"]["fields"][0].update(expression="SUM(`revenue`"),
            "{",
            "widget 'right': SQL syntax",
        ),
        (
            lambda c: _widget(c)["spec"]["encodings"]["value"].update(fieldName="sum"),
            '"fieldName": "sum"',
            "widget 'right': Unknown field 'sum'. Valid: total.",
        ),
        (
            lambda c: c["pages"][0]["layout"][1]["position"].update(x=2),
            '"position": {',
            "widget 'right': overlaps widget 'left'",
        ),
        (
            lambda c: c["pages"][0]["layout"][1]["position"].update(x=4),
            '"position": {',
            "widget 'right': is outside of the grid of 6 columns",
        ),
        (
            lambda c: _widget(c).update(name="left"),
            '"name": "left",',
            "two widgets are named 'left'",
        ),
        (lambda c: c.pop("pages"), "{", "is not a dashboard: 'pages' is missing"),
    ],
)
def test_a_mistake_is_found_with_its_line(
    spark: SparkSession,
    home: Path,
    tmp_path: Path,
    change: Callable[[Any], object],
    line: str,
    problem: str,
) -> None:
    found = problems(tmp_path, changed(change))
    assert any(each.startswith(f"{line} | {problem}") for each in found), found


def test_a_query_may_name_a_schema_if_the_deployment_does_not(
    spark: SparkSession, home: Path, tmp_path: Path
) -> None:
    text = changed(lambda c: _lines(c, "SELECT revenue FROM samples.shop.gold_daily_sales"))
    assert problems(tmp_path, text, schema_is_given=False) == []
    (problem,) = problems(tmp_path, text)
    assert "'samples.shop.gold_daily_sales' names a schema" in problem


def test_a_file_that_is_not_json_is_named_with_its_line(
    spark: SparkSession, home: Path, tmp_path: Path
) -> None:
    found = problems(tmp_path, '{\n  "datasets": [,]\n}\n')
    assert found == ['"datasets": [,] | is not JSON: Expecting value']


def test_a_missing_file_is_reported_where_the_bundle_names_it(tmp_path: Path) -> None:
    spec = DashboardSpec(key="gone", file=tmp_path / "gone.lvdash.json", location="resources/x.yml:5")
    (problem,) = dashboard_problems([spec], {})
    assert (problem.location, problem.message) == ("resources/x.yml:5", "there is no file 'gone.lvdash.json'")

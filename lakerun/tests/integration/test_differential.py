"""SQL without Spark has Spark's values and types, or leaves the statement to Spark."""

from __future__ import annotations

import re
import time
from collections import Counter
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from sqlglot import exp

from integration.differential import Answer, Case, Engines, cases, same
from lakerun.sql.databricks_sql import parse_statement
from lakerun.sql.errors import OnlyInSparkError
from lakerun.sql.expressions import AGGREGATE_NAMES, NODES
from lakerun.sql.functions import AGGREGATES, CATALOGUE, WINDOWS, functions
from lakerun.sql.query import query
from lakerun.sql.registry import SCALARS
from lakerun.tables.storage import Storage

SLOW = pytest.mark.slow
LEAST = 1000  # cases that both answer, with the same result


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Engines:
    return Engines(Storage(tmp_path_factory.mktemp("differential")), spark)


@pytest.mark.parametrize(
    ("step", "least"), [pytest.param(10, 100, id="sample"), pytest.param(1, LEAST, id="all", marks=SLOW)]
)
def test_answers_are_the_same_as_sparks(
    engines: Engines, capsys: pytest.CaptureFixture[str], step: int, least: int
) -> None:
    asked = cases()[::step]
    quick, spark = engines.quickly(asked), engines.in_spark(asked)
    outcomes = {case: _outcome(case, quick[case], spark[case]) for case in asked}
    counts = Counter(outcome.split("\n")[0] for outcome in outcomes.values())
    with capsys.disabled():
        print(f"\n{len(asked)} asked: {', '.join(f'{n} {what}' for what, n in sorted(counts.items()))}")
    assert {case.text: outcome for case, outcome in outcomes.items() if outcome not in EXPECTED} == {}
    assert counts["equal"] >= least


EXPECTED = ("equal", "refused by both", "left to Spark")


def test_the_machines_time_zone_changes_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = Engines(Storage(tmp_path), None)
    of_time = [case for case in cases() if re.search(r"\b(at|day|timestamp)\b", case.text, re.IGNORECASE)]
    asked = [case for case in of_time if not re.search(r"[!>] |now|cur|localtime", str(case))][::3]
    in_utc = quick.quickly(asked)
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        there = quick.quickly(asked)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert [case.text for case in asked if not same(case, there[case], in_utc[case])] == []
    assert sum(bool(answer.rows) for answer in in_utc.values()) > 20


def _outcome(case: Case, quick: Answer, spark: Answer) -> str:
    if case.to_spark:
        return "left to Spark" if quick.only_in_spark else f"answered, though marked with >\n{quick}"
    if case.fails != bool(spark.error):
        return f"marked wrongly with !\n{spark.error}"
    if not same(case, quick, spark):
        return f"different\n{quick}\n{spark}"
    return "refused by both" if spark.error else "equal"


def test_every_function_and_every_operator_has_a_case() -> None:
    """A newly allowed one must be compared first."""
    compared = [case.text for case in cases() if not case.to_spark]
    called = {name.lower() for text in compared for name in re.findall(r"(\w+)\(", text)}
    named = {*functions(CATALOGUE), *functions(AGGREGATES), *functions(WINDOWS), *SCALARS, *AGGREGATE_NAMES}
    assert named - called == set()
    written = set()
    for text in compared:
        statement = text if re.match(r"\(*(SELECT|WITH)\b", text) else f"SELECT {text} FROM t"
        written |= {type(node) for node in _parsed(statement).walk()}
    assert set(NODES) - written == set()


def _parsed(text: str) -> exp.Expr:
    try:
        return parse_statement(text)
    except OnlyInSparkError:
        return exp.Null()


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("CAST(3.7 AS INT)", 3),
        ("try_cast('1e3' AS INT)", None),
        ("date_format(TIMESTAMP'2024-05-06 00:00:00', 'yyyy-Q')", "2024-2"),
        ("dayname(DATE'2024-03-05')", "Tue"),
        ("extract(dow FROM DATE'2024-03-05')", 3),
        ("CAST(TIMESTAMP'2024-03-05 01:02:03' AS STRING)", "2024-03-05 01:02:03"),
        ("substring('abc', 0, 2)", "ab"),
        ("to_json(named_struct('a', 1, 'b', CAST(NULL AS INT)))", '{"a":1}'),
        ("typeof(date_add(DATE'2024-03-05', 1))", "date"),
        ("typeof(CAST(1 AS DECIMAL(10, 2)) / 3)", "decimal(14,6)"),
        ("typeof(year(DATE'2024-03-05'))", "int"),
        ("typeof(length('abc'))", "int"),
        ("typeof(size(array(1)))", "int"),
    ],
)
def test_former_differences_between_duckdb_and_spark_are_gone(
    tmp_path: Path, expression: str, expected: object
) -> None:
    found = query(f"SELECT {expression} AS answer", Storage(tmp_path))
    assert found.column("answer").to_pylist() == [expected]

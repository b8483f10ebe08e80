"""Dashboards before they are deployed: every query of `*.lvdash.json` against the tables' schemas."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakerun.errors import LakehouseError, UnknownNameError
from lakerun.spark.empty_rows import empty_rows
from lakerun.spark.session import session_with
from lakerun.sql.databricks_sql import parse_statement, position, stored_tables
from lakerun.tables.storage import Storage

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.types import StructType

LINE = re.compile(r"line (\d+)")


def dashboard_problems(folder: Path, schemas: Mapping[str, StructType]) -> list[tuple[str, str]]:
    """`(file:line, message)` for every query that cannot run; `schemas` by the tables' plain names.

    A query names tables without catalog and schema, which a dashboard gets when it is deployed. Tables of
    the catalog `system` exist on Databricks alone: a query on them is parsed, no more.
    """
    files = sorted(folder.glob("*.lvdash.json"))
    if not files:
        return []
    empty = Storage.default().home / "scratch" / "empty"
    empty.mkdir(parents=True, exist_ok=True)
    found: list[tuple[str, str]] = []
    with session_with({}) as session:
        for name, schema in schemas.items():
            empty_rows(session, schema, empty, False).createOrReplaceTempView(name)
        for file in files:
            found += _of_file(file, session, schemas)
    return found


def _of_file(file: Path, session: SparkSession, schemas: Mapping[str, StructType]) -> list[tuple[str, str]]:
    text = file.read_text(encoding="utf-8")
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        return [(f"{file}:{error.lineno}", f"is no JSON: {error.msg}")]
    found: list[tuple[str, str]] = []
    names: set[str] = set()
    for dataset in document.get("datasets", []) if isinstance(document, dict) else []:
        name = str(dataset.get("displayName") or dataset.get("name"))
        lines = dataset.get("queryLines") or str(dataset.get("query", "")).splitlines(keepends=True)
        places = _places(text, str(dataset.get("name")), dataset.get("queryLines") or [dataset.get("query")])
        query = "".join(lines)
        if dataset.get("name") in names:
            found.append((f"{file}:{places[0]}", f"two datasets are named '{dataset['name']}'"))
        names.add(str(dataset.get("name")))
        for line, problem in _of_query(query, dataset, session, schemas):
            place = places[min(line, len(places)) - 1]
            found.append((f"{file}:{place}", f"query '{name}': {problem}"))
    return found


def _of_query(
    query: str, dataset: Mapping[str, Any], session: SparkSession, schemas: Mapping[str, StructType]
) -> Iterator[tuple[int, str]]:
    """`(line of the query, problem)`."""
    try:
        tree = parse_statement(query)
        tables = stored_tables(tree)
    except LakehouseError as error:
        yield _line(str(error)), str(error)
        return
    on_databricks_only = False
    unknown = False
    for table in tables:
        line = _line(position(query, table.this))
        if table.catalog == "system":
            on_databricks_only = True
        elif table.db or table.catalog:
            unknown = True
            yield line, f"'{table.sql()}' names a schema; a dashboard gets it when it is deployed"
        elif table.name not in schemas:
            unknown = True
            yield line, str(UnknownNameError("table", table.name, schemas))
    if unknown or on_databricks_only:
        return
    try:
        _ = session.sql(query, args=_parameters(dataset)).schema
    except Exception as error:
        first = next(line for line in str(error).splitlines() if line.strip())
        yield _line(str(error)), first.partition(" SQLSTATE")[0]


# A value of each type that a dashboard's parameter can have; which one does not matter to the analysis.
PARAMETERS = {
    "DECIMAL": Decimal(0),
    "INTEGER": 0,
    "DATE": date(2024, 1, 1),
    "DATETIME": datetime(2024, 1, 1),
}


def _parameters(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """A literal for each of the query's parameters."""
    return {
        parameter["keyword"]: PARAMETERS.get(str(parameter.get("dataType")).upper(), "")
        for parameter in dataset.get("parameters", [])
    }


def _places(text: str, name: str, lines: list[str | None]) -> list[int]:
    """The line of the file in which each line of the query is written."""
    at = max(0, text.find(f'"name": {json.dumps(name)}'))
    places = []
    for line in lines:
        for written in (json.dumps(line), json.dumps(line, ensure_ascii=False)):
            if (found := text.find(written, at)) >= 0:
                at = found
                break
        places.append(text.count("\n", 0, at) + 1)
    return places


def _line(text: str) -> int:
    found = LINE.search(text)
    return int(found.group(1)) if found else 1

"""A dashboard's queries on empty tables in Spark: `query_check`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lakerun.errors import LakerunError, UnknownNameError
from lakerun.plugins import TableUnion, loaded_plugins
from lakerun.spark.empty_rows import empty_rows
from lakerun.spark.session import session_with
from lakerun.sql.databricks_sql import parse_statement, position
from lakerun.tables.sql_names import stored_tables
from lakerun.tables.storage import Storage

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.types import StructType

LINE = re.compile(r"line (\d+)")
# A value of each type that a dashboard's parameter can have; which one does not matter to the analysis.
PARAMETERS = {
    "DECIMAL": Decimal(0),
    "INTEGER": 0,
    "DATE": date(2024, 1, 1),
    "DATETIME": datetime(2024, 1, 1),
}


@dataclass(frozen=True)
class Analysed:
    """The names of a query's columns, None if they cannot be determined; `(line of the query, problem)`."""

    columns: list[str] | None
    problems: list[tuple[int, str]]


@contextmanager
def query_check(schemas: Mapping[str, StructType]) -> Iterator[QueryCheck]:
    """A check of queries on empty tables with these schemas, by plain table name, and on plugins' unions."""
    empty = Storage.default().home / "scratch" / "empty"
    empty.mkdir(parents=True, exist_ok=True)
    with session_with({}) as session:
        for name, schema in schemas.items():
            empty_rows(session, schema, empty, False).createOrReplaceTempView(name)
        unions = {}
        for name, union in loaded_plugins().unions.items():
            if name not in schemas and (tables := _tables_of(union, schemas)):
                rows = session.sql(union.sql(tables))
                rows.createOrReplaceTempView(name)
                unions[name] = rows.schema
        yield QueryCheck(session, {**schemas, **unions})


def _tables_of(union: TableUnion, schemas: Mapping[str, StructType]) -> list[str]:
    return [
        name
        for name, schema in schemas.items()
        if name.lower().startswith(union.prefix) and set(union.columns) <= set(schema.names)
    ]


class QueryCheck:
    """Analyses queries; nothing is computed."""

    def __init__(self, session: SparkSession, schemas: Mapping[str, StructType]) -> None:
        self._session = session
        self._schemas = schemas

    def columns(self, dataset: Mapping[str, Any], schema_is_given: bool) -> Analysed:
        """The columns of a dataset's query. With `schema_is_given` the query must not name the schema."""
        lines = dataset.get("queryLines")
        query = "".join(lines) if lines is not None else str(dataset["query"])
        try:
            tables = stored_tables(parse_statement(query))
        except LakerunError as error:
            return Analysed(None, [(_line(str(error)), str(error))])
        elsewhere = False
        problems = []
        for table in tables:
            line = _line(position(query, table.this))
            if table.catalog == "system":
                elsewhere = True
            elif table.db or table.catalog:
                elsewhere = True
                if schema_is_given:
                    name = table.sql("databricks")
                    problem = f"'{name}' names a schema; a dashboard gets it when it is deployed"
                    problems.append((line, problem))
            elif table.name not in self._schemas:
                problems.append((line, str(UnknownNameError("table", table.name, self._schemas))))
        if problems or elsewhere:
            return Analysed(None, problems)
        try:
            return Analysed(self._session.sql(query, args=_parameters(dataset)).columns, [])
        except Exception as error:
            first = next(line for line in str(error).splitlines() if line.strip())
            return Analysed(None, [(_line(str(error)), first.partition(" SQLSTATE")[0])])


def _parameters(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """A literal for each of the query's parameters."""
    return {
        parameter["keyword"]: PARAMETERS.get(str(parameter.get("dataType")).upper(), "")
        for parameter in dataset.get("parameters", [])
    }


def _line(text: str) -> int:
    found = LINE.search(text)
    return int(found.group(1)) if found else 1

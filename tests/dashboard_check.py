"""AI/BI dashboards (`.lvdash.json`): what they hold, and what is wrong with them: `dashboard_problems`.

A dataset's query runs on a laptop as on a SQL warehouse, so that a wrong table, column or function is found
without a workspace.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml
from sqlglot import exp

from lakerun.errors import LakehouseError, UnknownNameError
from lakerun.sql.databricks_sql import parse_statement, stored_tables
from lakerun.sql.query import query
from lakerun.tables.storage import Storage, TableName

SUFFIX = ".lvdash.json"
GRID_COLUMNS = 6
# What a filter may ask for beside columns.
PSEUDO_COLUMNS = frozenset({"*", "associative_filter_predicate_group"})

Path_ = tuple[str | int, ...]


@dataclass(frozen=True)
class DashboardProblem:
    """One mistake. `file` is relative to the bundle; `subject` is `dataset <name>` or `widget <name>`."""

    file: str
    line: int
    subject: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (f"{self.file}:{self.line}", self.subject, self.message) if part)


@dataclass(frozen=True)
class DashboardDataset:
    """A query that a dashboard shows, in Databricks SQL."""

    name: str
    sql: str


@dataclass(frozen=True)
class WidgetQuery:
    """What a widget asks of a dataset: expressions by the name under which it shows them."""

    widget: str
    dataset: str
    fields: Mapping[str, str]
    disaggregated: bool

    def sql(self, dataset_sql: str) -> str:
        """The query that a dashboard sends for this widget."""
        shown = ", ".join(f"{expression} AS `{name}`" for name, expression in self.fields.items())
        grouped = "" if self.disaggregated else " GROUP BY ALL"
        return f"SELECT {shown} FROM (\n{dataset_sql}\n) AS data{grouped}"


@dataclass(frozen=True)
class Dashboard:
    """A dashboard file that could be read."""

    name: str
    datasets: tuple[DashboardDataset, ...]
    queries: tuple[WidgetQuery, ...]


def dashboard_files(root: Path) -> list[Path]:
    """Every dashboard in the bundle's sources."""
    return sorted((root / "src").rglob(f"*{SUFFIX}"))


def read_dashboard(file: Path) -> Dashboard:
    """The datasets and widgets' queries of a sound dashboard file (see `dashboard_problems`)."""
    content = json.loads(file.read_text(encoding="utf-8"))
    return Dashboard(
        name=file.name.removesuffix(SUFFIX),
        datasets=tuple(DashboardDataset(item["name"], _sql(item)) for item in content["datasets"]),
        queries=tuple(
            WidgetQuery(
                widget["name"],
                asked["query"]["datasetName"],
                {field["name"]: field["expression"] for field in asked["query"]["fields"]},
                bool(asked["query"].get("disaggregated")),
            )
            for page in content["pages"]
            for widget in (placed["widget"] for placed in page["layout"])
            for asked in widget.get("queries", [])
        ),
    )


def dashboard_problems(root: Path, tables: Mapping[str, str] | None = None) -> list[DashboardProblem]:
    """What is wrong with the dashboards of the bundle at `root`, by file and line.

    Each query has to be one statement that reads, on tables without catalog and schema, which a deployment
    names; each widget has to show columns of its dataset, within the grid and beside the others. `tables`
    are the schemas of all tables that a query may read, as JSON by short name, which both
    `StructType.json()` and `deltalake.Schema.to_json()` give; with them every query is also run, on
    empty tables, so that an unknown table, column or function is a problem too.
    """
    with tempfile.TemporaryDirectory(prefix="lakehouse-dashboards-") as folder:
        storage = None if tables is None else _empty_tables(Storage(Path(folder)), tables)
        problems = [
            problem for file in dashboard_files(root) for problem in _Check(root, file, storage).problems()
        ]
    return sorted(problems, key=lambda problem: (problem.file, problem.line))


def stored_schemas(storage: Storage, catalog: str, schema: str) -> dict[str, str]:
    """The schemas of a schema's tables, as `dashboard_problems` takes them."""
    from deltalake import DeltaTable

    names = [name for name in storage.tables() if (name.catalog, name.schema) == (catalog, schema)]
    return {name.table: DeltaTable(storage.table_path(name)).schema().to_json() for name in names}


def event_log_schema() -> str:
    """The schema of every published event log, as `dashboard_problems` takes it."""
    from deltalake import Schema

    from lakerun.pipelines.event_log import arrow_schema

    text: str = Schema.from_arrow(arrow_schema()).to_json()
    return text


class _Check:
    """Looks at one file. A mistake is noted with the path to it in the JSON; lines are sought at the end."""

    def __init__(self, root: Path, file: Path, storage: Storage | None) -> None:
        self._file = file.relative_to(root).as_posix()
        self._text = file.read_text(encoding="utf-8")
        self._storage = storage
        self._found: list[tuple[Path_, int, str, str]] = []

    def problems(self) -> list[DashboardProblem]:
        try:
            content = json.loads(self._text)
        except json.JSONDecodeError as error:
            return [DashboardProblem(self._file, error.lineno, "", f"it is not JSON: {error.msg}.")]
        try:
            self._look_at(content)
        except (KeyError, TypeError, AttributeError) as error:
            cause = f"'{error.args[0]}' is missing" if isinstance(error, KeyError) else str(error)
            self._note((), "", f"it has not the form of a dashboard: {cause}.")
        if not self._found:
            return []
        line_of = _lines(self._text)
        return [
            DashboardProblem(self._file, line_of(path, offset), subject, message)
            for path, offset, subject, message in self._found
        ]

    def _note(self, path: Path_, subject: str, message: str, offset: int = 0) -> None:
        """`offset` counts the lines of a query before the mistake."""
        self._found.append((path, offset, subject, message))

    def _look_at(self, content: Mapping[str, Any]) -> None:
        columns: dict[str, list[str] | None] = {}
        for number, dataset in enumerate(content["datasets"]):
            name = dataset["name"]
            if name in columns:
                self._note(("datasets", number, "name"), f"dataset {name}", "the name is given twice.")
            columns[name] = self._columns(dataset, ("datasets", number))
        widgets = Counter(placed["widget"]["name"] for page in content["pages"] for placed in page["layout"])
        for number, page in enumerate(content["pages"]):
            at: Path_ = ("pages", number, "layout")
            for place, placed in enumerate(page["layout"]):
                if widgets[placed["widget"]["name"]] > 1:
                    subject = f"widget {placed['widget']['name']}"
                    self._note((*at, place, "widget", "name"), subject, "the name is given twice.")
                self._widget(placed["widget"], columns, (*at, place, "widget"))
            self._layout(page["layout"], at)

    def _columns(self, dataset: Mapping[str, Any], at: Path_) -> list[str] | None:
        """The names of a query's columns; None where they cannot be told, after the reason was noted."""
        sql, subject = _sql(dataset), f"dataset {dataset['name']}"
        lines: Path_ = (*at, "queryLines" if "queryLines" in dataset else "query")
        try:
            tree = parse_statement(sql)
            for table in stored_tables(tree):
                if table.db:
                    self._note(
                        lines,
                        subject,
                        f"'{table.sql('databricks')}' names a schema: write '{table.name}' alone, "
                        "the bundle says which catalog and schema.",
                        sql[: table.this.meta.get("start", 0)].count("\n"),
                    )
            if self._storage is None:
                names = tree.named_selects if isinstance(tree, exp.Query) else []
                return None if "*" in names else names
            found: list[str] = query(sql, self._storage).column_names
            return found
        except LakehouseError as error:
            position = re.search(r"\bline (\d+)", str(error))
            self._note(lines, subject, str(error), int(position[1]) - 1 if position else 0)
            return None

    def _widget(self, widget: Mapping[str, Any], columns: Mapping[str, list[str] | None], at: Path_) -> None:
        subject, shown = f"widget {widget['name']}", set[str]()
        for number, asked in enumerate(widget.get("queries", [])):
            dataset = asked["query"]["datasetName"]
            where: Path_ = (*at, "queries", number, "query")
            if dataset not in columns:
                self._note(
                    (*where, "datasetName"), subject, str(UnknownNameError("dataset", dataset, columns))
                )
            for place, field in enumerate(asked["query"].get("fields", [])):
                shown.add(field["name"])
                known = columns.get(dataset)
                if known is not None:
                    self._expression(field["expression"], known, subject, (*where, "fields", place))
        for name, path in _field_names(widget.get("spec", {}).get("encodings", {})):
            if name not in shown:
                self._note(
                    (*at, "spec", "encodings", *path), subject, str(UnknownNameError("field", name, shown))
                )

    def _expression(self, expression: str, known: list[str], subject: str, at: Path_) -> None:
        try:
            tree = parse_statement(f"SELECT {expression}")
        except LakehouseError as error:
            self._note(at, subject, str(error))
            return
        for column in tree.find_all(exp.Column):
            if column.name not in PSEUDO_COLUMNS and column.name not in known:
                self._note(at, subject, str(UnknownNameError("column", column.name, known)))

    def _layout(self, layout: Sequence[Mapping[str, Any]], at: Path_) -> None:
        for number, placed in enumerate(layout):
            left, top, right, bottom = _edges(placed)
            if not (0 <= left < right <= GRID_COLUMNS and 0 <= top < bottom):
                self._note(
                    (*at, number, "position"),
                    f"widget {placed['widget']['name']}",
                    f"it is outside of the grid of {GRID_COLUMNS} columns.",
                )
        for (_, one), (number, other) in combinations(enumerate(layout), 2):
            if _overlap(_edges(one), _edges(other)):
                self._note(
                    (*at, number, "position"),
                    f"widget {other['widget']['name']}",
                    f"it lies over widget {one['widget']['name']}.",
                )


def _sql(dataset: Mapping[str, Any]) -> str:
    text: str = "".join(dataset["queryLines"]) if "queryLines" in dataset else dataset["query"]
    return text


def _edges(placed: Mapping[str, Any]) -> tuple[int, int, int, int]:
    position = placed["position"]
    x, y = position["x"], position["y"]
    return x, y, x + position["width"], y + position["height"]


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _field_names(encodings: Any, path: Path_ = ()) -> Iterator[tuple[str, Path_]]:
    """Every `fieldName` within encodings, and where it is."""
    children = (
        encodings.items()
        if isinstance(encodings, Mapping)
        else enumerate(encodings)
        if isinstance(encodings, list)
        else ()
    )
    for key, value in children:
        if key == "fieldName":
            yield value, (*path, key)
        else:
            yield from _field_names(value, (*path, key))


def _lines(text: str) -> Callable[[Path_, int], int]:
    """The line of a value, counted from 1. `offset` goes on within a list of a query's lines."""
    try:
        top: Any = yaml.compose(text, Loader=yaml.CSafeLoader)  # YAML's parser notes lines
    except yaml.YAMLError:
        return lambda path, offset: 1

    def line(path: Path_, offset: int) -> int:
        node: Any = top
        for step in path:
            node = _child(node, step) or node
        if isinstance(node, yaml.SequenceNode):
            for item in node.value:
                node = item
                lines = item.value.count("\n") if isinstance(item, yaml.ScalarNode) else 0
                if offset < max(lines, 1):
                    break
                offset -= lines
        return int(node.start_mark.line) + 1

    return line


def _child(node: Any, step: str | int) -> Any:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == step), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step]
    return None


def _empty_tables(storage: Storage, tables: Mapping[str, str]) -> Storage:
    from deltalake import DeltaTable, Schema

    for name, schema in tables.items():
        path = storage.table_path(TableName("any", "any", name))
        path.mkdir(parents=True)
        DeltaTable.create(path, Schema.from_json(schema))
    return storage

"""Checks dashboards before they are deployed: `dashboard_problems`.

A query must run on the tables' schemas; a widget must show columns of its query, within the grid and
without overlapping other widgets.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from lakerun.bundles.model import DashboardSpec
from lakerun.errors import LakerunError, UnknownNameError
from lakerun.plugins import Problem
from lakerun.sql.dashboard_queries import QueryCheck, query_check
from lakerun.sql.databricks_sql import parse_statement
from lakerun.sql.json_lines import JsonPath, lines_of

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

GRID_COLUMNS = 6  # of a page without a `layoutVersion`
# Fields that a filter may use besides columns.
PSEUDO_COLUMNS = frozenset({"*", "associative_filter_predicate_group"})


def dashboard_problems(
    dashboards: Iterable[DashboardSpec], schemas: Mapping[str, StructType]
) -> list[Problem]:
    """The problems of the dashboards, with file and line; `schemas` are by the tables' plain names.

    A query must name tables without a schema if the deployment provides it. Queries on tables of other
    schemas are only parsed. Needs Spark, started before by `get_session`.
    """
    found: list[Problem] = []
    present: list[DashboardSpec] = []
    for dashboard in dashboards:
        if dashboard.file.is_file():
            present.append(dashboard)
        else:
            found.append(Problem(dashboard.location, f"there is no file '{dashboard.file.name}'"))
    if present:
        with query_check(schemas) as queries:
            for dashboard in present:
                found += _FileCheck(dashboard, queries).problems()
    return found


class _FileCheck:
    """Checks one file. A problem is noted with its path in the JSON; lines are found at the end."""

    def __init__(self, dashboard: DashboardSpec, queries: QueryCheck) -> None:
        self._dashboard = dashboard
        self._queries = queries
        self._found: list[tuple[JsonPath, int, str]] = []

    def problems(self) -> list[Problem]:
        file = self._dashboard.file
        text = file.read_text(encoding="utf-8")
        try:
            content = json.loads(text)
        except json.JSONDecodeError as error:
            return [Problem(f"{file}:{error.lineno}", f"is not JSON: {error.msg}")]
        try:
            self._look_at(content)
        except (KeyError, TypeError, AttributeError) as error:
            cause = f"'{error.args[0]}' is missing" if isinstance(error, KeyError) else str(error)
            self._note((), f"is not a dashboard: {cause}")
        line_of = lines_of(text)
        return [Problem(f"{file}:{line_of(path, offset)}", message) for path, offset, message in self._found]

    def _note(self, path: JsonPath, message: str, offset: int = 0) -> None:
        """Note a problem; `offset` counts the lines of a query before it."""
        self._found.append((path, offset, message))

    def _look_at(self, content: Mapping[str, Any]) -> None:
        columns: dict[str, list[str] | None] = {}
        for number, dataset in enumerate(content["datasets"]):
            name = dataset["name"]
            if name in columns:
                self._note(("datasets", number, "name"), f"two datasets are named '{name}'")
            columns[name] = self._columns(dataset, ("datasets", number))
        widgets = Counter(placed["widget"]["name"] for page in content["pages"] for placed in _layout(page))
        for number, page in enumerate(content["pages"]):
            at: JsonPath = ("pages", number, "layout")
            for place, placed in enumerate(_layout(page)):
                widget = placed["widget"]
                if widgets[widget["name"]] > 1:
                    self._note((*at, place, "widget", "name"), f"two widgets are named '{widget['name']}'")
                self._widget(widget, columns, (*at, place, "widget"))
            self._positions(page, at)

    def _columns(self, dataset: Mapping[str, Any], at: JsonPath) -> list[str] | None:
        """The columns of a dataset that widgets can show; None if they cannot be determined."""
        if "queryLines" not in dataset and "query" not in dataset:
            return None  # a metric view
        lines: JsonPath = (*at, "queryLines" if "queryLines" in dataset else "query")
        found = self._queries.columns(dataset, self._dashboard.schema_is_given)
        for line, problem in found.problems:
            shown = dataset.get("displayName") or dataset["name"]
            self._note(lines, f"query '{shown}': {problem}", line - 1)
        if found.columns is None:
            return None
        calculated = [str(item.get("displayName")) for item in dataset.get("columns", [])]
        return [*found.columns, *calculated]

    def _widget(
        self, widget: Mapping[str, Any], columns: Mapping[str, list[str] | None], at: JsonPath
    ) -> None:
        subject, shown = f"widget '{widget['name']}'", set[str]()
        for number, asked in enumerate(widget.get("queries", [])):
            dataset = asked["query"]["datasetName"]
            where: JsonPath = (*at, "queries", number, "query")
            if dataset not in columns:
                unknown = UnknownNameError("dataset", dataset, columns)
                self._note((*where, "datasetName"), f"{subject}: {unknown}")
            for place, field in enumerate(asked["query"].get("fields", [])):
                shown.add(field["name"])
                known = columns.get(dataset)
                if known is not None:
                    for problem in _expression_problems(field["expression"], known):
                        self._note((*where, "fields", place), f"{subject}: {problem}")
        for name, path in _field_names(widget.get("spec", {}).get("encodings", {})):
            if name not in shown:
                unknown = UnknownNameError("field", name, shown)
                self._note((*at, "spec", "encodings", *path), f"{subject}: {unknown}")

    def _positions(self, page: Mapping[str, Any], at: JsonPath) -> None:
        layout = _layout(page)
        for number, placed in enumerate(layout):
            left, top, right, bottom = _edges(placed)
            beyond = right > GRID_COLUMNS and "layoutVersion" not in page
            if beyond or not (0 <= left < right and 0 <= top < bottom):
                name = placed["widget"]["name"]
                outside = f"is outside of the grid of {GRID_COLUMNS} columns"
                self._note((*at, number, "position"), f"widget '{name}': {outside}")
        for (_, one), (number, other) in combinations(enumerate(layout), 2):
            if _overlap(_edges(one), _edges(other)):
                below, above = one["widget"]["name"], other["widget"]["name"]
                self._note((*at, number, "position"), f"widget '{above}': overlaps widget '{below}'")


def _expression_problems(expression: str, known: Collection[str]) -> Iterator[str]:
    try:
        tree = parse_statement(f"SELECT {expression}")
    except LakerunError as error:
        yield str(error)
        return
    names = {name.lower() for name in known} | PSEUDO_COLUMNS
    for column in tree.find_all(exp.Column):
        if column.name.lower() not in names:
            yield str(UnknownNameError("column", column.name, known))


def _layout(page: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    layout: Sequence[Mapping[str, Any]] = page.get("layout", [])
    return layout


def _edges(placed: Mapping[str, Any]) -> tuple[int, int, int, int]:
    position = placed["position"]
    x, y = position["x"], position["y"]
    return x, y, x + position["width"], y + position["height"]


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _field_names(encodings: Any, path: JsonPath = ()) -> Iterator[tuple[str, JsonPath]]:
    """Every `fieldName` in encodings, with its path."""
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

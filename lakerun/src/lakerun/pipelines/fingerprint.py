"""Hashes everything that decides a materialized view's rows, if all of it is known: `fingerprint`.

A view is skipped only if its definition and the tables that it reads are known and unchanged. A view that
depends on anything else, such as files, a Python function or the clock, is computed at each update.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JError  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lakerun.pipelines.definitions import DatasetDefinition
    from lakerun.tables.storage import TableName

# Bump to invalidate stored fingerprints.
DEFINITION_FORMAT = "3"
# Catalyst's tree patterns. CURRENT_LIKE: the clock, the user, the current catalog.
UNKNOWN = {
    "CURRENT_LIKE": "it uses the current time or user",
    "PYTHON_UDF": "it calls a Python function",
    "EVAL_PYTHON_UDTF": "it calls a Python function",
    "SCALA_UDF": "it calls a function of the JVM",
    "PYTHON_DATA_SOURCE": "it reads a Python data source",
}
NO_LIMIT = 2**31 - 1
CUT = re.compile(r"\.\.\. \d+ more fields")  # beyond `spark.sql.debug.maxToStringFields`
SAMPLE = re.compile(r"^[ :+-]*Sample ", re.MULTILINE)  # a node of the plan, or of a subquery in it


@dataclass(frozen=True)
class Fingerprint:
    """A hash of everything that determines a view's rows, except the tables' rows; or why there is none."""

    value: str | None
    unknown: str = ""


def fingerprint(
    definition: DatasetDefinition,
    rows: DataFrame,
    expectations: Sequence[tuple[str, str, str, str]],
    paths: frozenset[str],
    settings: Mapping[str, str],
) -> Fingerprint:
    """The fingerprint of a view whose query gives `rows`; `paths` are the folders of the tables it reads."""
    import pyspark

    plan: Any = rows._jdf.queryExecution().analyzed()
    # Canonical: without the numbers that Spark generates each time, and without the columns' names.
    canonical = plan.canonicalized()
    text = str(canonical.treeString(True, False, NO_LIMIT, False, False))
    leaves = list(_leaves(plan))
    if unknown := _unknown(rows, plan, text, leaves, paths):
        return Fingerprint(None, unknown)
    parts: Mapping[str, Any] = {
        "format": DEFINITION_FORMAT,
        "spark": pyspark.__version__,
        "settings": dict(settings),
        "plan": text,
        "literals": list(_literals(json.loads(canonical.toJSON()))),
        "columns": rows.schema.json(),
        "values": [_values(leaf) for leaf in leaves if _name(leaf) == "LocalRelation"],
        "expectations": expectations,
        "schema": definition.schema,
        "comment": definition.comment,
        "properties": dict(definition.table_properties),
        "layout": [definition.partition_cols, definition.cluster_by],
    }
    whole = json.dumps(parts, sort_keys=True, default=str)
    return Fingerprint(hashlib.sha256(whole.encode()).hexdigest())


def named(rows: DataFrame, table: TableName) -> DataFrame:
    """The rows of a table with its name in their plan, which Spark's own canonical plan leaves out."""
    from pyspark.sql import functions as F  # noqa: N812

    return rows.where(F.lit(f"table {table}").isNotNull())


def _unknown(rows: DataFrame, plan: Any, text: str, leaves: Sequence[Any], paths: frozenset[str]) -> str:
    """Why equal plans may give different rows; empty if they cannot."""
    patterns: Any = rows.sparkSession._jvm.org.apache.spark.sql.catalyst.trees.TreePattern  # type: ignore[union-attr]
    for pattern, why in UNKNOWN.items():
        if plan.containsPattern(getattr(patterns, pattern)()):
            return why
    if not plan.deterministic() or SAMPLE.search(text):
        return "it is random, or depends on the order of rows"
    if CUT.search(text):
        return "an expression has more parts than Spark shows"
    for leaf in leaves:
        if not _is_known(leaf, paths):
            return f"it reads something other than tables ({_name(leaf)})"
    return ""


def _values(leaf: Any) -> tuple[str, int]:
    """The rows of VALUES: their text has no quotes either, so their hash too."""
    rows = leaf.data()
    return str(rows.toString()), int(rows.hashCode())


def _literals(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Value and type of each literal of a plan as JSON. Its text has no quotes: `a, b` may be one or two."""
    if isinstance(tree, dict):
        # Of bytes, JSON has only an address; the text has all of them.
        if str(tree.get("class", "")).endswith(".Literal") and tree["dataType"] != "binary":
            yield tree.get("value"), tree["dataType"]
        tree = list(tree.values())
    if isinstance(tree, list):
        for each in tree:
            yield from _literals(each)


def _leaves(plan: Any) -> Iterator[Any]:
    found = plan.collectLeaves()
    for number in range(found.size()):
        yield found.apply(number)
    # Subqueries: IN, EXISTS, scalar.
    inner = plan.subqueriesAll()
    for number in range(inner.size()):
        yield from _leaves(inner.apply(number))


def _is_known(leaf: Any, paths: frozenset[str]) -> bool:
    name = _name(leaf)
    if name == "LogicalRelation":
        try:
            files: Any = leaf.relation().location()
        except Py4JError:  # it has no files, such as JDBC
            return False
        # A table of the data folder, at its newest version.
        return (
            _name(files) == "TahoeLogFileIndex"
            and str(files.path().toUri().getPath()) in paths
            and not files.isTimeTravelQuery()
        )
    return name in ("LocalRelation", "OneRowRelation", "Range")


def _name(node: Any) -> str:
    return str(node.getClass().getSimpleName())

"""The effect of each argument of a pipeline's decorators and functions: `ARGUMENTS`, `taken`.

The arguments are those of `pyspark.pipelines` and those that only Databricks has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lakerun.bundles.support import Support, supported
from lakerun.errors import GraphError

_NAMED = {
    "name": "The dataset's name.",
    "comment": "The table's description.",
}
_SETTINGS = {"spark_conf": "Spark's settings for this query only."}
_TABLE = {
    **_NAMED,
    "table_properties": "The Delta table's properties.",
    "partition_cols": "The table is partitioned by these columns.",
    "cluster_by": "The table is clustered by these columns.",
    "schema": "The columns, their order and types; key constraints are kept as a property of the table.",
}
_TABLE_LAYOUT = {
    "cluster_by_auto": "It chooses the layout of a table's files, and no rows depend on it.",
    "private": "The data folder belongs to one user, and nobody else sees its tables.",
}
_TABLE_REFUSED: Mapping[str, str | Support] = {
    "format": Support("refused", "Every table of a pipeline is a Delta table.", ("delta", "DELTA")),
    "path": "Tables are in the data folder.",
    "row_filter": "Every row is visible here.",
}
_QUERY = {"query_function": "The function that returns the rows."}
_EXPECTATIONS = {
    name: f"The same as the decorator `{name}`."
    for name in ("expect_all", "expect_all_or_drop", "expect_all_or_fail")
}
_EXPECTATION = supported(carried_out={"name": "The expectation's name.", "inv": "The SQL constraint."})
_EXPECTATIONS_OF = supported(carried_out={"expectations": "Each constraint by its name."})

ARGUMENTS: Mapping[str, Mapping[str, Support]] = {
    "table": supported(
        carried_out={**_QUERY, **_TABLE, **_SETTINGS},
        no_effect=_TABLE_LAYOUT,
        refused={
            **_TABLE_REFUSED,
            "replace_using": "A streaming table only grows here; use an auto CDC flow.",
            "sequence_by": "A streaming table only grows here; use an auto CDC flow.",
        },
    ),
    "materialized_view": supported(
        carried_out={**_QUERY, **_TABLE, **_SETTINGS},
        no_effect={
            **_TABLE_LAYOUT,
            "refresh_policy": "A view is computed whole, or skipped where nothing has changed.",
        },
        refused=_TABLE_REFUSED,
    ),
    "temporary_view": supported(
        carried_out={
            **_QUERY,
            "name": "The view's name.",
            "comment": "The view's description.",
            "spark_conf": "Spark's settings for every query that reads the view.",
        },
    ),
    "append_flow": supported(
        carried_out={
            "target": "The table that the flow writes to.",
            "name": "The flow's name.",
            **_SETTINGS,
        },
        no_effect={"comment": "It describes the flow, and only the code shows it."},
        refused={"once": "A flow reads everything that arrives; insert rows once with a task of a job."},
    ),
    "create_streaming_table": supported(
        carried_out={
            **_TABLE,
            **_EXPECTATIONS,
            "spark_conf": "Spark's settings for every flow into the table; a flow's own come first.",
        },
        no_effect=_TABLE_LAYOUT,
        refused=_TABLE_REFUSED,
    ),
    "create_sink": supported(
        refused=dict.fromkeys(("name", "format", "options"), "A pipeline writes only tables here.")
    ),
    "create_auto_cdc_flow": supported(
        carried_out={
            "target": "The table that the flow writes to.",
            "source": "The table or view with the changes.",
            "keys": "The columns that identify a row, which reach the table.",
            "sequence_by": "The order of the changes.",
            "ignore_null_updates": "A NULL leaves the value as it was.",
            "apply_as_deletes": "Which changes are deletes.",
            "column_list": "The columns that reach the table.",
            "except_column_list": "The columns that do not.",
            "stored_as_scd_type": "1 keeps the newest row of a key, 2 its history.",
            "track_history_column_list": "The columns of the table whose changes make history.",
            "track_history_except_column_list": "The columns whose changes do not.",
            "name": "The flow's name.",
        },
        refused={
            "apply_as_truncates": "Delete rows by `apply_as_deletes`.",
            "once": "A flow reads everything that arrives.",
        },
    ),
    **dict.fromkeys(("expect", "expect_or_drop", "expect_or_fail"), _EXPECTATION),
    **dict.fromkeys(_EXPECTATIONS, _EXPECTATIONS_OF),
}


def taken(
    function: str, given: Mapping[str, Any], location: str, note: Callable[[str], None]
) -> dict[str, Any]:
    """The arguments that the function carries out; `note` is called for each one without effect.

    Raises GraphError, which names the argument, for one that is refused. Unknown ones are in the result.
    """
    kept = {}
    for name, value in given.items():
        known = ARGUMENTS[function].get(name)
        if known is None or known.effect == "carried out":
            kept[name] = value
        elif known.refuses(value):
            raise GraphError(
                f"{function}: {name}={value!r} is not supported here. {known.reason}", location=location
            )
        elif known.ignores(value):
            note(f"{name} of {function} ({location}): {known.reason}")
    return kept

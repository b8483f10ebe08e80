"""Checks auto CDC flows before they run: their columns, their sequence, and settings that must agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lakerun.errors import GraphError, UnknownNameError
from lakerun.pipelines.definitions import FlowDefinition
from lakerun.tables.storage import TableName

if TYPE_CHECKING:
    from pyspark.sql.types import DataType, StructType

START_AT, END_AT = "__START_AT", "__END_AT"
ARGUMENTS = {
    "scd_type": "stored_as_scd_type",
    "track_history": "track_history_column_list",
    "track_history_except": "track_history_except_column_list",
}


def check_change_flows(table: TableName, flows: list[FlowDefinition]) -> None:
    """Auto CDC flows into one target share its memory, so their settings must agree."""
    first = flows[0]
    for flow in flows[1:]:
        if (first.cdc is None) != (flow.cdc is None):
            raise GraphError(
                f"'{table}' has auto CDC flows and other flows; a table can only have one kind.",
                location=flow.location,
            )
        if not first.cdc or not flow.cdc:
            continue
        for what in ("keys", "scd_type", "ignore_null_updates", "track_history", "track_history_except"):
            ours, theirs = getattr(first.cdc, what), getattr(flow.cdc, what)
            if ours != theirs:
                raise GraphError(
                    f"auto CDC flows '{first.name}' and '{flow.name}' into '{table}' differ in "
                    f"{ARGUMENTS.get(what, what)}: {ours} and {theirs}.",
                    location=flow.location,
                )


def output_columns(flow: FlowDefinition, columns: list[str]) -> list[str]:
    """The columns of an auto CDC flow's source that reach its target, as the source writes them.

    GraphError for a name in the flow's settings that the source lacks, and for a key or a column with history
    that does not reach the target; capitals do not count.
    """
    cdc = flow.cdc
    assert cdc is not None
    own = {name.lower(): name for name in columns}
    named = (cdc.keys, cdc.column_list, cdc.except_column_list, cdc.track_history, cdc.track_history_except)
    for name in [name for names in named for name in names or ()]:
        if name.lower() not in own:
            raise GraphError(
                f"auto CDC flow '{flow.name}': {UnknownNameError('column', name, columns)}",
                location=flow.location,
            )
    left_out = {name.lower() for name in cdc.except_column_list}
    found = [own[name.lower()] for name in cdc.column_list or columns if name.lower() not in left_out]
    for name in (*cdc.keys, *(cdc.track_history or ())):
        if own[name.lower()] not in found:
            raise GraphError(
                f"auto CDC flow '{flow.name}': column '{name}' is a key or has history, "
                "so the lists of columns must not leave it out.",
                location=flow.location,
            )
    return found


def sequence_of(flow: FlowDefinition) -> Any:
    """The expression that orders an auto CDC flow's changes, which may have an alias."""
    from pyspark.sql import functions as F  # noqa: N812

    assert flow.cdc is not None
    by = flow.cdc.sequence_by
    return F.expr(by) if isinstance(by, str) else by


def sequence_column(flow: FlowDefinition) -> Any:
    """The same as the column `__sequence`."""
    return sequence_of(flow).alias("__sequence")


def change_target_schema(flow: FlowDefinition, source: StructType, sequence: DataType) -> StructType:
    """The columns of the table that an auto CDC flow writes."""
    from pyspark.sql.types import StructField, StructType

    assert flow.cdc is not None
    columns = [source[name] for name in output_columns(flow, source.names)]
    if flow.cdc.scd_type == 2:
        columns += [StructField(START_AT, sequence), StructField(END_AT, sequence)]
    return StructType(columns)

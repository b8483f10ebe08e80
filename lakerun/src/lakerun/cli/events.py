"""`lakerun events`: a pipeline's event log, without a JVM."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lakerun.cli.project import (
    EnvironmentOption,
    JsonOption,
    TargetOption,
    complete_pipeline,
)

NAME = "events"
EXAMPLES = (
    "Examples:\n\n{program} events orders_pipeline\n\n"
    "{program} events orders_pipeline --level WARN --update latest\n\n"
    "{program} events orders_pipeline --type flow_progress --json"
)
LEVELS = ("METRICS", "INFO", "WARN", "ERROR")
STYLES = {"METRICS": "dim", "WARN": "yellow", "ERROR": "red"}


def command(
    pipeline: Annotated[str, typer.Argument(help="Pipeline.", autocompletion=complete_pipeline)],
    level: Annotated[
        str | None, typer.Option("--level", help="This level and above: METRICS, INFO, WARN, ERROR.")
    ] = None,
    kind: Annotated[str | None, typer.Option("--type", help="One event type, such as flow_progress.")] = None,
    update: Annotated[str | None, typer.Option("--update", help="One update's id, or: latest.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most this many, the newest.")] = 50,
    env: EnvironmentOption = None,
    target: TargetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a pipeline's event log, the newest event last."""
    from lakerun.cli.output import print_json
    from lakerun.errors import UnknownNameError

    if level is not None and level.upper() not in LEVELS:
        raise UnknownNameError("level", level, LEVELS)
    rows = _events(pipeline, env, target)
    if kind is not None and kind not in (kinds := {row["event_type"] for row in rows}):
        raise UnknownNameError("event type", kind, kinds)
    if update is not None:
        rows = _of_update(rows, update)
    if level is not None:
        rows = [row for row in rows if row["level"] in LEVELS[LEVELS.index(level.upper()) :]]
    rows = [row for row in rows if kind in (None, row["event_type"])][-limit:]
    if as_json:
        print_json(rows)
    else:
        _print(rows)


def _events(pipeline: str, env: str | None, target: str | None) -> list[dict[str, Any]]:
    """All events, the oldest first; empty before the pipeline's first update."""
    from lakerun.bundles.load import PipelineSpec
    from lakerun.cli.project import load_project
    from lakerun.errors import LakerunError, UnknownNameError
    from lakerun.tables.arrow_rows import rows_of
    from lakerun.tables.delta_table import Table
    from lakerun.tables.storage import Storage, TableName

    bundle = load_project(env, target)
    try:
        spec = bundle.find(pipeline)
    except UnknownNameError:
        raise UnknownNameError("pipeline", pipeline, bundle.pipelines) from None
    if not isinstance(spec, PipelineSpec):
        raise LakerunError(
            f"'{pipeline}' is a job; events are kept for each pipeline: {', '.join(bundle.pipelines)}."
        )
    log = spec.event_log or TableName(spec.catalog, spec.schema, f"event_log_{spec.key}")
    storage = Storage.default()
    if log not in storage.tables():
        return []
    found = Table.named(storage, log).read()
    rows = [dict(zip(found.column_names, row, strict=True)) for row in rows_of(found)]
    return sorted(rows, key=lambda row: (row["timestamp"], _sequence(row["sequence"])))


def _sequence(value: object) -> int:
    """The sequence number, from the field of the struct that has it."""
    if isinstance(value, dict):
        return max((_sequence(item) for item in value.values()), default=0)
    return value if isinstance(value, int) else 0


def _of_update(rows: list[dict[str, Any]], update: str) -> list[dict[str, Any]]:
    from lakerun.errors import UnknownNameError

    ids = list(dict.fromkeys(row["origin"]["update_id"] for row in rows if row["origin"].get("update_id")))
    wanted = ids[-1] if update == "latest" and ids else update
    if wanted not in ids:
        raise UnknownNameError("update", update, ids)
    return [row for row in rows if row["origin"].get("update_id") == wanted]


def _print(rows: list[dict[str, Any]]) -> None:
    from rich.markup import escape

    from lakerun.cli.output import console, new_table
    from lakerun.formats import text_value

    out = console()
    if not rows:
        out.print("No events match.")
        return
    table = new_table("Time (UTC)", "Level", "Type", "Message")
    for row in rows:
        style = STYLES.get(row["level"])
        table.add_row(
            text_value(row["timestamp"])[:23],
            row["level"],
            row["event_type"],
            escape(row["message"] or ""),
            style=style,
        )
    out.print(table)

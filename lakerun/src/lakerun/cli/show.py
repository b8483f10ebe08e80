"""`lakerun show`: a table's rows, columns or history, without a JVM."""

from __future__ import annotations

from typing import Annotated

import typer

from lakerun.cli.project import EnvironmentOption, JsonOption, complete_table

NAME = "show"
EXAMPLES = (
    "Examples:\n\n{program} show orders --limit 5\n\n"
    "{program} show orders --columns order_id,price\n\n"
    "{program} show orders --schema\n\n{program} show orders --history --json"
)


def command(
    table: Annotated[
        str, typer.Argument(help="Table name of one, two or three parts.", autocompletion=complete_table)
    ],
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=0, help="At most this many rows or versions.")
    ] = 20,
    columns: Annotated[str, typer.Option("--columns", "-c", help="Columns, separated by commas.")] = "",
    schema: Annotated[bool, typer.Option("--schema", help="Show the columns' names and types.")] = False,
    history: Annotated[bool, typer.Option("--history", help="Show the table's versions.")] = False,
    env: EnvironmentOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a table's rows, its schema or its history."""
    from lakerun.cli.output import print_json, print_rows
    from lakerun.cli.project import default_names
    from lakerun.tables.arrow_rows import rows_of
    from lakerun.tables.delta_table import Table
    from lakerun.tables.storage import Storage

    if schema and history:
        raise typer.BadParameter("Give --schema or --history, not both.")
    storage, (catalog, schema_name) = Storage.default(), default_names(env)
    stored = Table.named(storage, storage.find_table(table, catalog, schema_name))
    form = "json" if as_json else "table"
    if schema:
        rows = [(column.name, column.type, column.comment) for column in stored.columns]
        print_rows(("name", "type", "comment"), rows, form)
    elif history:
        commits = stored.history(limit)
        if as_json:
            print_json(commits)
        else:
            rows = [tuple((c | {"metrics": _metrics(c["metrics"])}).values()) for c in commits]
            print_rows(("version", "timestamp", "operation", "metrics", "user_metadata"), rows, form)
    else:
        chosen = [column.strip() for column in columns.split(",") if column.strip()]
        found = stored.read(chosen, limit + 1)
        rows = rows_of(found.slice(0, limit))
        print_rows(found.column_names, rows, form, more=found.num_rows > limit)


def _metrics(metrics: dict[str, object]) -> str:
    """The main metrics of a commit; the others are in the JSON."""
    names = (
        "numOutputRows",
        "numTargetRowsInserted",
        "numTargetRowsUpdated",
        "numDeletedRows",
        "num_added_rows",
    )
    return ", ".join(f"{name} {metrics[name]}" for name in names if name in metrics)

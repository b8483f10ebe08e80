"""`lakerun tables`: every table of the data folder, without a JVM."""

from __future__ import annotations

from lakerun.cli.project import JsonOption, table_layers

NAME = "tables"
EXAMPLES = "Examples:\n\n{program} tables\n\n{program} tables --json"


def command(as_json: JsonOption = False) -> None:
    """List all tables: layer, rows, size, version, last change, comment."""
    from rich.markup import escape

    from lakerun.cli.output import console, new_table, print_json
    from lakerun.cli.project import project_plugin
    from lakerun.formats import size, text_value
    from lakerun.program import program
    from lakerun.tables.delta_table import Table
    from lakerun.tables.storage import Storage

    storage = Storage.default()
    layers = table_layers()
    found = [
        (name, _layer(name.table, layers), Table.named(storage, name).figures()) for name in storage.tables()
    ]
    if as_json:
        print_json([{"name": str(name), "layer": layer, **vars(figures)} for name, layer, figures in found])
        return
    out = console()
    if not found:
        plugin = project_plugin()
        first = (plugin.first_command if plugin else "") or "list"
        out.print(f"There is no table yet in {storage.home}. Start with: {program(first)}")
        return
    order = {layer.replace("_", " "): number for number, layer in enumerate(layers)}
    found.sort(key=lambda row: (order.get(row[1], len(order)), str(row[0])))
    schemas = {(name.catalog, name.schema) for name, _, _ in found}
    table = new_table(
        "Table", "Layer", "Rows", "Size", "Version", "Last change (UTC)", "Comment",
        right=("Rows", "Size", "Version"),
    )  # fmt: skip
    for name, layer, figures in found:
        table.add_row(
            escape(name.table if len(schemas) == 1 else str(name)),
            layer,
            f"{figures.rows:,}",
            size(figures.size_bytes),
            str(figures.version),
            text_value(figures.last_modified.replace(microsecond=0)),
            escape(figures.comment),
        )
    out.print(table)
    if len(schemas) == 1:
        out.print(f"[dim]all in {'.'.join(schemas.pop())}[/dim]")


def _layer(table: str, layers: tuple[str, ...]) -> str:
    """The layer whose prefix the table's name has."""
    found = next((layer for layer in layers if table.startswith(f"{layer}_")), "")
    return found.replace("_", " ")

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
    from lakerun.tables.storage import Storage
    from lakerun.tables.table_info import table_info

    storage = Storage.default()
    layers = table_layers()
    found = [table_info(storage, name, layers) for name in storage.tables()]
    if as_json:
        print_json([vars(info) | {"name": str(info.name)} for info in found])
        return
    out = console()
    if not found:
        plugin = project_plugin()
        first = (plugin.first_command if plugin else "") or "list"
        out.print(f"There is no table yet in {storage.home}. Start with: {program(first)}")
        return
    order = {layer.replace("_", " "): number for number, layer in enumerate(layers)}
    found.sort(key=lambda info: (order.get(info.layer, len(order)), str(info.name)))
    schemas = {(info.name.catalog, info.name.schema) for info in found}
    table = new_table(
        "Table", "Layer", "Rows", "Size", "Version", "Last change (UTC)", "Comment",
        right=("Rows", "Size", "Version"),
    )  # fmt: skip
    for info in found:
        table.add_row(
            escape(info.name.table if len(schemas) == 1 else str(info.name)),
            info.layer,
            f"{info.rows:,}",
            size(info.size_bytes),
            str(info.version),
            text_value(info.last_modified.replace(microsecond=0)),
            escape(info.comment),
        )
    out.print(table)
    if len(schemas) == 1:
        out.print(f"[dim]all in {'.'.join(schemas.pop())}[/dim]")

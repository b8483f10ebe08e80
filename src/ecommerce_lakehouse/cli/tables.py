"""`lakehouse tables`: every table of the data folder, without a JVM."""

from __future__ import annotations

from ecommerce_lakehouse.cli.project import JsonOption

NAME = "tables"
EXAMPLES = "Examples:\n\nlakehouse tables\n\nlakehouse tables --json"


def command(as_json: JsonOption = False) -> None:
    """List all tables: layer, rows, size, version, last change, comment."""
    from rich.markup import escape

    from ecommerce_lakehouse.cli.output import console, new_table, print_json, size_text, text_value
    from ecommerce_lakehouse.engine.storage import Storage
    from ecommerce_lakehouse.engine.table_info import LAYERS, table_info

    storage = Storage.default()
    found = [table_info(storage, name) for name in storage.tables()]
    if as_json:
        print_json([vars(info) | {"name": str(info.name)} for info in found])
        return
    out = console()
    if not found:
        out.print(f"There is no table yet in {storage.home}. Start with: lakehouse run e2e_pipeline_job")
        return
    order = {layer.replace("_", " "): number for number, layer in enumerate(LAYERS)}
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
            size_text(info.size_bytes),
            str(info.version),
            text_value(info.last_modified.replace(microsecond=0)),
            escape(info.comment),
        )
    out.print(table)
    if len(schemas) == 1:
        out.print(f"[dim]all in {'.'.join(schemas.pop())}[/dim]")

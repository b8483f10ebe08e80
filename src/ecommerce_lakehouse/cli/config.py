"""`lakehouse config`: the settings of an environment."""

from __future__ import annotations

from ecommerce_lakehouse.cli.project import LOCAL, EnvironmentOption, JsonOption

NAME = "config"
EXAMPLES = "Examples:\n\nlakehouse config\n\nlakehouse config --env prod --json"


def command(env: EnvironmentOption = LOCAL, as_json: JsonOption = False) -> None:
    """Show the settings of an environment, and the folder that holds the data."""
    from rich.markup import escape

    from ecommerce_lakehouse.cli.output import console, new_table, print_json, text_value
    from ecommerce_lakehouse.config import get_config
    from ecommerce_lakehouse.engine.storage import Storage

    config = get_config(env)
    values = config.model_dump(mode="json") | {
        "volume_path": config.volume_path,
        "data_folder": str(Storage.default().home),
    }
    if as_json:
        print_json(values)
        return
    table = new_table("Setting", "Value")
    for name, value in values.items():
        table.add_row(name, escape(text_value(value)))
    console().print(table)

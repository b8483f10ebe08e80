"""`lakehouse config`: show an environment's settings, and check its file."""

from __future__ import annotations

from typing import Annotated

import typer

from ecommerce_lakehouse.cli.options import LOCAL, EnvironmentOption, JsonOption

NAME = "config"
EXAMPLES = (
    "Examples:\n\nlakehouse config\n\nlakehouse config --env prod --json\n\nlakehouse config validate --all"
)
app = typer.Typer(
    name=NAME,
    help="Show the settings of an environment, and the folder that holds the data.",
    epilog=EXAMPLES,
    invoke_without_command=True,
)


@app.callback()
def show(context: typer.Context, env: EnvironmentOption = LOCAL, as_json: JsonOption = False) -> None:
    """Show the settings of an environment, and the folder that holds the data."""
    if context.invoked_subcommand is not None:
        return
    from rich.markup import escape

    from ecommerce_lakehouse.config import get_config
    from lakerun.cli.output import console, new_table, print_json
    from lakerun.formats import text_value
    from lakerun.tables.storage import Storage

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


@app.command("validate")
def validate(
    env: EnvironmentOption = "dev",
    every: Annotated[bool, typer.Option("--all", help="Every environment.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check an environment's settings: list every problem with its field and file; exit code 1 if any."""
    from dataclasses import asdict

    from ecommerce_lakehouse.config import ENVIRONMENTS
    from ecommerce_lakehouse.config.settings import settings_file
    from ecommerce_lakehouse.config.validate import problems_of
    from lakerun.cli.app import fail
    from lakerun.cli.output import print_json
    from lakerun.errors import FAILED, UnknownNameError

    if env not in ENVIRONMENTS:
        raise UnknownNameError("environment", env, ENVIRONMENTS)
    chosen = ENVIRONMENTS if every else (env,)
    problems = [problem for name in chosen for problem in problems_of(name)]
    if as_json:
        print_json([asdict(problem) for problem in problems])
    elif problems:
        for problem in problems:
            typer.echo(str(problem))
    else:
        typer.echo(f"Valid: {', '.join(settings_file(name).name for name in chosen)}")
    if problems:
        raise typer.Exit(FAILED if as_json else fail(f"{len(problems)} problem(s) in the settings.", FAILED))

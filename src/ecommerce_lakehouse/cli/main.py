"""The `lakehouse` command. Each command's work, and its heavy imports, are in a module of its own."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from ecommerce_lakehouse import __version__
from ecommerce_lakehouse.cli import (
    bundle_list,
    clean,
    config,
    events,
    generate,
    health,
    metrics,
    quality,
    quarantine,
    run,
    show,
    sql,
    tables,
    validate,
    workspace,
)
from ecommerce_lakehouse.cli.app import EXIT_CODES, INTERRUPTED, LakehouseGroup

app = typer.Typer(
    name="lakehouse",
    cls=LakehouseGroup,
    help="Run and look at the lakehouse on this machine, with local Spark and Delta.",
    epilog=f"Start with: lakehouse run e2e_pipeline_job\n\n{EXIT_CODES}",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lakehouse {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop."),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


for _module in (run, bundle_list, tables, show, sql, events, validate, health, clean):
    app.command(_module.NAME, epilog=_module.EXAMPLES)(_module.command)
for _group in (config, generate, metrics, quality, quarantine, workspace):
    app.add_typer(_group.app)


def main() -> None:
    """Entry point of the `lakehouse` script."""
    try:
        app()
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            # Threads that wait for Spark would hold the process; every write survives a kill.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(INTERRUPTED)
        raise


if __name__ == "__main__":
    main()

"""The command line. Each command's work, with its heavy imports, is in its own module."""

from __future__ import annotations

import os
import sys

import typer

from lakerun import __version__
from lakerun.cli import (
    bundle_list,
    clean,
    events,
    run,
    show,
    sql,
    tables,
    validate,
    workspace,
)
from lakerun.cli.app import EXIT_CODES, INTERRUPTED, CommandGroup, root_group
from lakerun.plugins import Loaded, loaded_plugins
from lakerun.program import use_program

COMMANDS = (run, bundle_list, tables, show, sql, events, validate, clean)
SUMMARY = "Run a Databricks bundle on this machine, with local Spark and Delta."


def command_line(program: str = "lakerun", plugins: Loaded | None = None) -> typer.Typer:
    """The command line named `program`, with the commands of plugins, by default the installed ones."""
    use_program(program)
    loaded = loaded_plugins() if plugins is None else plugins
    own = next((plugin for plugin in loaded.plugins if plugin.program == program), None)
    version = own.version if own and own.version else __version__
    first = own.first_command if own and own.first_command else "list"
    app = typer.Typer(
        name=program,
        cls=root_group(program, loaded),
        help=own.summary if own and own.summary else SUMMARY,
        epilog=f"Start with: {program} {first}\n\n{EXIT_CODES}",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    def print_version(wanted: bool) -> None:
        if wanted:
            typer.echo(f"{program} {version}")
            raise typer.Exit

    @app.callback(invoke_without_command=True)
    def options(
        context: typer.Context,
        version: bool = typer.Option(
            False, "--version", callback=print_version, is_eager=True, help="Print the version and stop."
        ),
    ) -> None:
        for problem in loaded.problems:
            typer.echo(f"Warning: {problem}", err=True)
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())

    modules = [*COMMANDS, workspace, *(module for plugin in loaded.plugins for module in plugin.commands())]
    for module in modules:
        if hasattr(module, "app"):
            app.add_typer(module.app)
        else:
            app.command(module.NAME, epilog=module.EXAMPLES)(module.command)
    return app


def main(program: str = "lakerun") -> None:
    """Entry point of the `lakerun` script, and of a project's own."""
    try:
        command_line(program)()
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            # Threads that wait for Spark would hold the process; every write survives a kill.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(INTERRUPTED)
        raise


__all__ = ["CommandGroup", "command_line", "main"]

if __name__ == "__main__":
    main()

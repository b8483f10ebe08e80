"""The `lakehouse` command: the runtime's command line with the shop's commands."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

PROGRAM = "lakehouse"


def command_line() -> typer.Typer:
    """The command line as a typer application."""
    from lakerun.cli.main import command_line

    return command_line(PROGRAM)


def main() -> None:
    """Entry point of the `lakehouse` script."""
    try:
        from lakerun.cli.main import main
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "lakerun":
            raise
        sys.exit("Error: The lakehouse command needs the package lakerun, which is not installed here.")
    main(PROGRAM)


if __name__ == "__main__":
    main()

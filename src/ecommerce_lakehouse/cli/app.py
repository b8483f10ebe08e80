"""The typer application: error messages in one line, and exit codes that a script can use."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

OK, FAILED, USAGE, BUSY, INTERRUPTED = 0, 1, 2, 3, 130

EXIT_CODES = (
    "Exit codes: 0 done, 1 the run failed, 2 wrong usage or unknown name, 3 another run has the data folder, "
    "130 interrupted."
)


class LakehouseGroup(TyperGroup):
    """Runs a command; whatever it raises becomes one line on stderr and an exit code."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        try:
            result = super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
            code = result if isinstance(result, int) else OK
            if code == INTERRUPTED:  # typer's own answer to Ctrl-C
                fail("Interrupted.", INTERRUPTED)
        except typer.Abort:
            code = fail("Stopped; nothing was done.", FAILED)
        except Exception as error:
            code = _report(error)
        if standalone_mode:
            sys.exit(code)
        return code


def _report(error: Exception) -> int:
    from ecommerce_lakehouse.engine import errors

    if isinstance(error, errors.BusyError):
        return fail(str(error), BUSY)
    if isinstance(error, errors.UnknownNameError | errors.BundleError):
        return fail(str(error), USAGE)
    if isinstance(error, errors.LakehouseError):
        return fail(str(error), getattr(error, "exit_code", FAILED), error.hint)
    if isinstance(error, _usage_error()):
        return fail(_usage_message(error), USAGE)
    from ecommerce_lakehouse.config import ConfigError

    if isinstance(error, ConfigError):
        return fail(str(error), USAGE)
    return fail(f"Unexpected {_first_line(error)}. Details: {_keep_traceback(error)}", FAILED)


def fail(message: str, code: int, hint: str | None = None) -> int:
    """Print one line on stderr; returns the exit code."""
    label = "Error:"
    if sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
        label = typer.style(label, fg="red")
    typer.echo(f"{label} {' '.join(message.split())}", err=True)
    if hint:
        typer.echo(hint, err=True)
    return code


def _usage_error() -> type[Exception]:
    """The parser's own error class, which typer shows only as the base of its public one."""
    return typer.BadParameter.__mro__[1]


def _usage_message(error: Exception) -> str:
    from ecommerce_lakehouse.engine.errors import UnknownNameError

    context = getattr(error, "ctx", None)
    message = str(error.format_message() if hasattr(error, "format_message") else error)
    if message.startswith("No such command"):
        commands = [c.name for c in context.command.commands.values()] if context else []
        return str(UnknownNameError("command", message.split("'")[1], commands))
    return f"{message} See: {context.command_path} --help" if context else message


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _keep_traceback(error: Exception) -> str:
    from ecommerce_lakehouse.engine.storage import Storage

    path = Storage.default().log_path("lakehouse")
    with path.open("a", encoding="utf-8") as log:
        log.write("".join(traceback.format_exception(error)))
    return str(path)

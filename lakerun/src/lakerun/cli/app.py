"""The typer application: error messages in one line, and exit codes that a script can use."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from lakerun.errors import FAILED, USAGE, UnknownNameError, is_for_users, typed_first_line
from lakerun.plugins import Loaded

OK, INTERRUPTED = 0, 130

EXIT_CODES = (
    "Exit codes: 0 done, 1 the run failed, 2 wrong usage or unknown name, 3 another run has the data folder, "
    "130 interrupted."
)


class CommandGroup(TyperGroup):
    """Runs a command; an exception becomes one line on stderr and an exit code."""

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

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the first argument names; UnknownNameError if there is none."""
        name = args[0]
        is_option = name.startswith("-")  # the parser reports the error
        if not is_option and not ctx.resilient_parsing and self.get_command(ctx, name) is None:
            raise UnknownNameError("command", name, self.commands)
        return super().resolve_command(ctx, args)


def root_group(program: str, loaded: Loaded) -> type[CommandGroup]:
    """The outermost group. It completes the help of its commands for this program and its plugins.

    `{program}` becomes the program's name. A plugin's examples of a command replace the command's own.
    `--env` is offered if a plugin has environments; `{environments}` are their names.
    """
    examples = {path: lines for plugin in loaded.plugins for path, lines in plugin.examples.items()}
    environments = next((plugin.environments for plugin in loaded.plugins if plugin.environments), None)
    names = environments.names if environments else ()
    offered = f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else "".join(names)
    default = f" By default {environments.default}" if environments else ""

    def complete(text: str | None) -> str | None:
        replaced = {"{program}": program, "{environments}": f"{offered}.{default}"}
        for placeholder, value in replaced.items():
            text = text.replace(placeholder, value) if text else text
        return text

    class Root(CommandGroup):
        def __init__(self, **values: Any) -> None:
            super().__init__(**values)
            for path, command in _commands(self):
                if path in examples:
                    listed = "\n\n".join(f"{program} {line}" for line in examples[path])
                    command.epilog = f"Examples:\n\n{listed}"
                command.help, command.epilog = complete(command.help), complete(command.epilog)
                if not environments:
                    command.params = [param for param in command.params if "--env" not in param.opts]
                for param in command.params:
                    if hasattr(param, "help"):
                        param.help = complete(param.help)

    return Root


def _commands(group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every command and group below, by its words on the command line."""
    for name, command in group.commands.items():
        yield f"{path} {name}".lstrip(), command
        if hasattr(command, "commands"):
            yield from _commands(command, f"{path} {name}")


def _report(error: Exception) -> int:
    if isinstance(error, _usage_error()):  # it has an exit code as well
        return fail(_usage_message(error), USAGE)
    if is_for_users(error):
        return fail(str(error), error.exit_code, getattr(error, "hint", None))  # type: ignore[attr-defined]
    if ended := _end_of_spark(error):
        return fail(ended, FAILED)
    return fail(f"Unexpected {typed_first_line(error)}. Details: {_keep_traceback(error)}", FAILED)


def _end_of_spark(error: Exception) -> str | None:
    if "pyspark" not in sys.modules:
        return None
    from lakerun.spark.causes import end_of_spark

    return end_of_spark(error)


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
    """The parser's own error class, which typer exposes only as the base of its public one."""
    return typer.BadParameter.__mro__[1]


def _usage_message(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    message = str(error.format_message() if hasattr(error, "format_message") else error)
    return f"{message} See: {context.command_path} --help" if context else message


def _keep_traceback(error: Exception) -> str:
    from lakerun.program import program
    from lakerun.tables.storage import Storage

    path = Storage.default().log_path(program())
    with path.open("a", encoding="utf-8") as log:
        log.write("".join(traceback.format_exception(error)))
    return str(path)

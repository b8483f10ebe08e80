"""Calls the command line in tests: `CommandLine`, `lakerun`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import typer
from typer.testing import CliRunner, Result

from lakerun.cli.main import command_line


@dataclass(frozen=True)
class CommandLine:
    """Calls commands in this process."""

    app: Callable[[], typer.Typer]

    def __call__(self, *arguments: str, **options: Any) -> Result:
        return CliRunner().invoke(self.app(), list(arguments), **options)

    def json(self, *arguments: str, **options: Any) -> Any:
        """The command's output with --json; the test fails if it prints anything else."""
        result = self(*arguments, "--json", **options)
        assert (result.exit_code, result.stderr) == (0, "")
        return json.loads(result.stdout)

    def error(self, code: int, *arguments: str) -> str:
        """The one-line error of a command that fails."""
        result = self(*arguments)
        assert (result.exit_code, result.stdout) == (code, "")
        (line,) = result.stderr.splitlines()
        assert line.startswith("Error: ")
        return line.removeprefix("Error: ")


lakerun = CommandLine(command_line)

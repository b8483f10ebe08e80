"""The command line as the tests call it."""

from __future__ import annotations

import json
from typing import Any

from typer.testing import CliRunner, Result

from ecommerce_lakehouse.cli.main import command_line


def lakehouse(*arguments: str, **options: Any) -> Result:
    return CliRunner().invoke(command_line(), list(arguments), **options)


def as_json(*arguments: str) -> Any:
    """What the command prints with --json; the test fails unless that is all it prints."""
    result = lakehouse(*arguments, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout)


def error_of(code: int, *arguments: str) -> str:
    """The one line with which the command fails."""
    result = lakehouse(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    return line.removeprefix("Error: ")

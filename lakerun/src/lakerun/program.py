"""The command's name in messages: `lakerun`, unless a project has its own command line."""

from __future__ import annotations

import os

# In the environment, so that the processes that a command starts use the same name.
VARIABLE = "LAKERUN_PROGRAM"


def use_program(name: str) -> None:
    """Use `name` for the command in messages of this process and of those that it starts."""
    os.environ[VARIABLE] = name


def program(arguments: str = "") -> str:
    """A command line for a message: `lakerun run nightly_job`."""
    return f"{os.environ.get(VARIABLE) or 'lakerun'} {arguments}".rstrip()

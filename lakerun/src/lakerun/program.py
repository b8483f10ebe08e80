"""What the command is called in messages: `lakerun`, unless a project has a command line of its own."""

from __future__ import annotations

import os

# In the environment, so that the processes which a command starts say the same.
VARIABLE = "LAKERUN_PROGRAM"


def use_program(name: str) -> None:
    """Call the command `name` in every message of this process and of those that it starts."""
    os.environ[VARIABLE] = name


def program(arguments: str = "") -> str:
    """A command line for a message: `lakerun run nightly_job`."""
    return f"{os.environ.get(VARIABLE) or 'lakerun'} {arguments}".rstrip()

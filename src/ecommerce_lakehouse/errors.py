"""The root of the shop's errors: `ShopError`, and any error's text in one line: `first_line`.

A command line reads four attributes of an error, whatever its class: `code`, a constant for programs;
`location`, `file:line` or None; `hint`, a second line or None; and `exit_code`.
"""

from __future__ import annotations

FAILED, USAGE, BUSY = 1, 2, 3


class ShopError(Exception):
    """A problem that a user can solve; its text is one line that says what to do.

    `hint` adds detail on a second line. `location` says where the cause is written; the text starts with it,
    `message` is the rest.
    """

    code = "FAILED"
    exit_code = FAILED

    def __init__(self, message: str, hint: str | None = None, *, location: str | None = None) -> None:
        self.message, self.hint, self.location = message, hint, location
        super().__init__(message if location is None else f"{location}: {message}")


def first_line(error: Exception, *, at_most: int = 1000) -> str:
    """The first line of an error's text that is not empty, else the name of its type."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:at_most] if lines else type(error).__name__

"""Errors that a user can act on: one line each, with the closest valid name for a wrong one.

The command line uses four attributes of an error of any class, so that a project's own errors can have
them: `code`, a constant for programs; `location`, `file:line` or None; `hint`, a second line or None; and
`exit_code`, which marks an error that is meant for users.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

FAILED, USAGE, BUSY = 1, 2, 3


class LakerunError(Exception):
    """A problem with a one-line message that says what to do.

    `hint` adds detail on a second line. `location` says where the cause is written; the error's text starts
    with it, `message` is the rest.
    """

    code = "FAILED"
    exit_code = FAILED

    def __init__(self, message: str, hint: str | None = None, *, location: object = None) -> None:
        self.message = message
        self.location = None if location is None else str(location)
        self.hint = hint
        super().__init__(message if location is None else f"{location}: {message}")


class UnknownNameError(LakerunError):
    """A name that does not exist; lists the valid ones, the closest first."""

    code = "UNKNOWN_NAME"
    exit_code = USAGE

    def __init__(self, kind: str, name: str, valid: Iterable[str]) -> None:
        names = sorted(set(valid))
        ordered = closest_first(name, names)
        close = get_close_matches(name, names, n=1, cutoff=0.5)
        guess = f" Did you mean '{close[0]}'?" if close else ""
        listed = f" Valid: {', '.join(ordered)}." if ordered else " There is none yet."
        super().__init__(f"Unknown {kind} '{name}'.{guess}{listed}")
        self.kind = kind
        self.valid = ordered


class GraphError(LakerunError):
    """The pipeline's definitions do not form a graph that can run."""

    code = "INVALID_GRAPH"


class BusyError(LakerunError):
    """Another run holds the data folder."""

    code = "BUSY"
    exit_code = BUSY


class SettingsError(LakerunError):
    """Settings given to the API are wrong: `field` says where, such as `tasks[2].depends_on`."""

    code = "INVALID_SETTINGS"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field, self.problem = field, problem


class BundleError(LakerunError):
    """The bundle's YAML is wrong: the location names the file, the message the key."""

    code = "INVALID_BUNDLE"
    exit_code = USAGE


def is_for_users(error: BaseException) -> bool:
    """Whether the error's text is one line that was written for users."""
    return getattr(error, "exit_code", None) is not None


def first_line(error: BaseException, *, at_most: int = 1000) -> str:
    """The first line of an error's text that is not empty, else the name of its type."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:at_most] if lines else type(error).__name__


def typed_first_line(error: BaseException) -> str:
    """The same after the error's type, as Python shows it, unless the text was written for users."""
    line, name = first_line(error), type(error).__name__
    return line if is_for_users(error) or line == name else f"{name}: {line}"


def closest_first(name: str, names: list[str]) -> list[str]:
    """All names, those that resemble `name` first."""
    close = get_close_matches(name, names, n=len(names) or 1, cutoff=0.3)
    return close + [other for other in names if other not in close]

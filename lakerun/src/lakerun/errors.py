"""Errors that a user can act on: one line each, with the closest valid name where a name is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class LakehouseError(Exception):
    """A problem with a one-line message that says what to do. `hint` adds detail on a second line."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UnknownNameError(LakehouseError):
    """A name that does not exist; lists the valid ones, the closest first."""

    def __init__(self, kind: str, name: str, valid: Iterable[str]) -> None:
        names = sorted(set(valid))
        ordered = closest_first(name, names)
        close = get_close_matches(name, names, n=1, cutoff=0.5)
        guess = f" Did you mean '{close[0]}'?" if close else ""
        listed = f" Valid: {', '.join(ordered)}." if ordered else " There is none yet."
        super().__init__(f"Unknown {kind} '{name}'.{guess}{listed}")
        self.valid = ordered


class GraphError(LakehouseError):
    """The pipeline's definitions do not form a graph that can run."""


class BusyError(LakehouseError):
    """Another run holds the data folder."""


class SettingsError(LakehouseError):
    """Settings that the API was given are wrong: `field` says where, as in `tasks[2].depends_on`."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


class BundleError(LakehouseError):
    """The bundle's YAML is wrong: the message names the file and the key."""


def closest_first(name: str, names: list[str]) -> list[str]:
    """All names, those that resemble `name` first."""
    close = get_close_matches(name, names, n=len(names) or 1, cutoff=0.3)
    return close + [other for other in names if other not in close]

"""What an erasure needs from where the lakehouse is: `Place`, and what it says of its work."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.observability.lakehouse import installed
from ecommerce_lakehouse.privacy.people import People
from ecommerce_lakehouse.privacy.scan import Scan

GROUP = "ecommerce_lakehouse.place"
"""Entry points of this group take the settings and return a Place, or None if they do not apply."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Removed:
    """What went from one table, file or store: `rows` of its newest version; `all_rows` of every version."""

    what: str
    kind: str
    rows: int
    all_rows: int = 0


@dataclass(frozen=True)
class Searched:
    """The people with what is only theirs, and those of them of whom there is anything."""

    people: People
    known: frozenset[str]


class LogEntry(BaseModel):
    """One row of the table `privacy_log`. Nothing in it names anybody."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: str
    request: str
    action: str
    person: str
    by: str
    files: int
    bytes: int
    rows: int
    findings: int
    sent: str
    signature: str


class Place(Protocol):
    """Where the lakehouse is. Every method may be repeated; a kill between or within them loses nothing."""

    def exclusive(self) -> AbstractContextManager[None]:
        """Keep everything else out that changes the lakehouse; raises an error that names the holder."""

    def unfinished(self) -> People | None:
        """The people of an erasure that was killed."""

    def begin(self, people: People) -> None:
        """Remember the people until `finish`, because their traces go one after the other."""

    def finish(self) -> None:
        """Forget the people."""

    def search(self, ids: frozenset[str], tell: Tell) -> Searched:
        """What the lakehouse knows of people by their ids."""

    def remove(self, people: People, tell: Tell, *, dry_run: bool) -> list[Removed]:
        """Remove everything of the people, or say what there is."""

    def scan(self, people: People, tell: Tell) -> Scan:
        """Look for the people everywhere."""

    def record(self, entries: list[LogEntry]) -> None:
        """Append to the table `privacy_log`, which the first call creates."""


def installed_place(config: LakehouseConfig) -> Place | None:
    """The place of these settings that an entry point of this installation knows; None on Databricks."""
    found: Place | None = installed(GROUP, config)
    return found

"""Decides when new files in a folder or changed tables start a run: `Watch`, `files_in`, `versions_of`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lakerun.errors import LakerunError
from lakerun.tables.delta_table import Table
from lakerun.tables.storage import Storage, TableName

State = Mapping[str, str]
"""What is there: files by path, or tables by name, each with a text that a change changes."""


@dataclass
class Watch:
    """What a trigger has seen. `seen` is from its last start; times are seconds of any clock.

    `has_news` compares what was seen with what is there now.
    """

    has_news: Callable[[State, State], bool]
    pause_seconds: float
    quiet_seconds: float
    seen: State
    started: float | None = None
    _last: State = field(default_factory=dict)
    _changed: float = 0.0

    def is_due(self, there: State, now: float) -> bool:
        """Whether a run has to start now; if so, this is noted."""
        if not self.has_news(self.seen, there):
            return False
        if there != self._last:
            self._last, self._changed = there, now
        is_quiet = now - self._changed >= self.quiet_seconds
        may_start = self.started is None or now - self.started >= self.pause_seconds
        if is_quiet and may_start:
            self.seen, self.started = there, now
            return True
        return False


def files_in(folder: Path) -> State:
    """Every file below a folder, which need not exist yet."""
    found = {}
    for file in sorted(folder.rglob("*")):
        try:
            if file.is_file():
                state = file.stat()
                found[file.relative_to(folder).as_posix()] = f"{state.st_mtime_ns} {state.st_size}"
        except OSError:
            continue  # it was removed meanwhile
    return found


def new_files(seen: State, there: State) -> bool:
    """Whether there are files that did not exist before. A file that is written again is not new."""
    return not there.keys() <= seen.keys()


def versions_of(storage: Storage, names: tuple[str, ...]) -> State:
    """The identity and the newest version of each table that exists."""
    found = {}
    for name in names:
        table = Table.named(storage, _table_name(name))
        version = table.newest
        if version is not None:
            found[name] = f"{table.table_id} {version}"
    return found


def changed_tables(storage: Storage, seen: State, there: State) -> set[str]:
    """The tables whose rows changed. OPTIMIZE and VACUUM do not count."""
    return {name for name in there if _changed(storage, name, seen.get(name), there[name])}


def _changed(storage: Storage, name: str, seen: str | None, there: str) -> bool:
    if seen is None or seen.split()[0] != there.split()[0]:
        return True
    return Table.named(storage, _table_name(name)).data_changed_since(int(seen.split()[1]))


def _table_name(name: str) -> TableName:
    parts = name.split(".")
    if len(parts) != 3:
        raise LakerunError(f"trigger.table_update.table_names: '{name}' is not catalog.schema.table.")
    return TableName(*parts)

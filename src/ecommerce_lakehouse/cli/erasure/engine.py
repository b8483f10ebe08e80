"""What the engine keeps of people beside its tables, and what it has to compute again: `Engine`.

A view that reads a table from which rows went is computed by the next update. So is a stream that keeps a
state, such as open windows: its state may hold rows, so its checkpoint goes, and the next update reads its
source, without the people, from the start. All other streams go on where they are.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from lakerun.pipelines.state import State
from lakerun.tables.storage import Storage


@dataclass(frozen=True)
class ToCompute:
    """What the next update computes again: views, and streaming tables from their start."""

    views: tuple[str, ...]
    streams: tuple[str, ...]


class Engine:
    """The state of all pipelines of a data folder."""

    def __init__(self, storage: Storage) -> None:
        self._folder = storage.home / "pipelines"

    def forget(self, touched: Iterable[str], rebuilt: Iterable[str] = ()) -> ToCompute:
        """Make the next update compute what depends on tables from which rows went, by their full names.

        `rebuilt` are streaming tables to compute from the start whatever they keep. Repeating it is harmless.
        """
        tables, again = set(touched), set(rebuilt)
        views: list[str] = []
        streams: list[str] = []
        for path in sorted(self._folder.glob("*/state.db")):
            with closing(sqlite3.connect(path, isolation_level=None)) as db:
                known = {name: set(json.loads(inputs or "{}")) for name, inputs in _rows(db, "datasets")}
                flows = {name: set(json.loads(inputs or "{}")) for name, inputs in _rows(db, "flows")}
                for view, inputs in known.items():
                    if inputs & tables or view in tables:
                        db.execute("DELETE FROM datasets WHERE name = ?", (view,))
                        views.append(view)
            reset = [
                flow
                for flow, inputs in flows.items()
                if flow in again or ((not inputs or inputs & tables) and self._stateful(path.parent, flow))
            ]
            if reset:
                state = State(path)
                try:
                    state.request_reset({flow: [flow] for flow in reset})
                finally:
                    state.close()
                for flow in reset:
                    shutil.rmtree(path.parent / "checkpoints" / flow, ignore_errors=True)
                streams += reset
        return ToCompute(tuple(views), tuple(streams))

    @staticmethod
    def _stateful(pipeline: Path, flow: str) -> bool:
        return any((pipeline / "checkpoints" / flow).glob("*/state/*"))


def _rows(db: sqlite3.Connection, table: str) -> list[tuple[str, str | None]]:
    try:
        return db.execute(f"SELECT name, inputs FROM {table}").fetchall()
    except sqlite3.OperationalError:  # a pipeline that was just being set up
        return []

"""The state of a pipeline that must survive a kill, in one SQLite file: unpublished events and progress.

An event and its progress are written in one transaction. A restart finds both or neither, and counts nothing
twice.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakerun.tables.storage import TableName

SCHEMA = """
CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY AUTOINCREMENT, update_id TEXT NOT NULL,
    body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS flows (name TEXT PRIMARY KEY, epoch TEXT NOT NULL, last_batch INTEGER NOT NULL,
    inputs TEXT);
CREATE TABLE IF NOT EXISTS datasets (name TEXT PRIMARY KEY, definition TEXT NOT NULL, inputs TEXT NOT NULL,
    version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS resets (dataset TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS current_update (update_id TEXT PRIMARY KEY);
"""


def table_kinds(pipelines: Path) -> dict[str, str]:
    """STREAMING_TABLE or MATERIALIZED_VIEW by full name, for every table of the pipelines in a folder.

    A streaming table has a flow of the same name. Safe to call during a run.
    """
    kinds: dict[str, str] = {}
    for path in pipelines.glob("*/state.db"):
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
            for kind, known in (("STREAMING_TABLE", "flows"), ("MATERIALIZED_VIEW", "datasets")):
                with suppress(sqlite3.OperationalError):  # a pipeline that is just being set up
                    kinds |= {str(name): kind for (name,) in db.execute(f"SELECT name FROM {known}")}
    return kinds


def cdc_memory(pipeline: Path, table: TableName) -> Path:
    """The folder of a target's auto CDC memory, which its flows share, within a pipeline's folder."""
    return pipeline / "cdc" / table.catalog / table.schema / table.table


@dataclass(frozen=True)
class Seen:
    """A table as a flow read it: its Delta id and version; version -1 until a run has read all of it."""

    table_id: str
    version: int


@dataclass(frozen=True)
class FlowProgress:
    """A flow's progress: the event log has the batches of `epoch` up to `last_batch`.

    `inputs` holds the tables that it streams, as the last completed run read them.
    """

    epoch: str
    last_batch: int
    inputs: Mapping[str, Seen]


@dataclass(frozen=True)
class Refreshed:
    """The last refresh of a materialized view: its definition, what it read, and the version it wrote."""

    definition: str
    inputs: Mapping[str, Seen]
    table: Seen


class State:
    """Progress and unpublished events of one pipeline. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)
        with suppress(sqlite3.OperationalError):  # the column exists
            self._db.execute("ALTER TABLE datasets ADD COLUMN table_id TEXT")

    def close(self) -> None:
        with self._lock:
            self._db.close()

    # Events -------------------------------------------------------------------------------------------

    def record(
        self,
        update_id: str,
        body: Mapping[str, Any],
        *,
        flow: tuple[str, FlowProgress] | None = None,
        dataset: tuple[str, Refreshed] | None = None,
    ) -> int:
        """Store an event together with the progress it reports; returns the event's number."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                cursor = self._db.execute(
                    "INSERT INTO events (update_id, body) VALUES (?, ?)", (update_id, json.dumps(body))
                )
                if flow:
                    self._put_flow(*flow)
                if dataset:
                    self._put_dataset(*dataset)
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            return int(cursor.lastrowid or 0)

    def unpublished(self) -> list[tuple[int, dict[str, Any]]]:
        """Events that the event log table may not have yet, in order."""
        with self._lock:
            rows = self._db.execute("SELECT seq, body FROM events ORDER BY seq").fetchall()
        return [(int(seq), json.loads(body)) for seq, body in rows]

    def published(self, up_to: int) -> None:
        """Forget events that the event log table has."""
        with self._lock:
            self._db.execute("DELETE FROM events WHERE seq <= ?", (up_to,))

    # Updates ------------------------------------------------------------------------------------------

    def begin_update(self, update_id: str) -> None:
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO current_update VALUES (?)", (update_id,))

    def end_update(self, update_id: str) -> None:
        with self._lock:
            self._db.execute("DELETE FROM current_update WHERE update_id = ?", (update_id,))

    def unfinished_updates(self) -> list[str]:
        """Updates whose process was killed: they neither completed nor failed."""
        with self._lock:
            return [row[0] for row in self._db.execute("SELECT update_id FROM current_update")]

    # Progress -----------------------------------------------------------------------------------------

    def flow(self, name: str) -> FlowProgress | None:
        with self._lock:
            row = self._db.execute(
                "SELECT epoch, last_batch, inputs FROM flows WHERE name = ?", (name,)
            ).fetchone()
        return FlowProgress(row[0], row[1], _inputs(row[2])) if row else None

    def put_flow(self, name: str, progress: FlowProgress) -> None:
        with self._lock:
            self._put_flow(name, progress)

    def dataset(self, name: str) -> Refreshed | None:
        with self._lock:
            row = self._db.execute(
                "SELECT definition, inputs, version, table_id FROM datasets WHERE name = ?", (name,)
            ).fetchone()
        return Refreshed(row[0], _inputs(row[1]), Seen(row[3] or "", row[2])) if row else None

    # Full refresh -------------------------------------------------------------------------------------

    def request_reset(self, datasets: Mapping[str, list[str]], restarted: Sequence[str] = ()) -> None:
        """Forget the progress of `{dataset: flows}` and note that their tables are to be emptied.

        The flows in `restarted` also start from the beginning, but their tables keep their rows.
        """
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            for dataset, flows in datasets.items():
                self._db.execute("INSERT OR REPLACE INTO resets VALUES (?)", (dataset,))
                self._db.execute("DELETE FROM datasets WHERE name = ?", (dataset,))
                for flow in flows:
                    self._db.execute("DELETE FROM flows WHERE name = ?", (flow,))
            for flow in restarted:
                self._db.execute("DELETE FROM flows WHERE name = ?", (flow,))
            self._db.execute("COMMIT")

    def pending_resets(self) -> list[str]:
        with self._lock:
            return [row[0] for row in self._db.execute("SELECT dataset FROM resets")]

    def reset_done(self, dataset: str) -> None:
        with self._lock:
            self._db.execute("DELETE FROM resets WHERE dataset = ?", (dataset,))

    def _put_flow(self, name: str, progress: FlowProgress) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO flows VALUES (?, ?, ?, ?)",
            (name, progress.epoch, progress.last_batch, _text(progress.inputs)),
        )

    def _put_dataset(self, name: str, refreshed: Refreshed) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO datasets (name, definition, inputs, version, table_id) "
            "VALUES (?, ?, ?, ?, ?)",
            (
                name,
                refreshed.definition,
                _text(refreshed.inputs),
                refreshed.table.version,
                refreshed.table.table_id,
            ),
        )


def _text(inputs: Mapping[str, Seen]) -> str:
    return json.dumps({name: [seen.table_id, seen.version] for name, seen in inputs.items()})


def _inputs(text: str | None) -> dict[str, Seen]:
    """Parse the text that `_text` writes. Earlier releases stored versions without table ids."""
    found = json.loads(text or "{}")
    return {name: Seen(*seen) if isinstance(seen, list) else Seen("", seen) for name, seen in found.items()}

"""The workspace's state in one SQLite file: JSON documents by kind and id, safe against kill -9."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Document = dict[str, Any]

SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL,
    id TEXT NOT NULL, parent TEXT, body TEXT NOT NULL, UNIQUE (kind, id));
CREATE INDEX IF NOT EXISTS by_parent ON documents (kind, parent, seq);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""
FIRST_ID = 100_000_000_000_001  # as long as Databricks' ids, and exact as a JavaScript number


class Store:
    """Documents of the workspace. Safe to use from several threads; a change is on disk when it returns."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)
        self._depth = 0

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the changes in this context atomic. May be nested; other threads wait until it ends."""
        with self._lock:
            if self._depth == 0:
                self._db.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._db.execute("ROLLBACK")
                raise
            self._depth -= 1
            if self._depth == 0:
                self._db.execute("COMMIT")

    def next_id(self) -> int:
        """A number that no document has used before."""
        with self._lock:
            row = self._db.execute(
                "INSERT INTO counters VALUES ('id', ?) ON CONFLICT (name) DO UPDATE SET value = value + 1 "
                "RETURNING value",
                (FIRST_ID,),
            ).fetchone()
        return int(row[0])

    def put(self, kind: str, id: str | int, body: Document, parent: str | int | None = None) -> None:
        """Store a document, replacing the one with this id; a replaced document keeps its place in lists."""
        with self._lock:
            self._db.execute(
                "INSERT INTO documents (kind, id, parent, body) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (kind, id) DO UPDATE SET parent = excluded.parent, body = excluded.body",
                (kind, str(id), None if parent is None else str(parent), json.dumps(body)),
            )

    def get(self, kind: str, id: str | int) -> Document | None:
        with self._lock:
            row = self._db.execute(
                "SELECT body FROM documents WHERE kind = ? AND id = ?", (kind, str(id))
            ).fetchone()
        return json.loads(row[0]) if row else None

    def list(
        self,
        kind: str,
        parent: str | int | None = None,
        *,
        newest_first: bool = False,
        limit: int = -1,
        offset: int = 0,
    ) -> list[Document]:
        """Documents of a kind, optionally of one parent, in the order in which they were first stored."""
        where, values = "kind = ?", [kind]
        if parent is not None:
            where += " AND parent = ?"
            values.append(str(parent))
        order = "DESC" if newest_first else "ASC"
        with self._lock:
            rows = self._db.execute(
                f"SELECT body FROM documents WHERE {where} ORDER BY seq {order} LIMIT ? OFFSET ?",
                (*values, limit, offset),
            ).fetchall()
        return [json.loads(row[0]) for row in rows]

    def counts(self) -> dict[str, int]:
        """The number of documents of each kind."""
        with self._lock:
            return dict(self._db.execute("SELECT kind, count(*) FROM documents GROUP BY kind").fetchall())

    def delete(self, kind: str, id: str | int) -> bool:
        """Delete a document; returns whether it existed."""
        with self._lock:
            cursor = self._db.execute("DELETE FROM documents WHERE kind = ? AND id = ?", (kind, str(id)))
        return cursor.rowcount > 0

    def delete_children(self, kind: str, parent: str | int) -> int:
        """Delete the documents of a parent; returns how many there were."""
        with self._lock:
            cursor = self._db.execute(
                "DELETE FROM documents WHERE kind = ? AND parent = ?", (kind, str(parent))
            )
        return cursor.rowcount

"""Where things are in the data folder, and what Delta's log says of a table without Spark.

<home>/tables/<catalog>/<schema>/<table>/      Delta tables
<home>/volumes/<catalog>/<schema>/<volume>/    Unity Catalog volumes
<home>/pipelines/<pipeline>/                   state.db, checkpoints/<flow>/
<home>/logs/                                   one log per command
<home>/lock                                    held by the run in progress
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from lakerun.errors import BusyError, LakerunError, UnknownNameError

if TYPE_CHECKING:
    from deltalake import DeltaTable

WRITE_METRICS = ("numFiles", "numOutputRows", "numOutputBytes")
GITIGNORE = ".gitignore"


@dataclass(frozen=True)
class TableName:
    """A three-part Unity Catalog name."""

    catalog: str
    schema: str
    table: str

    def __str__(self) -> str:
        return f"{self.catalog}.{self.schema}.{self.table}"


@dataclass(frozen=True)
class Storage:
    """The data folder of one lakehouse on a laptop."""

    home: Path

    @classmethod
    def default(cls) -> Storage:
        """The folder that `LAKEHOUSE_HOME` names, else `.lakehouse` in the working directory."""
        return cls(Path(os.environ.get("LAKEHOUSE_HOME") or ".lakehouse").absolute())

    @property
    def tables_root(self) -> Path:
        return self.home / "tables"

    @property
    def volumes_root(self) -> Path:
        return self.home / "volumes"

    @property
    def logs_root(self) -> Path:
        return self.home / "logs"

    def pipeline_path(self, pipeline: str) -> Path:
        """Checkpoints and state of one pipeline."""
        return self.home / "pipelines" / pipeline

    def table_path(self, name: TableName) -> Path:
        """The Delta directory of a table, whether or not it exists."""
        return self.tables_root / name.catalog / name.schema / name.table

    def tables(self) -> list[TableName]:
        """Every table in the data folder, sorted by name."""
        logs = self.tables_root.glob("*/*/*/_delta_log")
        return sorted((TableName(*log.parent.parts[-3:]) for log in logs), key=str)

    def find_table(self, name: str) -> TableName:
        """A table by its full name, or by its last parts where they are unambiguous.

        Raises UnknownNameError with the closest names, or LakerunError for an ambiguous name.
        """
        parts = tuple(name.split("."))
        tables = self.tables()
        found = [t for t in tables if (t.catalog, t.schema, t.table)[-len(parts) :] == parts]
        if not found:
            raise UnknownNameError("table", name, (str(t) if len(parts) > 1 else t.table for t in tables))
        if len(found) > 1:
            raise LakerunError(f"'{name}' is ambiguous: {', '.join(map(str, found))}.")
        return found[0]

    def make(self) -> None:
        """Make the data folder. git ignores it, and so does a deployment of the project that it lies in."""
        self.home.mkdir(parents=True, exist_ok=True)
        if not (ignored := self.home / GITIGNORE).exists():
            ignored.write_text("*\n", encoding="utf-8")

    def log_path(self, command: str) -> Path:
        """The log file of a command; its folder is made."""
        self.make()
        self.logs_root.mkdir(exist_ok=True)
        return self.logs_root / f"{command}.log"

    @contextmanager
    def exclusive(self, purpose: str) -> Iterator[None]:
        """Hold the data folder for one run; BusyError says who has it. A killed holder frees it."""
        self.make()
        holder = self.home / "lock.txt"
        # One thread may take it and another give it back.
        lock = FileLock(self.home / "lock", thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            who = holder.read_text(encoding="utf-8") if holder.exists() else "another process"
            raise BusyError(
                f"Another run is using {self.home} ({who}). Wait for it, "
                "or set LAKEHOUSE_HOME to another folder."
            ) from None
        try:
            holder.write_text(f"{purpose}, process {os.getpid()}", encoding="utf-8")
            yield
        finally:
            lock.release()

    def size(self) -> int:
        """Bytes in all tables and volumes."""
        roots = (self.tables_root, self.volumes_root)
        return sum(file.stat().st_size for root in roots for file in root.rglob("*") if file.is_file())


def table_version(path: Path) -> int | None:
    """The newest version of the Delta table at `path`; None where there is no table."""
    commits = _commits(path)
    return max(commits) if commits else None


def data_changed_since(path: Path, version: int) -> bool:
    """Whether a commit after `version` added or removed data; OPTIMIZE and VACUUM do not.

    A commit that log cleanup has removed counts as a change.
    """
    commits = _commits(path)
    newest = max(commits, default=-1)
    if newest < version:
        return True
    for number in range(version + 1, newest + 1):
        if number not in commits or _changes_data(commits[number]):
            return True
    return False


def _commits(path: Path) -> dict[int, Path]:
    log = path / "_delta_log"
    if not log.is_dir():
        return {}
    return {int(file.stem): file for file in log.glob("*.json") if file.stem.isdigit()}


def _changes_data(commit: Path) -> bool:
    with commit.open(encoding="utf-8") as lines:
        for line in lines:
            action = json.loads(line)
            for kind in ("add", "remove"):
                if kind in action and action[kind].get("dataChange", True):
                    return True
            if "metaData" in action:
                return True
    return False


@dataclass(frozen=True)
class Commit:
    """What a commit says of itself: its version, operation and metrics (numbers as Delta names them)."""

    version: int
    operation: str
    metrics: dict[str, int]


def commit_info(path: Path, version: int) -> Commit:
    """The commit with this version; FileNotFoundError where log cleanup has removed it."""
    return _read_commit(path / "_delta_log" / f"{version:020d}.json", version)[0]


def transaction_commit(path: Path, app_id: str, version: int) -> Commit | None:
    """The newest commit that carries the transaction `version` of `app_id`; None if there is none."""
    commits = _commits(path)
    for number in sorted(commits, reverse=True):
        commit, transactions = _read_commit(commits[number], number)
        if transactions.get(app_id) == version:
            return commit
    return None


def transaction_version(path: Path, app_id: str) -> int:
    """The last transaction of `app_id` in the table at `path`; -1 before the first, or without a table."""
    from deltalake import DeltaTable

    return -1 if table_version(path) is None else last_transaction(DeltaTable(str(path)), app_id)


def last_transaction(table: DeltaTable, app_id: str) -> int:
    """The last transaction of `app_id` in an open table; -1 before the first."""
    version = table.transaction_version(app_id)
    return -1 if version is None else version


def operation_metrics(info: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics in a commit's information, from Spark's Delta or from `delta_files`."""
    found: dict[str, Any] = info.get("operationMetrics") or {}
    return found or {name: info[name] for name in WRITE_METRICS if name in info}


def _read_commit(file: Path, number: int) -> tuple[Commit, dict[str, int]]:
    operation, metrics, transactions = "", {}, {}
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            action = json.loads(line)
            if info := action.get("commitInfo"):
                operation = info.get("operation", "")
                given = operation_metrics(info)
                metrics = {
                    key: int(value) for key, value in given.items() if str(value).lstrip("-").isdigit()
                }
            elif transaction := action.get("txn"):
                transactions[transaction["appId"]] = transaction["version"]
    return Commit(number, operation, metrics), transactions

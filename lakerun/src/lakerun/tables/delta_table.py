"""A Delta table without Spark: version, transactions, changes, columns, rows, history: `Table`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakerun.errors import LakerunError, UnknownNameError, first_line
from lakerun.program import program
from lakerun.tables.storage import Storage, TableName

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable, Schema

WRITE_METRICS = ("numFiles", "numOutputRows", "numOutputBytes")
_SPARK_TYPES = {"long": "bigint", "integer": "int", "short": "smallint", "byte": "tinyint"}


@dataclass(frozen=True)
class Column:
    """A column as DESCRIBE shows it; `type` as Databricks writes it."""

    name: str
    type: str
    comment: str = ""


@dataclass(frozen=True)
class Commit:
    """What a commit records: its version, operation and metrics (numbers, by Delta's names)."""

    version: int
    operation: str
    metrics: dict[str, int]


@dataclass(frozen=True)
class TableFigures:
    """The size of a table: `rows` as a reader sees them, `size_bytes` of the version's files."""

    rows: int
    size_bytes: int
    version: int
    last_modified: datetime
    comment: str


class Table:
    """The Delta table in a folder, whether or not there is one yet.

    `newest`, `data_changed_since`, `commit` and `commit_of` read the log's folder at each call. Everything
    else opens the table once, at the first call: as of `at` (a version's number, or a time as ISO text) or of
    the newest version. A table that cannot be opened raises LakerunError in one line.
    """

    def __init__(self, path: Path, *, at: int | str | None = None, name: str = "") -> None:
        self.path = path
        self._at = at
        self._name = name or str(path)

    @classmethod
    def named(cls, storage: Storage, name: TableName, at: int | str | None = None) -> Table:
        """A table of the data folder."""
        return cls(storage.table_path(name), at=at, name=str(name))

    # The log's folder -----------------------------------------------------------------------------------

    @property
    def newest(self) -> int | None:
        """The newest version; None if there is no table."""
        commits = self._commits()
        return max(commits) if commits else None

    @property
    def exists(self) -> bool:
        return self.newest is not None

    @property
    def table_id(self) -> str | None:
        """Distinguishes this table from an earlier one in the same folder; None if there is no table."""
        commits = self._commits()
        if not commits:
            return None
        with commits[min(commits)].open(encoding="utf-8") as lines:
            for line in lines:
                if '"metaData"' in line and (metadata := json.loads(line).get("metaData")):
                    return str(metadata["id"])
        return str(self.delta.metadata().id)  # log cleanup has removed the first commit

    def data_changed_since(self, version: int) -> bool:
        """Whether a commit after `version` added or removed data; OPTIMIZE and VACUUM do not.

        A commit that log cleanup has removed counts as a change.
        """
        commits = self._commits()
        newest = max(commits, default=-1)
        if newest < version:
            return True
        for number in range(version + 1, newest + 1):
            if number not in commits or _changes_data(commits[number]):
                return True
        return False

    def commit(self, version: int) -> Commit:
        """The commit with this version; FileNotFoundError if log cleanup has removed it."""
        return _read_commit(self._commit_file(version), version)[0]

    def commit_of(self, app_id: str, transaction: int) -> Commit | None:
        """The newest commit with an application's transaction; None if there is none."""
        commits = self._commits()
        for number in sorted(commits, reverse=True):
            commit, transactions = _read_commit(commits[number], number)
            if transactions.get(app_id) == transaction:
                return commit
        return None

    def last_modified(self, version: int) -> datetime:
        """When a version was committed; if log cleanup has removed the commit, when the folder changed."""
        log = self._commit_file(version)
        return datetime.fromtimestamp((log if log.exists() else self.path).stat().st_mtime, UTC)

    # The opened table -----------------------------------------------------------------------------------

    @cached_property
    def delta(self) -> DeltaTable:
        """The table, opened by delta-rs."""
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError

        try:
            table = DeltaTable(self.path)
            if isinstance(self._at, int) and self._at > table.version():
                raise LakerunError(
                    f"{self._name} has no version {self._at}; the newest is {table.version()}."
                )
            if self._at is not None:
                table.load_as_version(self._at)
        except (DeltaError, ValueError, OSError) as error:
            at = "" if self._at is None else f" at {self._at}"
            raise LakerunError(f"{self._name}{at} cannot be read: {first_line(error)}") from None
        return table

    @property
    def version(self) -> int:
        return self.delta.version()

    def last_transaction(self, app_id: str) -> int:
        """The last transaction of an application; -1 before the first, or without a table."""
        is_open = "delta" in vars(self)
        found = self.delta.transaction_version(app_id) if is_open or self.exists else None
        return -1 if found is None else found

    @cached_property
    def columns(self) -> list[Column]:
        """Columns with Databricks' type names, in order."""
        return columns_of(self.delta.schema())

    def read(self, columns: Sequence[str] = (), limit: int | None = None) -> pa.Table:
        """The rows that are not deleted, in the table's column order or as `columns` asks.

        Raises UnknownNameError for a column that does not exist, the closest first.
        """
        import pyarrow as pa

        known = {column.name.lower(): column.name for column in self.columns}
        for column in columns:
            if column.lower() not in known:
                raise UnknownNameError("column", column, known.values())
        chosen = [known[column.lower()] for column in columns] or list(known.values())
        return pa.RecordBatchReader.from_stream(self.scan(chosen, limit)).read_all()

    def scan(self, columns: Sequence[str], limit: int | None = None) -> Any:
        """A stream of Arrow batches. Without columns: one column of the right length."""
        from deltalake.exceptions import DeltaError

        chosen = ", ".join('"' + column.replace('"', '""') + '"' for column in columns) or '1 AS "_row"'
        sql = f"SELECT {chosen} FROM t" + ("" if limit is None else f" LIMIT {limit}")
        try:
            return self._stream(sql)
        except (DeltaError, ValueError, OSError) as error:
            raise LakerunError(
                f"{self._name} cannot be read without Spark: {first_line(error)}. "
                f"Use {program('sql --spark')}."
            ) from None

    def query(self, sql: str) -> pa.Table:
        """The rows of a query in the SQL of delta-rs (DataFusion), in which this table is called `t`.

        Files whose statistics rule out what the query asks for are not read.
        """
        import pyarrow as pa
        from deltalake.exceptions import DeltaError

        try:
            return pa.RecordBatchReader.from_stream(self._stream(sql)).read_all()
        except (DeltaError, ValueError, OSError) as error:
            raise LakerunError(f"{self._name} cannot be read: {first_line(error)}") from None

    def figures(self) -> TableFigures:
        """The table's size. Rows are counted, because statistics still count the deleted ones."""
        counted = self.query("SELECT count(*) FROM t")
        files = self.delta.get_add_actions(flatten=True)
        return TableFigures(
            rows=counted.column(0)[0].as_py(),
            size_bytes=sum(files.column("size_bytes").to_pylist()),
            version=self.version,
            last_modified=self.last_modified(self.version),
            comment=self.delta.metadata().description or "",
        )

    def history(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Commits, the newest first: version, timestamp (UTC), operation, metrics, user metadata."""
        return [
            {
                "version": commit.get("version"),
                "timestamp": datetime.fromtimestamp(commit["timestamp"] / 1000, UTC),
                "operation": commit.get("operation", ""),
                "metrics": _metrics(commit),
                "user_metadata": commit.get("userMetadata") or "",
            }
            for commit in self.delta.history(limit)
        ]

    def _stream(self, sql: str) -> Any:
        from deltalake import QueryBuilder

        return QueryBuilder().register("t", self.delta).execute(sql)

    def _commit_file(self, version: int) -> Path:
        return self.path / "_delta_log" / f"{version:020d}.json"

    def _commits(self) -> dict[int, Path]:
        log = self.path / "_delta_log"
        if not log.is_dir():
            return {}
        return {int(file.stem): file for file in log.glob("*.json") if file.stem.isdigit()}


def columns_of(schema: Schema) -> list[Column]:
    """A schema's columns with Databricks' type names, in order."""
    fields = json.loads(schema.to_json())["fields"]
    return [Column(f["name"], type_name(f["type"]), f["metadata"].get("comment", "")) for f in fields]


def type_name(kind: Any) -> str:
    """A type of Delta's schema JSON as Databricks writes it, `array<struct<name:string>>`."""
    if isinstance(kind, str):
        return _SPARK_TYPES.get(kind, kind)
    if kind["type"] == "array":
        return f"array<{type_name(kind['elementType'])}>"
    if kind["type"] == "map":
        return f"map<{type_name(kind['keyType'])},{type_name(kind['valueType'])}>"
    return f"struct<{','.join(f['name'] + ':' + type_name(f['type']) for f in kind['fields'])}>"


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


def _read_commit(file: Path, number: int) -> tuple[Commit, dict[str, int]]:
    operation, metrics, transactions = "", {}, {}
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            action = json.loads(line)
            if info := action.get("commitInfo"):
                operation = info.get("operation", "")
                metrics = {
                    key: int(value)
                    for key, value in _metrics(info).items()
                    if str(value).lstrip("-").isdigit()
                }
            elif transaction := action.get("txn"):
                transactions[transaction["appId"]] = transaction["version"]
    return Commit(number, operation, metrics), transactions


def _metrics(info: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics in a commit's information, from Spark's Delta or from `delta_files`."""
    found: dict[str, Any] = info.get("operationMetrics") or {}
    return found or {name: info[name] for name in WRITE_METRICS if name in info}

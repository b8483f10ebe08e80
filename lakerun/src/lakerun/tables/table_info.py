"""What the Delta log says of a table, without Spark: columns, exact rows, size, version, history."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakerun.errors import LakerunError, UnknownNameError, first_line
from lakerun.program import program
from lakerun.tables.storage import Storage, TableName, operation_metrics

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable

_SPARK_TYPES = {"long": "bigint", "integer": "int", "short": "smallint", "byte": "tinyint"}


@dataclass(frozen=True)
class Column:
    """A column as DESCRIBE shows it; `type` as Databricks writes it."""

    name: str
    type: str
    comment: str = ""


@dataclass(frozen=True)
class TableInfo:
    """One table. `rows` counts what a reader sees; `size_bytes` are the files of the newest version."""

    name: TableName
    layer: str
    rows: int
    size_bytes: int
    version: int
    last_modified: datetime
    comment: str


def find_table(
    storage: Storage, name: str, catalog: str | None = None, schema: str | None = None
) -> TableName:
    """A table by one, two or three parts in any case; a short name is first sought in the default schema."""
    parts = name.replace("`", "").lower().split(".")
    if len(parts) > 3:
        raise LakerunError(f"'{name}' is no table name: it has {len(parts)} parts, at most 3 are possible.")
    tables = {str(table).lower(): table for table in storage.tables()}
    prefix = [part for part in (catalog, schema) if part][: 3 - len(parts)]
    if full := tables.get(".".join([*prefix, *parts]).lower()):
        return full
    matching = {key for key in tables if key.split(".")[-len(parts) :] == parts}
    return tables[matching.pop()] if len(matching) == 1 else storage.find_table(".".join(parts))


def open_table(storage: Storage, name: TableName, version: int | str | None = None) -> DeltaTable:
    """The Delta table, at a version (a number, or a time as ISO text) or the newest one.

    Raises LakerunError in one line where Delta's log cannot be read.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    path = storage.table_path(name)
    try:
        table = DeltaTable(path)
        if isinstance(version, int) and version > table.version():
            raise LakerunError(f"{name} has no version {version}; the newest is {table.version()}.")
        if version is not None:
            table.load_as_version(version)
    except (DeltaError, ValueError, OSError) as error:
        at = "" if version is None else f" at {version}"
        raise LakerunError(f"{name}{at} cannot be read: {first_line(error)}") from None
    return table


def read_table(
    storage: Storage,
    name: TableName,
    columns: Sequence[str] = (),
    limit: int | None = None,
    version: int | str | None = None,
) -> pa.Table:
    """Rows of a table without those that are deleted, in the table's column order or as `columns` asks.

    Raises UnknownNameError for a column that does not exist, the closest first.
    """
    import pyarrow as pa

    table = open_table(storage, name, version)
    known = {column.name.lower(): column.name for column in columns_of(table)}
    for column in columns:
        if column.lower() not in known:
            raise UnknownNameError("column", column, known.values())
    chosen = [known[column.lower()] for column in columns] or list(known.values())
    return pa.RecordBatchReader.from_stream(scan(table, name, chosen, limit)).read_all()


def rows_of(table: pa.Table) -> list[tuple[Any, ...]]:
    """A table's rows as Python values. Arrow's own way imports pandas, which outlasts most queries."""
    import pyarrow as pa

    columns: list[list[Any]] = []
    for column in table.columns:
        if pa.types.is_timestamp(column.type):
            zone = UTC if column.type.tz else None
            micros = column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64()).to_pylist()
            start = datetime(1970, 1, 1, tzinfo=zone)
            columns.append([None if at is None else start + timedelta(microseconds=at) for at in micros])
        else:
            columns.append(column.to_pylist())
    return list(zip(*columns, strict=True)) if columns else []


def scan(table: DeltaTable, name: TableName, columns: Sequence[str], limit: int | None = None) -> Any:
    """A stream of Arrow batches. Without columns: one column of the right length."""
    from deltalake import QueryBuilder
    from deltalake.exceptions import DeltaError

    chosen = ", ".join('"' + column.replace('"', '""') + '"' for column in columns) or '1 AS "_row"'
    sql = f"SELECT {chosen} FROM t" + ("" if limit is None else f" LIMIT {limit}")
    try:
        return QueryBuilder().register("t", table).execute(sql)
    except (DeltaError, ValueError, OSError) as error:
        raise LakerunError(
            f"{name} cannot be read without Spark: {first_line(error)}. Use {program('sql --spark')}."
        ) from None


def table_info(storage: Storage, name: TableName, layers: Sequence[str] = ()) -> TableInfo:
    """One table's figures. Rows are counted, because statistics still count the deleted ones.

    `layers` are prefixes of names; the one that the table has is its layer.
    """
    import pyarrow as pa
    from deltalake import QueryBuilder

    table = open_table(storage, name)
    counted = QueryBuilder().register("t", table).execute("SELECT count(*) FROM t")
    files = table.get_add_actions(flatten=True)
    layer = next((layer for layer in layers if name.table.startswith(f"{layer}_")), "")
    return TableInfo(
        name=name,
        layer=layer.replace("_", " "),
        rows=pa.RecordBatchReader.from_stream(counted).read_all().column(0)[0].as_py(),
        size_bytes=sum(files.column("size_bytes").to_pylist()),
        version=table.version(),
        last_modified=_last_commit(storage.table_path(name), table),
        comment=table.metadata().description or "",
    )


def columns_of(table: DeltaTable) -> list[Column]:
    """Columns with Databricks' type names, in order."""
    fields = json.loads(table.schema().to_json())["fields"]
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


def history(table: DeltaTable, limit: int | None = None) -> list[dict[str, Any]]:
    """Commits, the newest first: version, timestamp (UTC), operation, operation metrics, user metadata."""
    rows = []
    for commit in table.history(limit):
        rows.append(
            {
                "version": commit.get("version"),
                "timestamp": datetime.fromtimestamp(commit["timestamp"] / 1000, UTC),
                "operation": commit.get("operation", ""),
                "metrics": operation_metrics(commit),
                "user_metadata": commit.get("userMetadata") or "",
            }
        )
    return rows


def _last_commit(path: Path, table: DeltaTable) -> datetime:
    log = path / "_delta_log" / f"{table.version():020}.json"
    if log.exists():
        return datetime.fromtimestamp(log.stat().st_mtime, UTC)
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)

"""Spark's reads and writes of a Delta table's files, without its Delta: `read_table`, `write_table`.

Spark's Delta finds a table's files, and checks each commit, by Spark jobs over the log: in a small lakehouse
half of an update's work. Here Spark reads and writes Parquet files, and delta-rs reads and writes the log.
Tables with features that only Spark's Delta supports (partitions, column mapping, constraints) go through it.
"""

from __future__ import annotations

import json
import re
import shutil
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

from deltalake import CommitProperties, Transaction
from deltalake.transaction import AddAction

from lakerun.errors import LakerunError
from lakerun.tables.delta_table import WRITE_METRICS, Table
from lakerun.tables.parquet_stats import delta_stats

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from pyspark.sql import DataFrame, DataFrameReader, SparkSession
    from pyspark.sql.types import DataType, StructField, StructType

# Passing a longer list of files to Spark takes longer than its Delta needs to find them.
MOST_FILES = 500
# Spark reads a file name with one of these as a pattern.
PATTERN = re.compile(r"[*?{}\[\]\\]")
READABLE = {"deletionVectors", "timestampNtz", "variantType"}
# Features of tables that delta-rs can commit to. Whether a table uses one of the last three is seen in its
# settings and columns.
WRITABLE = {
    "appendOnly",
    "changeDataFeed",
    "deletionVectors",
    "invariants",
    "timestampNtz",
    "variantType",
    "checkConstraints",
    "columnMapping",
    "generatedColumns",
}
IDENTITY_COLUMNS = 6  # the version of the protocol that introduced them; delta-rs refuses it
SPECIAL_COLUMNS = ("delta.", "__CHAR_VARCHAR", "CURRENT_DEFAULT", "EXISTS_DEFAULT")
SPECIAL_TYPES = ("void", "interval")


def read_table(reader: DataFrameReader, path: Path) -> DataFrame:
    """The newest rows of the Delta table at `path`, or what the options of `reader` ask for."""
    table = Table(path).delta
    columns = _schema(table)
    if not has_options(reader) and _is_plain(table, columns, READABLE, table.protocol().reader_features):
        files = [unquote(file) for file in table.file_uris()]
        few = len(files) <= MOST_FILES and not any(PATTERN.search(file) for file in files)
        if few and not _has_deletion_vectors(table):
            rows = _read_files(reader._spark, columns, files)
            # Spark skips a missing file; its Delta fails and names it.
            if len(rows.inputFiles()) == len(files):
                return rows
    return reader.format("delta").load(str(path))


def table_schema(path: Path) -> StructType:
    """The columns of the Delta table at `path`."""
    return _schema(Table(path).delta)


def _read_files(session: SparkSession, schema: StructType, files: list[str]) -> DataFrame:
    return session.read.schema(schema).parquet(*files) if files else session.createDataFrame([], schema)


def write_table(
    rows: DataFrame,
    path: Path,
    mode: Literal["append", "overwrite"],
    *,
    transaction: tuple[str, int] | None = None,
) -> None:
    """Append the rows to the Delta table at `path`, or overwrite it with them, in one commit.

    The table gets the columns that it lacks; an overwrite leaves only the rows' columns. Nothing is written
    if the table already has the `transaction`, an application's id and version. A NULL in a column declared
    NOT NULL fails the write.
    """
    own: StructType | None = None
    table = Table(path)
    if table.exists:
        own = _schema(table.delta)
        if transaction and table.last_transaction(transaction[0]) >= transaction[1]:
            return
        if _takes(table.delta, own, rows.schema, mode):
            _commit(table, _not_null(rows, own), mode, transaction)
            return
    writer = rows.write.format("delta").mode(mode)
    if mode == "append":
        writer = writer.option("mergeSchema", "true")
    elif own is None or _types(own) != _types(rows.schema):
        writer = writer.option("overwriteSchema", "true")
    if transaction:
        writer = writer.option("txnAppId", transaction[0]).option("txnVersion", transaction[1])
    writer.save(str(path))


def _commit(
    table: Table,
    rows: DataFrame,
    mode: Literal["append", "overwrite"],
    transaction: tuple[str, int] | None,
) -> None:
    path = table.path
    # Not hidden: VACUUM finds what a killed process left.
    stage = path / f"staged-{uuid.uuid4().hex}"
    try:
        rows.write.parquet(str(stage))
        added = [action for file in sorted(stage.glob("*.parquet")) if (action := _added(file, path))]
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    counts = (
        len(added),
        sum(json.loads(action.stats)["numRecords"] for action in added),
        sum(action.size for action in added),
    )
    if mode == "overwrite" and table.newest != table.version:
        # The overwrite would not remove the files that the other process has added.
        raise LakerunError(f"Another process has changed {path} during the computation. Run it again.")
    table.delta.create_write_transaction(
        list(added),
        mode,
        table.delta.schema(),
        commit_properties=CommitProperties(
            custom_metadata=dict(zip(WRITE_METRICS, map(str, counts), strict=True)),
            app_transactions=[Transaction(*transaction)] if transaction else None,
        ),
    )
    # delta-rs may have written a checkpoint and a pointer to it; Hadoop's checksum is of the old pointer.
    (path / "_delta_log" / "._last_checkpoint.crc").unlink(missing_ok=True)


def _added(file: Path, path: Path) -> AddAction | None:
    """The staged file, moved to the table's folder, as an action of the log; None for a file without rows."""
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(file)
    if not metadata.num_rows:
        return None
    moved = file.rename(path / file.name)
    now = int(time.time() * 1000)
    return AddAction(moved.name, moved.stat().st_size, {}, now, True, delta_stats(metadata))


def _takes(table: DeltaTable, columns: StructType, rows: StructType, mode: str) -> bool:
    """Whether these rows can be committed to a table with these columns without Spark's Delta."""
    protocol = table.protocol()
    own, given = _types(columns), _types(rows)
    if (
        protocol.min_writer_version == IDENTITY_COLUMNS
        or any(word in kind for _, kind in given for word in SPECIAL_TYPES)
        or not _is_plain(table, columns, WRITABLE, protocol.writer_features)
    ):
        return False
    if mode == "append":
        return sorted(own) == sorted(given)
    append_only = table.metadata().configuration.get("delta.appendOnly") == "true"
    return own == given and not append_only and not _has_deletion_vectors(table)


def _is_plain(table: DeltaTable, columns: StructType, known: set[str], features: list[str] | None) -> bool:
    """Whether a reader, or a writer, of the table needs only its files and columns."""
    metadata = table.metadata()
    settings = metadata.configuration
    return (
        not metadata.partition_columns
        and set(features or ()) <= known
        and settings.get("delta.columnMapping.mode", "none") == "none"
        and not any(name.startswith("delta.constraints.") for name in settings)
        and not any(_is_special(field) for field in columns)
    )


def _is_special(field: StructField) -> bool:
    """Whether a column has more than its type, or NOT NULL fields, which files do not keep."""
    return any(name.startswith(SPECIAL_COLUMNS) for name in field.metadata) or _requires(field.dataType)


def _requires(kind: DataType) -> bool:
    from pyspark.sql.types import ArrayType, MapType, StructType

    match kind:
        case StructType():
            return any(not part.nullable or _is_special(part) for part in kind)
        case ArrayType():
            return _requires(kind.elementType)
        case MapType():
            return _requires(kind.keyType) or _requires(kind.valueType)
        case _:
            return False


def _has_deletion_vectors(table: DeltaTable) -> bool:
    return "deletionVectors" in (table.protocol().reader_features or ()) and any(
        batch.num_rows for batch in table.deletion_vectors()
    )


def has_options(reader: Any) -> bool:
    return not reader._jreader.extraOptions().isEmpty()


def _schema(table: DeltaTable) -> StructType:
    from pyspark.sql.types import StructType

    return StructType.fromJson(json.loads(table.schema().to_json()))


def _types(columns: StructType) -> list[tuple[str, str]]:
    return [(field.name, field.dataType.simpleString()) for field in columns]


def _not_null(rows: DataFrame, declared: StructType) -> DataFrame:
    """The rows; they fail if a column that is declared NOT NULL has a NULL."""
    from pyspark.sql import functions as F  # noqa: N812

    nullable = {field.name: field.nullable for field in rows.schema}
    required = {f.name: f.dataType for f in declared if not f.nullable and nullable[f.name]}
    if not required:
        return rows

    def checked(name: str, kind: DataType) -> Any:
        missing = F.raise_error(F.lit(f"NOT NULL constraint violated for column: {name}.")).cast(kind)
        return F.coalesce(F.col(f"`{name}`"), missing).alias(name)

    return rows.select([checked(n, required[n]) if n in required else F.col(f"`{n}`") for n in rows.columns])

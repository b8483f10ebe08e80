"""Compares the rows of two data folders, whatever their order: `fingerprints`, `differences`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
from deltalake import QueryBuilder

from lakerun.tables.delta_table import Table

# Set by the clock of the run that wrote the row.
PROCESSING_TIME = ("ingested_at", "lag_seconds")
# A file's path starts with the data folder; its name is what the two have in common.
FILE_COLUMNS = ("source_file",)
LOG_PREFIX = "event_log_"


@dataclass(frozen=True)
class Fingerprint:
    """Rows, a checksum over all business columns that does not depend on the rows' order, and the columns."""

    rows: int
    checksum: str
    columns: tuple[tuple[str, str], ...]


def fingerprints(home: Path) -> dict[str, Fingerprint]:
    """The fingerprint of every table in a data folder, event logs aside, by table name.

    The checksum is the sum of 64-bit hashes of the rows, so a row counts as often as it is there.
    """
    logs = sorted((home / "tables").glob("*/*/*/_delta_log"))
    folders = [log.parent for log in logs if not log.parent.name.startswith(LOG_PREFIX)]
    return {folder.name: _fingerprint(folder) for folder in folders}


def differences(plain: Mapping[str, Fingerprint], engine: Mapping[str, Fingerprint]) -> list[str]:
    """A line for every table in which the two differ; empty if they are equal."""
    found = []
    for table in sorted({*plain, *engine}):
        if table not in plain or table not in engine:
            found.append(f"{table}: only {'the engine' if table in engine else 'the plain script'} has it")
            continue
        one, other = plain[table], engine[table]
        if one.columns != other.columns:
            only = sorted({*one.columns} ^ {*other.columns})
            found.append(f"{table}: the columns or their order differ {only}")
        elif one.rows != other.rows:
            found.append(f"{table}: {one.rows:,} rows by the plain script, {other.rows:,} by the engine")
        elif one.checksum != other.checksum:
            found.append(f"{table}: {one.rows:,} rows in both, with different values")
    return found


def _fingerprint(folder: Path) -> Fingerprint:
    table = Table(folder)
    fields = [(column.name, column.type) for column in table.columns]
    stream = QueryBuilder().register("t", table.delta).execute("SELECT * FROM t")
    rows = pa.RecordBatchReader.from_stream(stream)
    hashed = [field for field in rows.schema if field.name not in PROCESSING_TIME]
    values = ", ".join(_value(field.name, field.type) for field in hashed)
    with duckdb.connect() as connection:
        connection.register("rows", rows)
        sums = f"SELECT count(*), sum(hash({values})::HUGEINT)::VARCHAR FROM rows"
        ((count, checksum),) = connection.sql(sums).fetchall()
    return Fingerprint(count, checksum or "0", tuple(fields))


def _value(name: str, kind: pa.DataType, parent: str = "") -> str:
    """SQL for a column or a struct's field, in which a path is only the file's name."""
    value = parent + '"' + name.replace('"', '""') + '"'
    if pa.types.is_struct(kind):
        fields = ", ".join(_value(field.name, field.type, f"{value}.") for field in kind)
        return f"CASE WHEN {value} IS NOT NULL THEN row({fields}) END"
    return f"parse_filename({value})" if name in FILE_COLUMNS else value

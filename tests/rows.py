"""The rows of tables that two runs have made, to be compared: `read_rows`, `comparable`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder


def read_rows(table: Path) -> list[dict[str, Any]]:
    """All rows of the Delta table in this folder."""
    reader = QueryBuilder().register("t", DeltaTable(str(table)))
    rows: list[dict[str, Any]] = pa.table(reader.execute("SELECT * FROM t").read_all()).to_pylist()
    return rows


def comparable(row: Mapping[str, Any], left_out: Collection[str]) -> str:
    """The row as text, without the columns `left_out`, also in structs, such as a version's sequence.

    Of `source_file` only the file's name counts, as each run has folders of its own.
    """
    return repr(_kept(row, left_out))


def _kept(row: Mapping[str, Any], left_out: Collection[str]) -> dict[str, Any]:
    return {name: _value(name, row[name], left_out) for name in sorted(row) if name not in left_out}


def _value(name: str, value: Any, left_out: Collection[str]) -> Any:
    if isinstance(value, Mapping):
        return _kept(value, left_out)
    return str(value).rpartition("/")[2] if name == "source_file" else value

"""Rows of a few columns as an Arrow table: `arrow_rows`. Spark passes other rows through a Python process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


def arrow_rows(rows: Sequence[Mapping[str, Any]], schema: str) -> pa.Table:
    """The rows with these columns, such as `key string, rows bigint`; what a row lacks is NULL.

    Types: string, int, bigint, double, boolean, timestamp. A datetime without a time zone is in UTC.
    """
    import pyarrow as pa

    kinds = {
        "string": pa.string(),
        "int": pa.int32(),
        "bigint": pa.int64(),
        "double": pa.float64(),
        "boolean": pa.bool_(),
        "timestamp": pa.timestamp("us", tz="UTC"),
    }
    columns = [column.split(" ") for column in schema.split(", ")]
    return pa.table({name: pa.array([row.get(name) for row in rows], kinds[kind]) for name, kind in columns})

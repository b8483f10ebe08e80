"""An Arrow table's rows as Python values: `rows_of`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


def rows_of(table: pa.Table) -> list[tuple[Any, ...]]:
    """A table's rows as Python values. Arrow itself imports pandas, which is slower than most queries."""
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

"""The statistics of a Parquet file for Delta's log: `delta_stats`."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyarrow.parquet import FileMetaData

LONGEST_TEXT = 32
GREATEST = "\U0010ffff"


def delta_stats(metadata: FileMetaData) -> str:
    """A file's rows, and its columns' smallest and greatest values and NULLs, as in Delta's protocol.

    JSON with `numRecords`, `minValues`, `maxValues`, `nullCount`. A column has no bounds if Parquet has none,
    if JSON cannot hold them exactly, if it is nested, binary or boolean, as in Spark's Delta, or if it is of
    floating point: Parquet leaves out NaN, which Spark sorts last.
    Text is cut to 32 characters; the upper bound of cut text ends in the greatest possible character, so that
    it is still a bound. Times are cut to milliseconds, as in the protocol; readers allow for it.
    """
    low: dict[str, Any] = {}
    high: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    for number in range(metadata.num_columns):
        chunks = [metadata.row_group(group).column(number) for group in range(metadata.num_row_groups)]
        name = chunks[0].path_in_schema
        statistics = [chunk.statistics for chunk in chunks]
        nested = metadata.schema.column(number).max_definition_level > 1 or "." in name
        if nested or any(item is None for item in statistics):
            continue
        if all(item.has_null_count for item in statistics):
            nulls[name] = sum(item.null_count for item in statistics)
        if bounds := _bounds([item for item in statistics if item.num_values]):
            low[name], high[name] = bounds
    return json.dumps(
        {"numRecords": metadata.num_rows, "minValues": low, "maxValues": high, "nullCount": nulls},
        ensure_ascii=False,
    )


def _bounds(statistics: list[Any]) -> tuple[Any, Any] | None:
    if not statistics or not all(item.has_min_max for item in statistics):
        return None
    try:
        low, high = min(item.min for item in statistics), max(item.max for item in statistics)
    except (OverflowError, ValueError):  # a date that Python cannot represent
        return None
    bounds = _lower(low), _upper(high)
    return None if None in bounds else bounds


def _lower(value: Any) -> Any:
    return value[:LONGEST_TEXT] if isinstance(value, str) else _plain(value)


def _upper(value: Any) -> Any:
    if not isinstance(value, str):
        return _plain(value)
    if len(value) <= LONGEST_TEXT:
        return value
    return None if value[LONGEST_TEXT] == GREATEST else value[:LONGEST_TEXT] + GREATEST


def _plain(value: Any) -> Any:
    """The value for JSON; None if JSON cannot hold it exactly."""
    match value:
        case bool():
            return None
        case int():
            return value
        case Decimal():
            return float(value) if Decimal(repr(float(value))) == value else None
        case datetime():
            return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case _:
            return None

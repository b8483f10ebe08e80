"""A query's result in the statement API's format: types with Databricks' names, every value as text."""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lakerun.tables.arrow_rows import rows_of

if TYPE_CHECKING:
    import pyarrow as pa

Row = list[str | None]


def result_schema(schema: pa.Schema) -> dict[str, Any]:
    """The `schema` in a result's manifest."""
    columns = [
        {"name": field.name, "position": position, **_type(field.type)}
        for position, field in enumerate(schema)
    ]
    return {"column_count": len(columns), "columns": columns}


def text_rows(table: pa.Table, batch: int = 10_000) -> Iterator[Row]:
    """Every row, each value as text or None."""
    write = [_writer(field.type) for field in table.schema]
    for start in range(0, table.num_rows, batch):
        for row in rows_of(table.slice(start, batch)):
            yield [None if value is None else text(value) for text, value in zip(write, row, strict=True)]


def _type(kind: pa.DataType) -> dict[str, Any]:
    name = _name(kind)
    described: dict[str, Any] = {"type_text": _text(kind), "type_name": name}
    if name == "DECIMAL":
        precision, scale = _precision(kind)
        described |= {"type_precision": precision, "type_scale": scale}
    return described


def _name(kind: pa.DataType) -> str:
    import pyarrow as pa

    is_ = pa.types
    if is_.is_unsigned_integer(kind):  # Databricks has none; the next larger type fits
        return {8: "SHORT", 16: "INT", 32: "LONG"}.get(kind.bit_width, "DECIMAL")
    if is_.is_integer(kind):
        return {8: "BYTE", 16: "SHORT", 32: "INT"}.get(kind.bit_width, "LONG")
    if is_.is_timestamp(kind):
        return "TIMESTAMP" if kind.tz else "TIMESTAMP_NTZ"
    tests: tuple[tuple[Callable[[pa.DataType], bool], str], ...] = (
        (is_.is_boolean, "BOOLEAN"),
        (is_.is_float64, "DOUBLE"),
        (is_.is_floating, "FLOAT"),
        (is_.is_decimal, "DECIMAL"),
        (is_.is_date, "DATE"),
        (is_.is_map, "MAP"),
        (_is_list, "ARRAY"),
        (is_.is_struct, "STRUCT"),
        (_is_binary, "BINARY"),
        (is_.is_null, "NULL"),
        (is_.is_interval, "INTERVAL"),
        (is_.is_duration, "INTERVAL"),
    )
    return next((name for test, name in tests if test(kind)), "STRING")


def _text(kind: pa.DataType) -> str:
    name = _name(kind)
    if name == "ARRAY":
        return f"ARRAY<{_text(kind.value_type)}>"
    if name == "MAP":
        return f"MAP<{_text(kind.key_type)}, {_text(kind.item_type)}>"
    if name == "STRUCT":
        return f"STRUCT<{', '.join(f'{field.name}: {_text(field.type)}' for field in kind)}>"
    if name == "DECIMAL":
        return "DECIMAL({},{})".format(*_precision(kind))
    return {"BYTE": "TINYINT", "SHORT": "SMALLINT", "LONG": "BIGINT", "NULL": "VOID"}.get(name, name)


def _precision(kind: pa.DataType) -> tuple[int, int]:
    import pyarrow as pa

    return (kind.precision, kind.scale) if pa.types.is_decimal(kind) else (20, 0)


def _is_list(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_binary(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(
        pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
    )


def _writer(kind: pa.DataType) -> Callable[[Any], str]:
    if _name(kind) in ("ARRAY", "MAP", "STRUCT"):
        return lambda value: json.dumps(_nested(kind, value), ensure_ascii=False, separators=(",", ":"))
    return _SCALARS.get(_name(kind), str)


def _nested(kind: pa.DataType, value: Any) -> Any:
    """A value with its scalars as text, also in arrays, maps and structs."""
    if value is None:
        return None
    name = _name(kind)
    if name == "ARRAY":
        return [_nested(kind.value_type, item) for item in value]
    if name == "MAP":
        items = value.items() if isinstance(value, dict) else value
        key = _writer(kind.key_type)
        return {key(k): _nested(kind.item_type, item) for k, item in items}
    if name == "STRUCT":
        return {field.name: _nested(field.type, value[field.name]) for field in kind}
    return _writer(kind)(value)


def _double(value: float) -> str:
    """A number as Java prints it, such as `1.0` and `1.0E10`, which Databricks also does."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if value == 0:
        return "-0.0" if math.copysign(1, value) < 0 else "0.0"
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    assert isinstance(exponent, int)
    written = "".join(map(str, digits)).rstrip("0") or "0"
    point = len(digits) + exponent  # digits before the decimal point
    if 1e-3 <= abs(value) < 1e7:
        written = written.ljust(point, "0") if point > 0 else "0" * (1 - point) + written
        point = max(point, 1)
        text = f"{written[:point]}.{written[point:] or '0'}"
    else:
        text = f"{written[0]}.{written[1:] or '0'}E{point - 1}"
    return ("-" if sign else "") + text


def _float(value: float) -> str:
    """The shortest text of a 32-bit number."""
    for digits in range(1, 10):
        short = float(f"{value:.{digits}g}")
        if not math.isfinite(value) or struct.pack("f", short) == struct.pack("f", value):
            return _double(short)
    return _double(value)


def _timestamp(value: datetime) -> str:
    return value.replace(tzinfo=None).isoformat(timespec="milliseconds")


def _date(value: date) -> str:
    return value.isoformat()


_SCALARS: dict[str, Callable[[Any], str]] = {
    "BOOLEAN": lambda value: "true" if value else "false",
    "DOUBLE": _double,
    "FLOAT": _float,
    "DECIMAL": lambda value: format(value, "f") if isinstance(value, Decimal) else str(value),
    "TIMESTAMP": lambda value: _timestamp(value) + "Z",
    "TIMESTAMP_NTZ": _timestamp,
    "DATE": _date,
    "BINARY": lambda value: base64.b64encode(value).decode(),
}

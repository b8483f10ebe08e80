"""Numbers as text: as Java prints them, which Databricks also does."""

from __future__ import annotations

import struct

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakerun.workspace.services.sql.sql_values import result_schema, text_rows


def text(value: object, kind: pa.DataType) -> str | None:
    return next(text_rows(pa.table({"v": pa.array([value], kind)})))[0]


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (-12.5, "-12.5"),
        (100.0, "100.0"),
        (0.001, "0.001"),
        (0.00012, "1.2E-4"),
        (9999999.0, "9999999.0"),
        (10000000.0, "1.0E7"),
        (123456789.125, "1.23456789125E8"),
        (1e-300, "1.0E-300"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
    ],
)
def test_a_double_is_printed_as_java_prints_it(value: float, printed: str) -> None:
    assert text(value, pa.float64()) == printed


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_no_double_loses_a_digit(value: float) -> None:
    printed = text(value, pa.float64())
    assert printed is not None
    assert struct.pack("d", float(printed)) == struct.pack("d", value)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_is_as_short_as_it_can_be(value: float) -> None:
    printed = text(value, pa.float32())
    assert printed is not None
    assert struct.pack("f", float(printed)) == struct.pack("f", value)
    assert len(printed.split("E")[0].replace("-", "").replace(".", "").strip("0")) <= 9


def test_a_float_has_no_spurious_digits() -> None:
    assert text(0.1, pa.float32()) == "0.1"


def test_nested_values_keep_their_nulls() -> None:
    kind = pa.list_(pa.struct([("n", pa.int64()), ("d", pa.date32())]))
    assert text([{"n": None, "d": None}, None], kind) == '[{"n":null,"d":null},null]'


@pytest.mark.parametrize(
    ("kind", "type_text", "type_name"),
    [
        (pa.int8(), "TINYINT", "BYTE"),
        (pa.int16(), "SMALLINT", "SHORT"),
        (pa.int32(), "INT", "INT"),
        (pa.uint32(), "BIGINT", "LONG"),
        (pa.uint64(), "DECIMAL(20,0)", "DECIMAL"),
        (pa.float32(), "FLOAT", "FLOAT"),
        (pa.timestamp("us"), "TIMESTAMP_NTZ", "TIMESTAMP_NTZ"),
        (pa.timestamp("ns", "UTC"), "TIMESTAMP", "TIMESTAMP"),
        (pa.null(), "VOID", "NULL"),
        (pa.large_string(), "STRING", "STRING"),
        (pa.list_(pa.decimal128(5, 1)), "ARRAY<DECIMAL(5,1)>", "ARRAY"),
    ],
)
def test_types_have_databricks_names(kind: pa.DataType, type_text: str, type_name: str) -> None:
    column = result_schema(pa.schema([("v", kind)]))["columns"][0]
    assert (column["type_text"], column["type_name"]) == (type_text, type_name)

"""Runs the same SQL without Spark and on local Spark, and compares values and types: `Engines`, `cases`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_type

from lakerun.sql.errors import OnlyInSparkError, SqlError
from lakerun.sql.functions import LAST_DIGITS
from lakerun.sql.query import query
from lakerun.tables.storage import Storage, TableName

FOLDER = Path(__file__).parent / "sql_cases"
BATCH = 60  # expressions that share a query


@dataclass(frozen=True)
class Case:
    """A whole statement, or an expression over the rows of `t`.

    `spark` is Spark's form of it, if only Databricks has the form. `fails`: Spark refuses it, or it
    fails in one of the rows. `to_spark`: the quick way leaves it to Spark.
    """

    text: str
    spark: str
    fails: bool = False
    to_spark: bool = False

    @property
    def is_statement(self) -> bool:
        return re.match(r"\(*(SELECT|WITH|VALUES|FROM)\b", self.text) is not None

    def statement(self, text: str) -> str:
        return text if self.is_statement else f"SELECT i, {text} AS answer FROM t ORDER BY i"


@dataclass(frozen=True)
class Answer:
    """Rows and types, or the reason why there are none."""

    rows: tuple[Any, ...] = ()
    types: tuple[str, ...] = ()
    error: str = ""
    only_in_spark: str = ""


def cases() -> list[Case]:
    """Every case of the folder, one per line.

    A case that fails begins with `! `, one that is left to Spark with `> `. Spark's own form follows ` ==> `.
    """
    found = []
    for file in sorted(FOLDER.glob("*.sql")):
        for line in file.read_text(encoding="utf-8").splitlines():
            if not line.strip() or line.startswith("--"):
                continue
            mark = line[:2] if line[:2] in ("! ", "> ") else ""
            text, _, spark = line.removeprefix(mark).strip().partition(" ==> ")
            found.append(Case(text, spark or text, mark == "! ", mark == "> "))
    return found


class Engines:
    """Both engines over the same tables."""

    def __init__(self, storage: Storage, spark: SparkSession | None) -> None:
        self._storage = storage
        self._spark = spark
        for name, rows in (("t", _values()), ("u", _others()), ("e", _values().slice(0, 0))):
            path = storage.table_path(TableName("cat", "sch", name))
            if not path.exists():
                write_deltalake(str(path), rows)
            if spark is not None:
                spark.read.format("delta").load(str(path)).createOrReplaceTempView(name)

    def quickly(self, asked: list[Case]) -> dict[Case, Answer]:
        """The quick way's answers; the expressions that it can answer share a query."""
        together = [case for case in asked if not (case.is_statement or case.fails or case.to_spark)]
        found: dict[Case, Answer] = {}
        for start in range(0, len(together), BATCH):
            found |= self._quickly_together(together[start : start + BATCH])
        return found | {case: self.quick(case) for case in asked if case not in found}

    def _quickly_together(self, asked: list[Case]) -> dict[Case, Answer]:
        listed = ", ".join(f"{case.text} AS c{number}" for number, case in enumerate(asked))
        try:
            table = query(f"SELECT i, {listed} FROM t ORDER BY i", self._storage)
        except SqlError:
            return {case: self.quick(case) for case in asked}
        return {case: _answer(table.select(["i", f"c{number}"])) for number, case in enumerate(asked)}

    def quick(self, case: Case) -> Answer:
        """The quick way's answer."""
        try:
            return _answer(query(case.statement(case.text), self._storage))
        except OnlyInSparkError as error:
            return Answer(only_in_spark=str(error))
        except SqlError as error:
            return Answer(error=str(error))

    def in_spark(self, asked: list[Case]) -> dict[Case, Answer]:
        """Spark's answers; expressions that do not fail share a query."""
        together = [case for case in asked if not case.is_statement and not case.fails]
        found = {}
        for start in range(0, len(together), BATCH):
            found |= self._together(together[start : start + BATCH])
        for case in asked:
            if case not in found:
                found[case] = self._alone(case)
        return found

    def _together(self, asked: list[Case]) -> dict[Case, Answer]:
        assert self._spark is not None
        listed = ", ".join(f"{case.spark} AS c{number}" for number, case in enumerate(asked))
        try:
            table = self._spark.sql(f"SELECT i, {listed} FROM t ORDER BY i").toArrow()
        except (PySparkException, Py4JJavaError, ValueError):  # ValueError: a type that Arrow lacks
            if len(asked) == 1:
                return {asked[0]: self._alone(asked[0])}
            half = len(asked) // 2
            return self._together(asked[:half]) | self._together(asked[half:])
        return {case: _answer(table.select(["i", f"c{number}"])) for number, case in enumerate(asked)}

    def _alone(self, case: Case) -> Answer:
        assert self._spark is not None
        try:
            return _answer(self._spark.sql(case.statement(case.spark)).toArrow())
        except (PySparkException, Py4JJavaError, ValueError) as error:
            return Answer(error=" ".join(str(error).split()) or repr(error))


def same(case: Case, quick: Answer, spark: Answer) -> bool:
    """Whether the quick way's answer is Spark's."""
    if quick.error or spark.error:
        return bool(quick.error) and bool(spark.error)
    near = LAST_DIGITS.intersection(re.findall(r"\w+", case.text.lower()))
    return quick.types == spark.types and _equal(quick.rows, spark.rows, bool(near))


def _answer(table: pa.Table) -> Answer:
    types = tuple(from_arrow_type(field.type).simpleString() for field in table.schema)
    columns = [_instants(column).to_pylist() for column in table.columns]
    return Answer(tuple(zip(*columns, strict=True)), types)


def _instants(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Compare years that Python's types do not have as microseconds and days."""
    if pa.types.is_date32(column.type):
        return column.cast(pa.int32())
    return column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column


def _equal(left: Any, right: Any, near: bool) -> bool:
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(_equal(a, b, near) for a, b in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(_equal(left[key], right[key], near) for key in left)
    if isinstance(left, float) and isinstance(right, float):
        if math.isnan(left) or math.isnan(right):
            return math.isnan(left) and math.isnan(right)
        if near:
            return math.isclose(left, right, rel_tol=1e-12)
        return left == right and math.copysign(1, left) == math.copysign(1, right)
    return type(left) is type(right) and bool(left == right)


def _values() -> pa.Table:
    """Rows with values of every type: NULL, zero, the largest, the smallest and others."""
    at = datetime
    rows: list[tuple[Any, ...]] = [
        (None,) * 19,
        (
            True,
            1,
            1,
            1,
            1,
            1.0,
            1.0,
            "1.00",
            "1.0000",
            "a",
            date(2024, 2, 29),
            at(2024, 2, 29, 12, 30, 45, 123456),
            b"ab",
            [1, 2, 3],
            ["a", "b"],
            [("k", 1), ("l", 2)],
            {"a": 1, "b": "x"},
            '{"a": 1, "b": {"c": "x"}}',
            1,
        ),
        (
            False,
            0,
            0,
            0,
            0,
            -0.0,
            -0.0,
            "0.00",
            "0.0000",
            "",
            date(1970, 1, 1),
            at(1970, 1, 1),
            b"",
            [],
            [],
            [],
            {"a": None, "b": None},
            '{"a": null}',
            2,
        ),
        (
            True,
            -7,
            -7,
            -7,
            -7,
            -2.5,
            -2.5,
            "-2.55",
            "-2.5555",
            "  Abc d  ",
            date(1969, 12, 31),
            at(1969, 12, 31, 23, 59, 59, 999999),
            b"\x00\x7f",
            [None, 5],
            [None, "x"],
            [("a", None)],
            {"a": -5, "b": ""},
            '{"b": [1, {"c": [true, "z"]}], "a": "s"}',
            3,
        ),
        (
            True,
            127,
            32767,
            2147483647,
            9223372036854775807,
            3.5,
            1e15,
            "99999999.99",
            "9999999999999999.9999",
            "Straße über 20 €",
            date(9999, 12, 31),
            at(9999, 12, 31, 23, 59, 59),
            b"zz",
            [2147483647, -1, 7, 7],
            ["b", "a", "c"],
            [("b", 2), ("a", 1)],
            {"a": 7, "b": "ü"},
            "[1, 2, 3]",
            4,
        ),
        (
            False,
            -128,
            -32768,
            -2147483648,
            -9223372036854775808,
            -1.5,
            -1e15,
            "-99999999.99",
            "-9999999999999999.9999",
            "2024-03-10 02:30:00",
            date(1, 1, 1),
            at(1900, 1, 1, 0, 0, 0, 1),
            b"a",
            [0],
            ["z"],
            [("", 0)],
            {"a": 0, "b": "0"},
            '{"a": 12345678901, "b": "its", "c": false}',
            5,
        ),
        (
            None,
            12,
            300,
            70000,
            5000000000,
            float("nan"),
            float("nan"),
            "12.35",
            "12.3450",
            "12",
            date(2024, 3, 10),
            at(2024, 3, 10, 7, 0),
            b"12",
            [3, None, 1, 3],
            ["12", None, ""],
            [("x", 9)],
            {"a": 3, "b": "A"},
            '{"a": {"b": [1,2]}}',
            6,
        ),
        (
            True,
            5,
            50,
            500,
            50000,
            float("inf"),
            0.285,
            "0.29",
            "0.2850",
            "x,y;z",
            date(2023, 12, 31),
            at(2023, 12, 31, 23, 0, 0, 500000),
            b"q",
            [5, 6],
            ["x", "y", "z"],
            [("q", 5)],
            {"a": 1, "b": "x"},
            '{"a": "1", "b": 2}',
            7,
        ),
        (
            False,
            6,
            60,
            600,
            60000,
            float("-inf"),
            2.675,
            "10.10",
            "10.1010",
            "100%_\\",
            date(2000, 2, 29),
            at(2000, 2, 29, 0, 0),
            b"%",
            [9, 8, 7],
            ["%"],
            [("%", 1)],
            {"a": 9, "b": "%"},
            '"text"',
            8,
        ),
    ]
    schema = pa.schema(
        [
            ("b", pa.bool_()),
            ("ti", pa.int8()),
            ("si", pa.int16()),
            ("n", pa.int32()),
            ("l", pa.int64()),
            ("f", pa.float32()),
            ("d", pa.float64()),
            ("p", pa.decimal128(10, 2)),
            ("q", pa.decimal128(20, 4)),
            ("s", pa.string()),
            ("day", pa.date32()),
            ("at", pa.timestamp("us", "UTC")),
            ("bin", pa.binary()),
            ("arr", pa.list_(pa.int32())),
            ("words", pa.list_(pa.string())),
            ("m", pa.map_(pa.string(), pa.int32())),
            ("st", pa.struct([("a", pa.int32()), ("b", pa.string())])),
            ("j", pa.string()),
            ("i", pa.int32()),
        ]
    )
    columns = []
    for number, field in enumerate(schema):
        values = [row[number] for row in rows]
        if pa.types.is_decimal(field.type):
            values = [None if value is None else Decimal(value) for value in values]
        if field.name == "at":
            values = [None if value is None else value.replace(tzinfo=UTC) for value in values]
        if field.name == "i":
            values[0] = 0
        columns.append(pa.array(values, field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def _others() -> pa.Table:
    """Rows to join, group and sort: keys that repeat, NULLs and ties."""
    return pa.table(
        {
            "k": pa.array([1, 1, 2, 2, 2, None, 7, 8], pa.int32()),
            "g": pa.array(["a", "b", "a", "b", None, "a", "c", "c"]),
            "v": pa.array([10, 20, 30, 40, 40, None, -5, 0], pa.int32()),
            "x": pa.array([1.5, float("nan"), -0.0, 0.0, None, 2.25, 1e300, -1.5], pa.float64()),
            "amount": pa.array(
                [
                    Decimal(v) if v else None
                    for v in ("1.10", "2.20", "3.33", "", "0.01", "9.99", "-4.50", "100.00")
                ],
                pa.decimal128(10, 2),
            ),
            "day": pa.array([date(2024, 1, d) for d in (1, 1, 2, 2, 3, 3, 4, 4)], pa.date32()),
            "at": pa.array(
                [
                    datetime(2024, 1, d, h, tzinfo=UTC)
                    for d, h in ((1, 0), (1, 5), (2, 5), (2, 6), (3, 7), (3, 8), (4, 9), (4, 9))
                ],
                pa.timestamp("us", "UTC"),
            ),
            "id": pa.array(range(1, 9), pa.int32()),
        }
    )

"""Deterministic columns on dbldatagen: every value is a hash of the seed, a record's number and the column.

dbldatagen's own random columns and distributions use a generator per partition or Arrow batch, so their
values depend on how the rows are split. Here randomness comes from a hash; dbldatagen builds the lines and
the weighted vocabularies from it, and a distribution is the inverse of its cumulative function.
"""

from __future__ import annotations

import re
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dbldatagen import DataGenerator
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import (
    BooleanType,
    DataType,
    DecimalType,
    DoubleType,
    IntegerType,
    LongType,
    StringType,
)

LINE = "_line"

SqlType = Literal["string", "int", "bigint", "double", "boolean", "decimal(10,2)"]
# Types as objects: dbldatagen would parse their names, which takes longer than everything else.
TYPES: Mapping[SqlType, DataType] = {
    "string": StringType(),
    "int": IntegerType(),
    "bigint": LongType(),
    "double": DoubleType(),
    "boolean": BooleanType(),
    "decimal(10,2)": DecimalType(10, 2),
}


def hashed(seed: int, key: str, column: str) -> str:
    """SQL: a BIGINT, uniform over the whole range, the same for one seed, key and column."""
    return f"xxhash64({key}, {zlib.crc32(column.encode())}L, {seed}L)"


def uniform(seed: int, key: str, column: str) -> str:
    """SQL: a DOUBLE, uniform in [0, 1)."""
    return f"(shiftrightunsigned({hashed(seed, key, column)}, 11) * {2.0**-53!r}D)"


def normal(seed: int, key: str, column: str) -> str:
    """SQL: a DOUBLE, standard normal, by the Box-Muller transform."""
    radius = f"sqrt(-2 * ln(1 - {uniform(seed, key, column + '.radius')}))"
    return f"({radius} * cos(2 * pi() * {uniform(seed, key, column + '.angle')}))"


def zipf_rank(share: str, count: int, shift: int) -> str:
    """SQL: a rank from 0 to `count` - 1 from a uniform `share`; rank r has weight ln(1 + 1 / (r + shift)).

    Close to 1 / (r + shift), the law of Zipf and Mandelbrot, with an inverse that needs no table.
    """
    ratio = (count + shift) / shift
    return f"least(cast(floor({shift} * pow({ratio!r}D, {share}) - {shift}) AS BIGINT), {count - 1}L)"


def lookup(values: Sequence[str] | Sequence[int] | Sequence[float], index: str) -> str:
    """SQL: the element of a constant list at an index from 0. Texts hold no comma, quote or backslash."""
    # One string, which Spark folds into a constant array: dbldatagen parses every token of an expression.
    listed = f"split('{','.join(str(value) for value in values)}', ',')"
    kinds = {str: "string", int: "bigint", float: "double"}
    return f"element_at(cast({listed} AS ARRAY<{kinds[type(values[0])]}>), cast({index} AS INT) + 1)"


def padded(number: str, width: int) -> str:
    """SQL: a number with leading zeros up to a width, never truncated."""
    return f"lpad({number}, greatest({width}, length({number})), '0')"


def event_time(seconds: str) -> str:
    """SQL: seconds since the first day as `2024-01-01T00:00:00Z`, whatever the session's time zone."""
    moment = f"TIMESTAMP_NTZ'2024-01-01 00:00:00' + make_dt_interval(0, 0, 0, {seconds})"
    return f"concat(replace(cast({moment} AS STRING), ' ', 'T'), 'Z')"


@dataclass(frozen=True)
class _Column:
    """A column by its expression; with `weights`, a vocabulary that the column of that name draws from."""

    type: DataType
    expression: str
    weights: Mapping[str, int] | Mapping[int, int] | None = None


class Columns:
    """Columns of one dataset, each over the ones before it.

    A dbldatagen `DataGenerator` builds the vocabularies and the columns that they are drawn by. Spark builds
    the other columns in one step, because dbldatagen parses each expression in Python and takes a step for
    each column that needs another. In a new process this takes three fifths of the time.
    """

    def __init__(self, spark: SparkSession, name: str, lines: int, partitions: int, seed: int) -> None:
        self._seed = seed
        self._columns: dict[str, _Column] = {}
        self._outputs: list[str] = []
        self._generator = DataGenerator(
            spark, name=name, rows=lines, partitions=partitions, seedColumnName=LINE, randomSeed=0
        ).withIdOutput()

    def add(self, name: str, sql_type: SqlType, expression: str, *, output: bool = False) -> None:
        """Add a column, a SQL expression over earlier ones; without `output` only later columns use it."""
        self._columns[name] = _Column(TYPES[sql_type], expression)
        if output:
            self._outputs.append(name)

    def add_choice(self, name: str, weights: Mapping[str, int] | Mapping[int, int], key: str) -> None:
        """Add a column of a weighted vocabulary, chosen by the hash of `key`."""
        draw = f"{name}_draw"
        self.add(draw, "bigint", hashed(self._seed, key, name))
        sql_type: SqlType = "string" if isinstance(next(iter(weights)), str) else "int"
        self._columns[name] = _Column(TYPES[sql_type], draw, weights)

    def build(self) -> DataFrame:
        """The output columns, a row per line, in line order across and inside partitions."""
        generated = self._needed_by_choices()
        for name in generated:
            self._generate(name, self._columns[name])
        with warnings.catch_warnings():  # dbldatagen calls pyparsing by names that newer releases renamed
            warnings.simplefilter("ignore", DeprecationWarning)
            lines: DataFrame = self._generator.build()
        return lines.selectExpr(
            "*",
            *(
                f"CAST({column.expression} AS {column.type.simpleString()}) AS {name}"
                for name, column in self._columns.items()
                if name not in generated
            ),
        ).select(self._outputs)

    def _generate(self, name: str, column: _Column) -> None:
        if column.weights is None:
            references = self._references(column.expression) or [LINE]
            self._generator.withColumn(name, column.type, expr=column.expression, baseColumn=references)
            return
        # Scaled up, because dbldatagen compares with whole steps of the sum of the weights.
        self._generator.withColumn(
            name,
            column.type,
            values=list(column.weights),
            weights=[weight * 10_000 for weight in column.weights.values()],
            baseColumn=column.expression,
            baseColumnType="values",
        )

    def _needed_by_choices(self) -> list[str]:
        """The vocabularies and the columns that they need, in the order in which they were added."""
        needed: set[str] = set()
        for name, column in reversed(self._columns.items()):
            if column.weights is not None or name in needed:
                needed.update([name, *self._references(column.expression)])
        return [name for name in self._columns if name in needed]

    def _references(self, expression: str) -> list[str]:
        words = set(re.findall(r"\w+", expression))
        return [name for name in self._columns if name in words]

"""The translation of an expression: `Value`."""

from __future__ import annotations

from dataclasses import dataclass

from lakerun.sql.types import Type

# The `literal` of 7L and of CAST(7 AS BIGINT).
TYPED = object()


@dataclass(frozen=True)
class Value:
    """DuckDB's SQL for an expression, its type in Spark, and the value of a literal."""

    sql: str
    type: Type
    literal: object = None

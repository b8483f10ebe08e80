"""What an expression becomes: `Value`."""

from __future__ import annotations

from dataclasses import dataclass

from lakerun.sql.types import Type

# What the literal 7L is, and CAST(7 AS BIGINT).
TYPED = object()


@dataclass(frozen=True)
class Value:
    """DuckDB's SQL for an expression, its type in Spark, and what a literal says."""

    sql: str
    type: Type
    literal: object = None

"""Functions that need more than a template, by Spark's names: `SCALARS`."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from lakerun.sql.errors import not_available, only_in_spark
from lakerun.sql.expressions import Writer
from lakerun.sql.values import Value

Arguments = list[exp.Expr]
Scalar = Callable[[Writer, Arguments], Value]
SCALARS: dict[str, Scalar] = {}


def scalar(*names: str) -> Callable[[Scalar], Scalar]:
    """Register a function with Spark's names for it."""

    def register(function: Scalar) -> Scalar:
        SCALARS.update(dict.fromkeys(names, function))
        return function

    return register


def arguments_of(writer: Writer, arguments: Arguments, name: str, least: int, most: int = 0) -> list[Value]:
    if not least <= len(arguments) <= (most or least):
        raise not_available(f"{name} with {len(arguments)} arguments")
    return [writer.write(argument) for argument in arguments]


def literal_text(value: Value, what: str) -> str:
    if not isinstance(value.literal, str):
        raise only_in_spark(f"{what} that is not a literal")
    return value.literal


def literal_number(value: Value, what: str) -> int:
    if not isinstance(value.literal, int):
        raise only_in_spark(f"{what} that is not a literal")
    return value.literal

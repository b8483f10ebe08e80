"""The functions that run without Spark, with Spark's types and DuckDB's expressions: `functions`.

A function that is neither in functions.txt nor registered in Python is left to Spark.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lakerun.sql.types import STRING, Type, common

CATALOGUE, AGGREGATES, WINDOWS = "scalar", "aggregate", "window"
# Spark and DuckDB may differ in the last digits of these, as Spark's own runs do in a sum of doubles.
LAST_DIGITS = frozenset(
    [
        "avg",
        "corr",
        "covar_pop",
        "covar_samp",
        "degrees",
        "mean",
        "median",
        "percentile",
        "pow",
        "power",
        "radians",
        "std",
        "stddev",
        "stddev_pop",
        "stddev_samp",
        "sum",
        "var_pop",
        "var_samp",
        "variance",
        "exp",
        "ln",
        "log",
        "log10",
        "log2",
        "cbrt",
    ]
)
_LINE = re.compile(r"(\w+)\((.*?)\) (\S+) = (.+)")
_WIDER = {
    "int": ("tinyint", "smallint", "int"),
    "bigint": ("tinyint", "smallint", "int", "bigint"),
    "double": ("tinyint", "smallint", "int", "bigint", "float", "double", "decimal"),
    "date": ("date", "timestamp", "timestamp_ntz", "string"),
    "timestamp": ("date", "timestamp", "timestamp_ntz", "string"),
}
_CLASSES = (
    "integral",
    "decimal",
    "numeric",
    "ordered",
    "any",
    "exact",
    "array",
    "map",
    "item",
    "key",
    "same",
)
_INNER = {"item": 0, "key": 0, "value": 1}


@dataclass(frozen=True)
class Function:
    """One form of a function: the classes of its parameters, its result, and DuckDB's expression for it."""

    name: str
    parameters: tuple[str, ...]
    result: str
    template: str

    def types(self, given: Sequence[Type]) -> list[Type] | None:
        """The types to which the arguments are cast; None if this form does not accept them."""
        if len(given) != len(self.parameters):
            return None
        wanted = [
            _wanted(kind, parameter, given[0]) for kind, parameter in zip(given, self.parameters, strict=True)
        ]
        found = [kind for kind in wanted if kind is not None]
        if len(found) != len(wanted):
            return None
        if self.result == "common":
            widest = common(found[0], found[1])
            return None if widest is None else [widest, widest]
        return found

    def result_type(self, types: Sequence[Type]) -> Type:
        """The result's type for these types of the cast arguments."""
        inner = re.fullmatch(r"array<(\w+)>", self.result)
        if inner:
            return Type("array", (_result(inner.group(1), types),))
        return _result(self.result, types)


def _wanted(given: Type, parameter: str, first: Type) -> Type | None:
    nested = re.fullmatch(r"array<(\w+)>", parameter)
    if nested:
        return given if given.name == "array" and given.items[0].name == nested.group(1) else None
    if parameter in ("item", "key"):
        if not first.items:
            return None
        inner = first.items[0]
        return inner if common(inner, given) == inner and not inner.nested else None
    if parameter == "same":
        return first if common(first, given) == first else None
    if parameter in _WIDER:
        if given.name == "void":
            return Type(parameter)
        return Type(parameter) if given.name in _WIDER[parameter] else None
    if given.name == "void":
        return None if parameter in _CLASSES else Type(parameter)
    fits = {
        "any": True,
        "exact": not given.holds("double") and not given.holds("float"),
        "integral": given.integral,
        "numeric": given.numeric,
        "ordered": not given.nested and given.name != "void",
    }
    return given if fits.get(parameter, given.name == parameter) else None


def _result(name: str, types: Sequence[Type]) -> Type:
    if name in ("same", "common"):
        return types[0]
    if name in _INNER:
        return types[0].items[_INNER[name]]
    return STRING if name == "string" else Type(name)


@cache
def functions(kind: str) -> dict[str, tuple[Function, ...]]:
    """The functions of a section of functions.txt, with their forms in order."""
    text = Path(__file__).with_name("functions.txt").read_text(encoding="utf-8")
    section = re.split(r"^\[(\w+)\]$", text, flags=re.M)
    found: dict[str, list[Function]] = {}
    for line in section[section.index(kind) + 1].splitlines():
        if not line or line.startswith("# "):
            continue
        parts = _LINE.fullmatch(line)
        assert parts, line
        name, parameters, result, template = parts.groups()
        form = Function(name, tuple(parameters.split(", ")) if parameters else (), result, template)
        found.setdefault(name, []).append(form)
    return {name: tuple(forms) for name, forms in found.items()}

"""Functions with OVER: `window`."""

from __future__ import annotations

from sqlglot import exp

from lakerun.sql.aggregates import aggregate
from lakerun.sql.errors import SqlError, only_in_spark
from lakerun.sql.expressions import Writer
from lakerun.sql.functions import WINDOWS, functions
from lakerun.sql.values import Value

_WITH_FRAMES = ("first_value", "last_value", "nth_value")


def window(writer: Writer, node: exp.Window) -> Value:
    """A function over the rows of a window."""
    if node.args.get("alias") or node.args.get("first") is not None:
        raise only_in_spark("OVER with a name")
    inner, nulls, filtered = node.this, "", ""
    if isinstance(inner, exp.Filter):
        filtered = f" FILTER (WHERE {writer.condition(inner.expression.this)})"
        inner = inner.this
    if isinstance(inner, exp.IgnoreNulls | exp.RespectNulls):
        nulls = " IGNORE NULLS" if isinstance(inner, exp.IgnoreNulls) else ""
        inner = inner.this
    if not isinstance(inner, exp.Anonymous):
        raise only_in_spark(node.sql("databricks"))
    name, arguments = inner.name.lower(), list(inner.expressions)
    over = f" OVER ({_over(writer, node)})"
    forms = functions(WINDOWS).get(name)
    if forms is None:
        if nulls or (len(arguments) == 1 and isinstance(arguments[0], exp.Distinct)):
            raise only_in_spark(node.sql("databricks"))
        return aggregate(writer, name, arguments, f"{filtered}{over}")
    ranked = name not in _WITH_FRAMES
    if filtered or (ranked and node.args.get("spec")):
        raise only_in_spark(f"{name} with a frame or FILTER")
    if ranked and not node.args.get("order"):
        raise SqlError(f"SQL: {name} needs ORDER BY in its window.")
    values = [writer.write(argument) for argument in arguments]
    return writer.call(name, values, forms, after=over, nulls=nulls)


def _over(writer: Writer, node: exp.Window) -> str:
    parts = []
    if partition := node.args.get("partition_by"):
        values = [writer.write(part) for part in partition]
        if any(value.type.nested for value in values):
            raise only_in_spark("PARTITION BY a nested value")
        parts.append(f"PARTITION BY {', '.join(value.sql for value in values)}")
    if order := node.args.get("order"):
        keys = []
        for part in order.expressions:
            value = writer.write(part.this)
            if value.type.nested:
                raise only_in_spark(f"ORDER BY {value.type}")
            nulls = "FIRST" if part.args.get("nulls_first") else "LAST"
            keys.append(f"{value.sql} {'DESC' if part.args.get('desc') else 'ASC'} NULLS {nulls}")
        parts.append(f"ORDER BY {', '.join(keys)}")
    if spec := node.args.get("spec"):
        parts.append(_frame(spec))
    return " ".join(parts)


def _frame(spec: exp.WindowSpec) -> str:
    kind = str(spec.args.get("kind")).upper()
    if spec.args.get("exclude") or kind not in ("ROWS", "RANGE"):
        raise only_in_spark("this kind of frame")
    start = _bound(kind, spec.args.get("start"), spec.args.get("start_side"))
    if spec.args.get("end") is None:
        return f"{kind} BETWEEN {start} AND CURRENT ROW"
    return f"{kind} BETWEEN {start} AND {_bound(kind, spec.args.get('end'), spec.args.get('end_side'))}"


def _bound(kind: str, at: object, side: object) -> str:
    if at == "CURRENT ROW":
        return "CURRENT ROW"
    if at == "UNBOUNDED":
        return f"UNBOUNDED {str(side).upper()}"
    if kind == "ROWS" and isinstance(at, exp.Literal) and at.name.isdigit():
        return f"{at.name} {str(side).upper()}"
    raise only_in_spark("a frame with this bound")

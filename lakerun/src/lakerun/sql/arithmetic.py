"""+, -, *, /, div and % with Spark's types: `write`."""

from __future__ import annotations

from sqlglot import exp

from lakerun.sql.errors import only_in_spark
from lakerun.sql.expressions import Writer
from lakerun.sql.types import BIGINT, DATE, DOUBLE, VOID, Type, as_decimal, common
from lakerun.sql.values import TYPED, Value

_SIGNS = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.IntDiv: "div", exp.Mod: "%"}
_UNITS = {
    **dict.fromkeys(("day", "days"), ("to_days", 1, False)),
    **dict.fromkeys(("week", "weeks"), ("to_days", 7, False)),
    **dict.fromkeys(("month", "months"), ("to_months", 1, False)),
    **dict.fromkeys(("year", "years"), ("to_months", 12, False)),
    **dict.fromkeys(("hour", "hours"), ("to_hours", 1, True)),
    **dict.fromkeys(("minute", "minutes"), ("to_minutes", 1, True)),
    **dict.fromkeys(("second", "seconds"), ("to_seconds", 1, True)),
}


def write(writer: Writer, node: exp.Binary) -> Value:
    """An operation on two numbers, or on a time and an interval."""
    sign = _SIGNS[type(node)]
    if isinstance(node.expression, exp.Interval) and sign in "+-":
        return _moved(writer.write(node.this), node.expression, sign)
    if isinstance(node.this, exp.Interval) and sign == "+":
        return _moved(writer.write(node.expression), node.this, sign)
    return operation(writer, sign, writer.write(node.this), writer.write(node.expression))


def operation(writer: Writer, sign: str, left: Value, right: Value) -> Value:
    """The operation on two values."""
    if left.type == DATE and right.type.name in ("tinyint", "smallint", "int") and sign in "+-":
        return Value(f"CAST({left.sql} {sign} {right.sql} AS DATE)", DATE)
    if VOID in (left.type, right.type) and left.type != right.type:
        kind = right.type if left.type == VOID else left.type
        left, right = (
            Value(writer.to(side, kind), kind) if side.type == VOID else side for side in (left, right)
        )
    if not (left.type.numeric and right.type.numeric):
        raise only_in_spark(f"{left.type} {sign} {right.type}")
    fractional = any(side.type.name in ("float", "double") for side in (left, right))
    if "decimal" in (left.type.name, right.type.name) and not fractional:
        return _decimals(sign, _narrow(left), _narrow(right))
    if sign == "/":
        return Value(f"spark_divide({writer.to(left, DOUBLE)}, {writer.to(right, DOUBLE)})", DOUBLE)
    if sign == "div":
        if fractional:
            raise only_in_spark(f"{left.type} div {right.type}")
        return Value(f"spark_int_divide({writer.to(left, BIGINT)}, {writer.to(right, BIGINT)})", BIGINT)
    found = common(left.type, right.type)
    assert found is not None
    first, second = writer.to(left, found), writer.to(right, found)
    if sign == "%":
        return Value(f"spark_remainder({first}, {second})", found)
    return Value(f"({first} {sign} {second})", found)


def quotient(top: str, given: Type, bottom: str, by: Type, kind: Type) -> str:
    """A decimal divided by another, rounded half up to `kind`; too large numbers are left to Spark."""
    more = kind.scale - given.scale + by.scale
    room = 37 - 2 * given.scale - more
    if room < 4 or more < 0 or 2 * by.scale > 20:
        raise only_in_spark(f"{given} / {by}")
    numerator = f"{_digits(top, given, more)}"
    limits = ((top, room), (bottom, 36 - 2 * by.scale))
    large = " OR ".join(f"abs({sql}) >= CAST('1e{most}' AS DOUBLE)" for sql, most in limits)
    whole = f"CAST(spark_half_up({numerator}, {_digits(bottom, by, 0)}) AS DECIMAL(38, 0))"
    unit = f"CAST('1e-{kind.scale}' AS DECIMAL({kind.scale + 1}, {kind.scale}))"
    return (
        f"(CASE WHEN {large} THEN spark_only('a division of numbers of this size') "
        f"ELSE CAST({whole} * {unit} AS {kind.duckdb}) END)"
    )


def _digits(sql: str, kind: Type, more: int) -> str:
    """A decimal's digits as a whole number, with `more` zeros."""
    factor = kind.scale + more
    if not factor:
        return f"CAST({sql} AS HUGEINT)"
    wide = f"CAST({sql} AS DECIMAL(38, {kind.scale}))"
    return f"CAST({wide} * CAST('1e{factor}' AS DECIMAL(38, 0)) AS HUGEINT)"


def adjusted(precision: int, scale: int) -> Type:
    """Spark's type of a decimal result: if there are too many digits, it drops some after the point."""
    if precision > 38:
        scale = max(38 - (precision - scale), min(scale, 6))
    return Type("decimal", precision=min(precision, 38), scale=scale)


def _narrow(value: Value) -> Value:
    """A whole number as a decimal: with the digits of its type, or a literal's own digits."""
    if value.type.name == "decimal":
        return value
    if value.literal is TYPED:
        raise only_in_spark("7L or CAST(7 AS BIGINT) beside a decimal")  # the parser confuses the two
    kind = as_decimal(value.type)
    if isinstance(value.literal, int):
        kind = Type("decimal", precision=max(len(str(abs(value.literal))), 1))
    return Value(f"CAST({value.sql} AS {kind.duckdb})", kind)


def _decimals(sign: str, left: Value, right: Value) -> Value:
    p1, s1, p2, s2 = left.type.precision, left.type.scale, right.type.precision, right.type.scale
    scale, whole = max(s1, s2), max(p1 - s1, p2 - s2)
    if sign == "/":
        digits = max(6, s1 + p2 + 1)
        kind = adjusted(p1 - s1 + s2 + digits, digits)
        divided = quotient(left.sql, left.type, right.sql, right.type, kind)
        zero = f"WHEN {right.sql} = 0 THEN error('division by zero; use try_divide')"
        return Value(f"(CASE {zero} ELSE {divided} END)", kind)
    exact = {
        "+": (whole + scale + 1, scale),
        "-": (whole + scale + 1, scale),
        "*": (p1 + p2 + 1, s1 + s2),
        "%": (min(p1 - s1, p2 - s2) + scale, scale),
    }.get(sign)
    if exact is None or adjusted(*exact).scale != exact[1]:
        raise only_in_spark(f"{left.type} {sign} {right.type}")
    kind = adjusted(*exact)
    if sign == "*":
        wide = f"CAST({left.sql} AS DECIMAL(38, {s1}))"  # DuckDB's product is not wider than its factors
        return Value(f"CAST({wide} * {right.sql} AS {kind.duckdb})", kind)
    wide = f"DECIMAL({min(whole + scale + 1, 38)}, {scale})"
    first, second = f"CAST({left.sql} AS {wide})", f"CAST({right.sql} AS {wide})"
    written = f"spark_remainder({first}, {second})" if sign == "%" else f"({first} {sign} {second})"
    return Value(f"CAST({written} AS {kind.duckdb})", kind)


def _moved(value: Value, interval: exp.Interval, sign: str) -> Value:
    """A time and an interval of one unit, written as a literal."""
    unit = interval.args.get("unit")
    amount = interval.this
    known = _UNITS.get(unit.name.lower()) if isinstance(unit, exp.Var) else None
    digits = amount.name if isinstance(amount, exp.Literal) else ""
    if known is None or not digits.lstrip("-").isdigit():
        raise only_in_spark(interval.sql("databricks"))
    function, factor, into_day = known
    number = int(digits) * factor
    moved = f"({value.sql} {sign} {function}(CAST({number} AS INTEGER)))"
    if value.type == DATE and not into_day:
        return Value(f"CAST({moved} AS DATE)", DATE)
    if value.type == DATE:
        return Value(f"CAST({moved} AS TIMESTAMP)", Type("timestamp"))
    if value.type.instant:
        return Value(moved, value.type)
    raise only_in_spark(f"{value.type} {sign} an interval")

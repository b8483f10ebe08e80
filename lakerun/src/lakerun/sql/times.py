"""Functions of dates and times: `FUNCTIONS` by Spark's names, and `part` for EXTRACT."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from sqlglot import exp

from lakerun.sql.errors import not_available, only_in_spark
from lakerun.sql.expressions import Writer
from lakerun.sql.patterns import formatted, parsed_by
from lakerun.sql.registry import Arguments, arguments_of, literal_text
from lakerun.sql.types import BIGINT, DATE, INT, STRING, TIMESTAMP, Type, decimal
from lakerun.sql.values import Value

_UNITS = {
    **dict.fromkeys(("YEAR", "YYYY", "YY"), "year"),
    "QUARTER": "quarter",
    **dict.fromkeys(("MONTH", "MM", "MON"), "month"),
    "WEEK": "week",
}
_SHORT_UNITS = _UNITS | {
    **dict.fromkeys(("DAY", "DD"), "day"),
    "HOUR": "hour",
    "MINUTE": "minute",
    "SECOND": "second",
    "MILLISECOND": "millisecond",
    "MICROSECOND": "microsecond",
}
_MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}
_SPANS = {"WEEK": 604800000000, "DAY": 86400000000, "HOUR": 3600000000, "MINUTE": 60000000, "SECOND": 1000000}
_SPANS |= {"MILLISECOND": 1000, "MICROSECOND": 1}
_PARTS = {
    **dict.fromkeys(("year", "y", "years", "yr", "yrs"), "year({})"),
    **dict.fromkeys(("quarter", "qtr"), "quarter({})"),
    **dict.fromkeys(("month", "mon", "mons", "months"), "month({})"),
    **dict.fromkeys(("week", "w", "weeks"), "weekofyear({})"),
    **dict.fromkeys(("day", "d", "days"), "day({})"),
    **dict.fromkeys(("dayofweek", "dow"), "(dayofweek({}) + 1)"),
    **dict.fromkeys(("dayofweek_iso", "dow_iso"), "isodow({})"),
    "doy": "dayofyear({})",
    **dict.fromkeys(("hour", "h", "hours", "hr", "hrs"), "hour({})"),
    **dict.fromkeys(("minute", "m", "min", "mins", "minutes"), "minute({})"),
}
_SECONDS = ("second", "s", "sec", "seconds", "secs")
_DEFAULT = "yyyy-MM-dd HH:mm:ss"


def part(writer: Writer, field: str, value: Value) -> Value:
    """One part of a date or time, as EXTRACT and date_part return it."""
    name = field.lower()
    sql = writer.to(value, TIMESTAMP if value.type.name == "string" or not value.type.instant else value.type)
    if name in _PARTS:
        return Value(f"CAST({_PARTS[name].format(sql)} AS INTEGER)", INT)
    if name in _SECONDS:
        kind = decimal(8, 6)
        assert kind is not None
        return Value(f"CAST(CAST(microsecond({sql}) AS DECIMAL(18, 0)) * 0.000001 AS DECIMAL(8, 6))", kind)
    raise only_in_spark(f"EXTRACT({field} ...)")


def _instant(writer: Writer, value: Value) -> str:
    return value.sql if value.type.instant else writer.to(value, TIMESTAMP)


def _date_part(writer: Writer, arguments: Arguments) -> Value:
    field, value = arguments_of(writer, arguments, "date_part", 2, 2)
    return part(writer, literal_text(field, "a field"), value)


def _date_format(writer: Writer, arguments: Arguments) -> Value:
    value, pattern = arguments_of(writer, arguments, "date_format", 2, 2)
    return Value(formatted(_instant(writer, value), literal_text(pattern, "a pattern")), STRING)


def _date_trunc(writer: Writer, arguments: Arguments) -> Value:
    unit, value = arguments_of(writer, arguments, "date_trunc", 2, 2)
    known = _SHORT_UNITS.get(literal_text(unit, "a unit").upper())
    if known is None:
        raise only_in_spark(f"date_trunc to {unit.literal}")
    return Value(f"CAST(date_trunc('{known}', {_instant(writer, value)}) AS TIMESTAMP)", TIMESTAMP)


def _trunc(writer: Writer, arguments: Arguments) -> Value:
    value, unit = arguments_of(writer, arguments, "trunc", 2, 2)
    known = _UNITS.get(literal_text(unit, "a unit").upper())
    if known is None:
        raise only_in_spark(f"trunc to {unit.literal}")
    return Value(f"CAST(date_trunc('{known}', {writer.to(value, DATE)}) AS DATE)", DATE)


def _to_date(writer: Writer, arguments: Arguments) -> Value:
    return _from_text(writer, arguments, "to_date", DATE)


def _to_timestamp(writer: Writer, arguments: Arguments) -> Value:
    return _from_text(writer, arguments, "to_timestamp", TIMESTAMP)


def _from_text(writer: Writer, arguments: Arguments, name: str, kind: Type) -> Value:
    value, *pattern = arguments_of(writer, arguments, name, 1, 2)
    if not pattern:
        return Value(writer.to(value, kind), kind)
    if value.type != STRING:
        raise only_in_spark(f"{name} of {value.type} with a pattern")
    parsed = parsed_by(value.sql, literal_text(pattern[0], "a pattern"))
    return Value(f"CAST({parsed} AS DATE)" if kind == DATE else parsed, kind)


def _unix_timestamp(writer: Writer, arguments: Arguments) -> Value:
    if not arguments:
        return Value(f"CAST({int(datetime.now(UTC).timestamp())} AS BIGINT)", BIGINT)
    value, *pattern = arguments_of(writer, arguments, "unix_timestamp", 1, 2)
    if value.type == STRING:
        sql = parsed_by(value.sql, literal_text(pattern[0], "a pattern") if pattern else _DEFAULT)
    elif pattern:
        raise only_in_spark(f"unix_timestamp of {value.type} with a pattern")
    else:
        sql = _instant(writer, value)
    return Value(f"CAST(epoch_us({sql}) // 1000000 AS BIGINT)", BIGINT)  # towards zero


def _from_unixtime(writer: Writer, arguments: Arguments) -> Value:
    value, *pattern = arguments_of(writer, arguments, "from_unixtime", 1, 2)
    if not value.type.integral:
        raise only_in_spark(f"from_unixtime of {value.type}")
    at = f"make_timestamp(CAST({value.sql} AS BIGINT) * 1000000)"
    return Value(formatted(at, literal_text(pattern[0], "a pattern") if pattern else _DEFAULT), STRING)


def _unit(node: exp.Expr) -> str:
    if not isinstance(node, exp.Column | exp.Var) or (isinstance(node, exp.Column) and node.table):
        raise only_in_spark("this form of a unit")
    name = node.name.upper()
    if name not in _MONTHS and name not in _SPANS:
        raise only_in_spark(f"the unit {name}")
    return name


def _timestampdiff(writer: Writer, arguments: Arguments) -> Value:
    """Whole units between two instants; DuckDB's date_diff counts the boundaries that lie between them."""
    if len(arguments) != 3:
        raise not_available("timestampdiff")
    unit = _unit(arguments[0])
    start, end = (_instant(writer, writer.write(argument)) for argument in arguments[1:])
    if unit in _MONTHS:
        return Value(f"CAST(spark_whole_months({start}, {end}) // {_MONTHS[unit]} AS BIGINT)", BIGINT)
    return Value(f"CAST((epoch_us({end}) - epoch_us({start})) // {_SPANS[unit]} AS BIGINT)", BIGINT)


def _datediff(writer: Writer, arguments: Arguments) -> Value:
    if len(arguments) == 3:
        return _timestampdiff(writer, arguments)
    end, start = arguments_of(writer, arguments, "datediff", 2, 2)
    return Value(f"CAST({writer.to(end, DATE)} - {writer.to(start, DATE)} AS INTEGER)", INT)


def _timestampadd(writer: Writer, arguments: Arguments) -> Value:
    if len(arguments) != 3:
        raise not_available("timestampadd")
    unit = _unit(arguments[0])
    number, value = writer.write(arguments[1]), writer.write(arguments[2])
    if not number.type.integral or number.type.name == "bigint":
        raise only_in_spark(f"timestampadd of {number.type}")
    kind = value.type if value.type.instant else TIMESTAMP
    if unit in _MONTHS:
        step = f"to_months(CAST({number.sql} * {_MONTHS[unit]} AS INTEGER))"
    else:
        step = f"to_microseconds(CAST({number.sql} AS BIGINT) * {_SPANS[unit]})"
    return Value(f"CAST({_instant(writer, value)} + {step} AS TIMESTAMP)", kind)


def _date_add(writer: Writer, arguments: Arguments) -> Value:
    if len(arguments) == 3:
        return _timestampadd(writer, arguments)
    return _days(writer, arguments, "+")


def _date_sub(writer: Writer, arguments: Arguments) -> Value:
    return _days(writer, arguments, "-")


def _days(writer: Writer, arguments: Arguments, sign: str) -> Value:
    value, days = arguments_of(writer, arguments, "date_add", 2, 2)
    if days.type.name not in ("tinyint", "smallint", "int", "void"):
        raise only_in_spark(f"date_add of {days.type}")
    return Value(f"CAST({writer.to(value, DATE)} {sign} {writer.to(days, INT)} AS DATE)", DATE)


def _current_timestamp(writer: Writer, arguments: Arguments) -> Value:
    at = datetime.now(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
    return Value(f"CAST('{at}' AS TIMESTAMP)", TIMESTAMP)


def _current_date(writer: Writer, arguments: Arguments) -> Value:
    return Value(f"CAST('{datetime.now(UTC).date()}' AS DATE)", DATE)


FUNCTIONS: dict[str, Callable[[Writer, Arguments], Value]] = {
    "current_date": _current_date,
    "current_timestamp": _current_timestamp,
    "now": _current_timestamp,
    "date_add": _date_add,
    "date_diff": _datediff,
    "date_format": _date_format,
    "date_part": _date_part,
    "date_sub": _date_sub,
    "date_trunc": _date_trunc,
    "dateadd": _date_add,
    "datediff": _datediff,
    "datepart": _date_part,
    "from_unixtime": _from_unixtime,
    "timestampadd": _timestampadd,
    "timestampdiff": _timestampdiff,
    "to_date": _to_date,
    "to_timestamp": _to_timestamp,
    "to_unix_timestamp": _unix_timestamp,
    "trunc": _trunc,
    "unix_timestamp": _unix_timestamp,
}

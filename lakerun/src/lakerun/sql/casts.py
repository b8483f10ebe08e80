"""Casts between Spark's types, written for DuckDB: `cast`."""

from __future__ import annotations

from lakerun.sql.macros import parsed
from lakerun.sql.types import Type

# The first double, or float, beyond the type; Spark's casts saturate just below.
_TOP = {"tinyint": 128.0, "smallint": 32768.0, "int": 2147483648.0, "bigint": 9223372036854775808.0}
_SAME_VALUE = {"timestamp", "timestamp_ntz"}  # in a session whose zone is UTC


def cast(sql: str, given: Type, to: Type, *, fails: bool = True) -> str | None:
    """`sql`, of type `given`, as `to`. None if Spark's result is not known.

    A value that cannot be cast is an error; without `fails` it is NULL, as for try_cast.
    """
    if given == to or {given.name, to.name} <= _SAME_VALUE:
        return sql
    duck = "CAST" if fails else "TRY_CAST"
    if given.name == "void":
        return f"CAST(NULL AS {to.duckdb})"
    if given.nested or to.nested:
        return _nested(sql, given, to)
    if given.name == "string":
        return _from_string(sql, to, fails)
    if to.name == "string":
        return _to_string(sql, given)
    if given.name == "boolean" and to.numeric:
        return f"CAST(CAST({sql} AS INTEGER) AS {to.duckdb})"
    if to.name == "boolean":
        return f"({sql} <> 0)" if given.integral or given.name == "decimal" else None
    if given.numeric and to.numeric:
        return _number(sql, given, to, duck)
    if (given.name == "date" and to.instant) or (given.instant and to.name == "date"):
        return f"CAST({sql} AS {to.duckdb})"
    if given.name == "timestamp" and to.name == "bigint":
        return f"CAST(spark_seconds({sql}) AS BIGINT)"
    if given.name == "timestamp" and to.integral:
        return f"{duck}(spark_seconds({sql}) AS {to.duckdb})"
    if given.integral and to.name == "timestamp" and fails:
        return f"make_timestamp(CAST({sql} AS BIGINT) * 1000000)"
    return None


def _nested(sql: str, given: Type, to: Type) -> str | None:
    """A cast of a nested type, if it does not change any value."""
    if given.name != to.name or len(given.items) != len(to.items):
        return None
    if given.fields != to.fields:
        return None
    for inner, wanted in zip(given.items, to.items, strict=True):
        same = inner == wanted or inner.name == "void" or (inner.integral and _widens(inner, wanted))
        if not same and not (inner.nested and _nested("x", inner, wanted)):
            return None
    return f"CAST({sql} AS {to.duckdb})"


def _widens(given: Type, to: Type) -> bool:
    return to.name == "double" or (to.integral and _TOP[given.name] < _TOP[to.name])


def _from_string(sql: str, to: Type, fails: bool) -> str | None:
    if to.name == "binary":
        return f"encode({sql})"
    if to.name == "decimal":
        return f"({parsed(sql, to.duckdb, fails)})"
    if to.name == "timestamp_ntz":
        return None
    return f"spark_{'to' if fails else 'try'}_{to.duckdb.lower()}({sql})"


def _to_string(sql: str, given: Type) -> str | None:
    if given.name in ("double", "float"):
        return f"spark_double_text({sql})"
    if given.name == "date":
        return f"spark_date_text({sql})"
    if given.instant:
        day = f"spark_date_text(CAST({sql} AS DATE))"
        return f"({day} || substr(CAST({sql} AS VARCHAR), 11))"
    if given.name == "binary":
        unknown = f"CASE WHEN {sql} IS NOT NULL THEN spark_only('bytes that are not UTF-8') END"
        return f"coalesce(TRY(decode({sql})), {unknown})"
    if given.name == "decimal" and given.precision == given.scale:  # DuckDB omits the zero of 0.5
        return f"CAST(CAST({sql} AS DECIMAL({min(given.precision + 1, 38)}, {given.scale})) AS VARCHAR)"
    return f"CAST({sql} AS VARCHAR)"


def _number(sql: str, given: Type, to: Type, duck: str) -> str | None:
    fractional = given.name in ("double", "float")
    if to.integral:
        if fractional:
            return f"{duck}(spark_double_whole({sql}, {_TOP[to.name]!r}) AS {to.duckdb})"
        if given.name == "decimal" and given.scale:
            return f"{duck}(trunc({sql}) AS {to.duckdb})"
        return f"{duck}({sql} AS {to.duckdb})"
    if to.name == "decimal":
        if given.name == "float":
            return None
        if fractional:  # by its digits, rounded half up
            return f"({parsed(f'CAST({sql} AS VARCHAR)', to.duckdb, duck == 'CAST')})"
        return f"{duck}({sql} AS {to.duckdb})"
    if given.name == "decimal" and (given.precision > 15 or to.name == "float"):
        return f"CAST(CAST({sql} AS VARCHAR) AS {to.duckdb})"  # correctly rounded
    return f"CAST({sql} AS {to.duckdb})"

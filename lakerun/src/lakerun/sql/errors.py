"""Errors of SQL statements, each in one line."""

from __future__ import annotations

from dataclasses import dataclass

from lakerun.errors import USAGE, LakerunError, UnknownNameError
from lakerun.program import program


@dataclass(frozen=True)
class Condition:
    """Databricks' error condition and SQLSTATE of a problem."""

    name: str
    sql_state: str


CAST_INVALID_INPUT = Condition("CAST_INVALID_INPUT", "22018")
DIVIDE_BY_ZERO = Condition("DIVIDE_BY_ZERO", "22012")
SYNTAX_ERROR = Condition("PARSE_SYNTAX_ERROR", "42601")
UNBOUND_PARAMETER = Condition("UNBOUND_SQL_PARAMETER", "42P02")
UNKNOWN_FUNCTION = Condition("UNRESOLVED_ROUTINE", "42883")
_UNKNOWN = {
    "table": Condition("TABLE_OR_VIEW_NOT_FOUND", "42P01"),
    "column": Condition("UNRESOLVED_COLUMN.WITH_SUGGESTION", "42703"),
}

DIVISION_BY_ZERO = "division by zero; use try_divide"


class SqlError(LakerunError):
    """A statement that cannot run, in one line, with the position if it is known."""

    code = "INVALID_SQL"
    exit_code = USAGE

    def __init__(self, message: str, condition: Condition | None = None) -> None:
        super().__init__(message)
        self.condition = condition


class UnknownInSqlError(SqlError):
    """A statement names a table or column that does not exist; lists the valid ones, the closest first."""

    code = UnknownNameError.code

    def __init__(self, error: UnknownNameError, where: str) -> None:
        super().__init__(f"{error} ({where})" if where else str(error), condition_of(error))
        self.valid = error.valid


class WriteRefusedError(SqlError):
    """A statement that does more than read."""


class OnlyInSparkError(SqlError):
    """A statement that only Spark can answer, as the result may differ without it; `what` is the cause."""

    def __init__(self, what: str, message: str, condition: Condition | None = None) -> None:
        super().__init__(f"{message} {spark_hint()}", condition)
        self.what = what


def condition_of(error: LakerunError) -> Condition | None:
    """Databricks' condition for an error; None if there is none, or more than one."""
    if isinstance(error, UnknownNameError):
        return _UNKNOWN.get(error.kind)
    return error.condition if isinstance(error, SqlError) else None


def only_in_spark(what: str) -> OnlyInSparkError:
    """The error for something other than a function that only Spark has."""
    what = " ".join(what.split())
    return OnlyInSparkError(what, f"{what}: not available here.")


def not_available(function: str) -> OnlyInSparkError:
    """The error for a function that only Spark has."""
    text = f"The function '{function}' is not available here."
    return OnlyInSparkError(function, text, UNKNOWN_FUNCTION)


def spark_hint() -> str:
    """The advice for a statement that only Spark can run."""
    return f"Run it in Spark: {program('sql --spark')}."

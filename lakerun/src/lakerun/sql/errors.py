"""Errors of SQL statements, each in one line."""

from __future__ import annotations

from lakerun.errors import USAGE, LakerunError, UnknownNameError
from lakerun.program import program


class SqlError(LakerunError):
    """A statement that cannot be run, in one line with its position where that is known."""

    code = "INVALID_SQL"
    exit_code = USAGE


class UnknownInSqlError(SqlError):
    """A statement names a table or column that does not exist; lists the valid ones, the closest first."""

    code = UnknownNameError.code

    def __init__(self, error: UnknownNameError, where: str) -> None:
        super().__init__(f"{error} ({where})" if where else str(error))
        self.valid = error.valid


def not_available(function: str, more: str = "") -> SqlError:
    """The error for a function that only Spark has."""
    return SqlError(f"The function '{function}' is not available here.{more} {spark_hint()}")


def spark_hint() -> str:
    """What to do with a statement that only Spark can run."""
    return f"Run it in Spark: {program('sql --spark')}."

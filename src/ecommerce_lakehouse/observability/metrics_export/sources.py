"""Where an export reads: event logs and gold tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ecommerce_lakehouse.observability.lakehouse import Lakehouse

Values = tuple[Any, ...]


class Source(Protocol):
    """The tables of an environment's schema. Instants go in and out as microseconds since 1970, UTC."""

    def tables(self) -> list[str]:
        """Names of the tables, without catalog and schema."""

    def rows(self, table: str, columns: str, clauses: str = "") -> list[Values]:
        """The rows of `SELECT columns FROM table clauses`, in SQL that both engines take."""

    def micros(self, column: str) -> str:
        """SQL for an instant as a number."""

    def instant(self, micros: int) -> str:
        """SQL for a number as an instant."""


class SparkSource:
    """Tables of Unity Catalog."""

    def __init__(self, lakehouse: Lakehouse) -> None:
        self._lakehouse = lakehouse

    def tables(self) -> list[str]:
        return [table.name for table in self._lakehouse.tables()]

    def rows(self, table: str, columns: str, clauses: str = "") -> list[Values]:
        found = self._lakehouse.rows(f"SELECT {columns} FROM {self._lakehouse.reference(table)} {clauses}")
        return [tuple(row.values()) for row in found]

    def micros(self, column: str) -> str:
        return f"unix_micros({column})"

    def instant(self, micros: int) -> str:
        return f"timestamp_micros({micros})"

"""Where an export reads: event logs and gold tables."""

from __future__ import annotations

from typing import Any, Protocol

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

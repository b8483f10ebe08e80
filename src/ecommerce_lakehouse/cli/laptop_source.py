"""What a metrics export reads on a laptop, by delta-rs: `DeltaSource`."""

from __future__ import annotations

from collections.abc import Mapping

from ecommerce_lakehouse.observability.metrics_export.failures import ExportError
from ecommerce_lakehouse.observability.metrics_export.sources import Values
from lakerun.errors import LakerunError
from lakerun.tables.delta_table import Table


class DeltaSource:
    """The tables of a schema by their names; each stays at the version at which it is first read."""

    def __init__(self, tables: Mapping[str, Table]) -> None:
        self._tables = tables

    def tables(self) -> list[str]:
        return sorted(self._tables)

    def rows(self, table: str, columns: str, clauses: str = "") -> list[Values]:
        try:
            found = self._tables[table].query(f"SELECT {columns} FROM t {clauses}")
        except LakerunError as error:
            raise ExportError(f"table {error}") from None
        return list(zip(*(column.to_pylist() for column in found.columns), strict=True))

    def micros(self, column: str) -> str:
        return f"arrow_cast(arrow_cast({column}, 'Timestamp(Microsecond, Some(\"UTC\"))'), 'Int64')"

    def instant(self, micros: int) -> str:
        return f"arrow_cast({micros}, 'Timestamp(Microsecond, Some(\"UTC\"))')"

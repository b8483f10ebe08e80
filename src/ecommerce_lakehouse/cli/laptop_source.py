"""What a metrics export reads on a laptop, by delta-rs: `DeltaSource`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ecommerce_lakehouse.observability.metrics_export.failures import ExportError
from ecommerce_lakehouse.observability.metrics_export.sources import Values

if TYPE_CHECKING:
    from deltalake import DeltaTable


class DeltaSource:
    """Delta directories of a folder; each table stays at the version at which it is first read.

    The files that cannot hold what is asked for are not read, which matters for an event log.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, DeltaTable] = {}

    def tables(self) -> list[str]:
        return sorted(log.parent.name for log in self._folder.glob("*/_delta_log"))

    def rows(self, table: str, columns: str, clauses: str = "") -> list[Values]:
        import pyarrow as pa
        from deltalake import DeltaTable, QueryBuilder
        from deltalake.exceptions import DeltaError

        try:
            if table not in self._open:
                self._open[table] = DeltaTable(str(self._folder / table))
            query = QueryBuilder().register("stored", self._open[table])
            found = pa.RecordBatchReader.from_stream(
                query.execute(f"SELECT {columns} FROM stored {clauses}")
            ).read_all()
        except (DeltaError, ValueError, OSError) as error:
            line = (str(error).splitlines() or [type(error).__name__])[0]
            raise ExportError(f"table {table} cannot be read: {line}") from None
        return list(zip(*(column.to_pylist() for column in found.columns), strict=True))

    def micros(self, column: str) -> str:
        return f"arrow_cast(arrow_cast({column}, 'Timestamp(Microsecond, Some(\"UTC\"))'), 'Int64')"

    def instant(self, micros: int) -> str:
        return f"arrow_cast({micros}, 'Timestamp(Microsecond, Some(\"UTC\"))')"

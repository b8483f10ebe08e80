"""A table's rows as a source that DuckDB can read more than once: `Rows`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


class Rows:
    """The rows of `scan()`, which a statement can read repeatedly.

    An Arrow reader can be read only once, and DuckDB reports a second read only in the text of an error.
    """

    def __init__(self, scan: Callable[[], Any]) -> None:
        self._scan = scan
        self._unread: pa.RecordBatchReader | None = self._open()  # an error of the scan is raised here
        self._schema = self._unread.schema

    def whole(self) -> pa.Table:
        """All rows, in memory."""
        return self._next().read_all()

    def __arrow_c_schema__(self) -> object:
        return self._schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._next().__arrow_c_stream__(requested_schema)

    def _next(self) -> pa.RecordBatchReader:
        reader, self._unread = self._unread, None
        return reader or self._open()

    def _open(self) -> pa.RecordBatchReader:
        import pyarrow as pa

        return pa.RecordBatchReader.from_stream(self._scan())

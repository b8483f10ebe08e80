"""Which tables a query reads: `spark.read.table` and its kin ask the active `Reader` while a query is built.

Locally a table is a Delta directory; the session's catalog does not know it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lakerun.errors import LakehouseError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class Reader(Protocol):
    """Answers the reads of one query."""

    def table(self, name: str, reader: Any, *, streaming: bool) -> DataFrame:
        """The table or view `name`; `reader` carries the options that the query has set."""

    def files(self, path: str) -> str:
        """The query streams files from `path`; the folder from which it shall."""


# What streams files: `readStream.load(path)`, and `readStream.json(path)` and its kin.
FILE_READERS = ("load", "csv", "json", "orc", "parquet", "text", "xml")

_reader: ContextVar[Reader | None] = ContextVar("reader", default=None)
_installed = False
_install_lock = threading.Lock()


@contextmanager
def reading_through(reader: Reader) -> Iterator[None]:
    """Let `reader` answer `spark.read.table`, `spark.readStream.table` and `spark.table` within."""
    _install()
    token = _reader.set(reader)
    try:
        yield
    finally:
        _reader.reset(token)


@contextmanager
def reading_directly() -> Iterator[None]:
    """Within, Spark's readers are Spark's own again."""
    token = _reader.set(None)
    try:
        yield
    finally:
        _reader.reset(token)


def _install() -> None:
    """Put the hooks on Spark's reader classes, once; outside `reading_through` they change nothing."""
    global _installed
    with _install_lock:
        if _installed:
            return
        from pyspark.sql import SparkSession
        from pyspark.sql.readwriter import DataFrameReader
        from pyspark.sql.streaming.readwriter import DataStreamReader

        DataFrameReader.table = _hooked(DataFrameReader.table, streaming=False)  # type: ignore[method-assign]
        DataStreamReader.table = _hooked(DataStreamReader.table, streaming=True)  # type: ignore[method-assign]
        SparkSession.table = _session_table(SparkSession.table)  # type: ignore[method-assign]
        for name in FILE_READERS:
            setattr(DataStreamReader, name, _stream_of_files(getattr(DataStreamReader, name)))
        _installed = True


def _hooked(original: Callable[..., Any], *, streaming: bool) -> Any:
    def table(self: Any, tableName: str) -> Any:  # noqa: N803 - Spark's parameter name
        reader = _reader.get()
        return reader.table(tableName, self, streaming=streaming) if reader else original(self, tableName)

    return table


def _session_table(original: Callable[..., Any]) -> Any:
    def table(self: Any, tableName: str) -> Any:  # noqa: N803 - Spark's parameter name
        reader = _reader.get()
        return reader.table(tableName, self.read, streaming=False) if reader else original(self, tableName)

    return table


def _stream_of_files(original: Callable[..., Any]) -> Any:
    def read(self: Any, path: str | None = None, *args: Any, **options: Any) -> Any:
        reader = _reader.get()
        if reader and path is not None:
            path = reader.files(path)
            if not Path(path).is_dir():
                raise LakehouseError(
                    f"Nothing has arrived in {path}: the folder does not exist. "
                    "Run the job that brings them first, or put files there."
                )
        return original(self, path, *args, **options)

    return read

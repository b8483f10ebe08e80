"""Finds the tables that a query reads: while it is built, `spark.read.table` etc. ask the active `Reader`.

Locally a table is a Delta directory; the session's catalog does not know it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lakerun.errors import LakerunError
from lakerun.patches import (
    CONNECT_FILE_STREAMS,
    CONNECT_READER_TABLE,
    CONNECT_STREAM_TABLE,
    FILE_STREAMS,
    READER_TABLE,
    SESSION_TABLE,
    STREAM_TABLE,
    Patch,
    Replace,
    patched,
)
from lakerun.spark.active_session import is_connect_mode
from lakerun.spark.volumes import streamed_path

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class Reader(Protocol):
    """Answers the reads of one query."""

    def table(self, name: str, reader: Any, *, streaming: bool) -> DataFrame:
        """The table or view `name`; `reader` has the options that the query has set."""

    def files(self, path: str, option: Callable[[str], str]) -> str:
        """The folder to stream files from, for a query that names `path`; `option` has its options."""

    def other_source(self) -> None:
        """The query streams something that has no path, or has it in an option."""


_reader: ContextVar[Reader | None] = ContextVar("reader", default=None)


@contextmanager
def reading_through(reader: Reader) -> Iterator[None]:
    """In this context, `reader` answers `spark.read.table`, `spark.readStream.table` and `spark.table`."""
    with patched(_CONNECT_HOOKS if is_connect_mode() else _HOOKS):
        token = _reader.set(reader)
        try:
            yield
        finally:
            _reader.reset(token)


@contextmanager
def reading_directly() -> Iterator[None]:
    """In this context, Spark's own readers answer again."""
    token = _reader.set(None)
    try:
        yield
    finally:
        _reader.reset(token)


def _reader_table(original: Callable[..., Any], *, streaming: bool) -> Any:
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
        if reader and path is None:
            reader.other_source()
        elif reader and path is not None:
            asked, path = path, reader.files(path, partial(_option, self, options))
            if path == asked:
                path = streamed_path(path)
            if not Path(path).is_dir():
                raise LakerunError(
                    f"Nothing has arrived in {asked}: the folder does not exist. "
                    "Run the job that brings them first, or put files there."
                )
        return original(self, path, *args, **options)

    return read


def _option(reader: Any, given: Mapping[str, Any], name: str) -> str:
    """An option of a stream's reader by its name in lower case, as text; empty if it is not set."""
    for key, value in given.items():
        if key.lower() == name:
            return str(value).lower()
    if is_connect_mode():
        return str(reader._options.get(name, "")).lower()
    options = reader._jreader.extraOptions()
    return str(options.apply(name)).lower() if options.contains(name) else ""


# Outside `reading_through` they change nothing.
_HOOKS: dict[Patch, Replace] = {
    READER_TABLE: partial(_reader_table, streaming=False),
    STREAM_TABLE: partial(_reader_table, streaming=True),
    SESSION_TABLE: _session_table,
    **dict.fromkeys(FILE_STREAMS, _stream_of_files),
}
# Connect's `spark.table` asks its reader.
_CONNECT_HOOKS: dict[Patch, Replace] = {
    CONNECT_READER_TABLE: _HOOKS[READER_TABLE],
    CONNECT_STREAM_TABLE: _HOOKS[STREAM_TABLE],
    **dict.fromkeys(CONNECT_FILE_STREAMS, _stream_of_files),
}

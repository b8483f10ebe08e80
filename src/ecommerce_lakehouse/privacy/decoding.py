"""What stands in a file, decoded: `pieces`.

A search for bytes misses what is compressed, encoded by a dictionary or escaped. So Parquet, Arrow and ORC
are read column by column, with their footers; gzip, bzip2, xz, zstd, lz4, zip and tar are opened, as is the
state of Spark's streams; JSON is decoded where it has escapes; SQLite is read by rows, and by bytes for what
its free pages keep. Anything else is searched as bytes, in UTF-8 and UTF-16. `how` names the way, and says
`not decoded` for a format that hides text from all of these.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import mmap
import sqlite3
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecommerce_lakehouse.privacy.needles import strings

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 50_000
NOT_DECODED = "not decoded"
# Compressed or encrypted inside: avro, encrypted Parquet, 7z, PDF, snappy of Java.
OPAQUE = (b"Obj\x01", b"PARE", b"7z\xbc\xaf", b"%PDF", b"\x82SNAPPY")
OPAQUE_SUFFIXES = (".sst",)
LZ4_BLOCK = b"LZ4Block"
SQLITE = b"SQLite format 3\x00"


@dataclass(frozen=True)
class Piece:
    """Texts that stand together. `where` is a column or a member of an archive, empty for a whole file."""

    where: str
    texts: list[str]


class Decoded:
    """The pieces of one file, to be read once; afterwards `how` says how each part of it was read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._how: dict[str, None] = {}

    @property
    def how(self) -> str:
        return ", ".join(self._how)

    def __iter__(self) -> Iterator[Piece]:
        if self._path.is_symlink():
            self._how["link"] = None
            yield Piece("", [str(self._path.readlink())])
            return
        if not self._path.stat().st_size:
            self._how["empty"] = None
            return
        with self._path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if data[:16] == SQLITE:
                yield from self._sqlite()
            yield from self._pieces(data, self._path.name, "")

    def _pieces(self, data: Any, name: str, where: str) -> Iterator[Piece]:
        """The pieces of bytes, which may hold further files."""
        head = bytes(data[:16])
        if head[:4] == b"PAR1":
            yield from self._arrow(_parquet(data), "parquet", where)
        elif head[:6] == b"ARROW1":
            yield from self._arrow(_ipc(data), "arrow", where)
        elif head[:3] == b"ORC":
            yield from self._arrow(_orc(data), "orc", where)
        elif (opened := _opened(data, head)) is not None:
            kind, inner = opened
            self._how[kind] = None
            for member, content in inner:
                at = f"{where}{kind} {member}".strip()
                yield Piece(at, [member])
                yield from self._pieces(content, member, f"{at}: ")
        else:
            yield from self._text(bytes(data), name, where)

    def _arrow(self, columns: Iterator[tuple[str, list[str]]], how: str, where: str) -> Iterator[Piece]:
        self._how[how] = None
        for column, texts in columns:
            # Statistics of a Delta log, or details of an event log: JSON within a column.
            escaped = [text for text in texts if "\\" in text and text[:1] in ("{", "[")]
            yield Piece(where + column, texts + [found for text in escaped for found in strings(text)])

    def _text(self, data: bytes, name: str, where: str) -> Iterator[Piece]:
        if data.startswith(OPAQUE) or name.endswith(OPAQUE_SUFFIXES):
            self._how[NOT_DECODED] = None
            yield Piece(where, [data.decode("utf-8", "replace")])
            return
        text = data.decode("utf-8", "replace")
        if b"\x00" in data:
            self._how["bytes"] = None
            wide = [
                data[skip:].decode(f"utf-16-{order}", "replace") for skip in (0, 1) for order in ("le", "be")
            ]
            yield Piece(where, [text, *wide])
            return
        escaped = list(_unescaped(text)) if "\\" in text else []
        self._how["json" if text.lstrip()[:1] in ("{", "[") else "text"] = None
        yield Piece(where, [text, *escaped])

    def _sqlite(self) -> Iterator[Piece]:
        self._how["sqlite"] = None
        with closing(sqlite3.connect(f"{self._path.resolve().as_uri()}?mode=ro", uri=True)) as db:
            db.text_factory = lambda data: data.decode("utf-8", "replace")
            for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                quoted = '"' + table.replace('"', '""') + '"'
                cursor = db.execute(f"SELECT * FROM {quoted}")
                names = [column[0] for column in cursor.description]
                while rows := cursor.fetchmany(ROWS):
                    for number, column in enumerate(names):
                        values = [value for row in rows for value in strings(row[number])]
                        yield Piece(f"{table}.{column}", values)


def _opened(data: Any, head: bytes) -> tuple[str, Iterator[tuple[str, bytes]]] | None:
    """The kind of an archive or compressed file, and its members; None for anything else."""
    if head[:2] == b"\x1f\x8b":
        return "gzip", iter([("", gzip.decompress(data))])
    if head[:3] == b"BZh":
        return "bzip2", iter([("", bz2.decompress(data))])
    if head[:6] == b"\xfd7zXZ\x00":
        return "xz", iter([("", lzma.decompress(data))])
    if head[:4] == b"\x28\xb5\x2f\xfd":
        return "zstd", iter([("", _decompressed(data, "zstd"))])
    if head[:4] == b"\x04\x22\x4d\x18":
        return "lz4", iter([("", _decompressed(data, "lz4"))])
    if head[:8] == LZ4_BLOCK:
        return "lz4 blocks", iter([("", b"".join(_lz4_blocks(data)))])
    if head[:4] == b"PK\x03\x04":
        return "zip", _zip(data)
    if bytes(data[257:262]) == b"ustar":
        return "tar", _tar(data)
    return None


def _decompressed(data: Any, codec: str) -> bytes:
    import pyarrow as pa

    with pa.CompressedInputStream(pa.BufferReader(pa.py_buffer(bytes(data))), codec) as stream:
        found: bytes = stream.read()
        return found


def _lz4_blocks(data: Any) -> Iterator[bytes]:
    """The blocks of lz4-java's stream, in which Spark keeps the state of a stream's aggregates."""
    import pyarrow as pa

    codec, at = pa.Codec("lz4_raw"), 0
    while bytes(data[at : at + 8]) == LZ4_BLOCK:
        token = data[at + 8]
        packed, plain = (int.from_bytes(data[at + n : at + n + 4], "little") for n in (9, 13))
        block = bytes(data[at + 21 : at + 21 + packed])
        if plain:
            yield block if token & 0xF0 == 0x10 else codec.decompress(block, plain, asbytes=True)
        at += 21 + packed


def _zip(data: Any) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for member in archive.infolist():
            yield member.filename, archive.read(member)


def _tar(data: Any) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            file = archive.extractfile(member)
            yield member.name, file.read() if file else b""


def _parquet(data: Any) -> Iterator[tuple[str, list[str]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    length = int.from_bytes(data[-8:-4], "little")
    yield "footer", [bytes(data[-8 - length : -8]).decode("utf-8", "replace")]
    # A view of the mapped file would keep it open as long as any array.
    file = pq.ParquetFile(pa.BufferReader(pa.py_buffer(bytes(data))))
    yield (
        "metadata",
        [part.decode("utf-8", "replace") for kv in (file.metadata.metadata or {}).items() for part in kv],
    )
    columns = [field.name for field in file.schema_arrow if _has_text(field.type) or _is_number(field)]
    if columns:
        for batch in file.iter_batches(ROWS, columns=columns):
            yield from _columns(batch)


def _ipc(data: Any) -> Iterator[tuple[str, list[str]]]:
    import pyarrow as pa

    reader = pa.ipc.open_file(pa.BufferReader(pa.py_buffer(bytes(data))))
    for number in range(reader.num_record_batches):
        yield from _columns(reader.get_batch(number))


def _orc(data: Any) -> Iterator[tuple[str, list[str]]]:
    import pyarrow as pa
    from pyarrow import orc

    for batch in orc.ORCFile(pa.BufferReader(pa.py_buffer(bytes(data)))).read().to_batches():
        yield from _columns(batch)


def _columns(batch: pa.RecordBatch) -> Iterator[tuple[str, list[str]]]:
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        yield from texts_of(name, column)


def texts_of(name: str, column: Any) -> Iterator[tuple[str, list[str]]]:
    """The texts of an Arrow column and of all columns within it, by their dotted names."""
    import pyarrow as pa

    kind = column.type
    if isinstance(column, pa.ChunkedArray):
        for chunk in column.chunks:
            yield from texts_of(name, chunk)
    elif pa.types.is_dictionary(kind):
        yield from texts_of(name, column.dictionary)
    elif pa.types.is_struct(kind):
        for number, part in enumerate(column.flatten()):
            yield from texts_of(f"{name}.{kind.field(number).name}", part)
    elif pa.types.is_map(kind):
        yield from texts_of(f"{name}.key", column.keys)
        yield from texts_of(f"{name}.value", column.items)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from texts_of(name, column.flatten())
    elif _is_text(kind):
        values = [value for value in column.unique().to_pylist() if value is not None]
        yield name, [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values]
    elif pa.types.is_integer(kind):
        yield name, [str(value) for value in column.unique().to_pylist() if value is not None]


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    tests = (
        "string",
        "large_string",
        "string_view",
        "binary",
        "large_binary",
        "binary_view",
        "fixed_size_binary",
    )
    return any(getattr(pa.types, f"is_{test}")(kind) for test in tests)


def _has_text(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _has_text(kind.value_type)
    if pa.types.is_nested(kind):
        return any(_has_text(kind.field(number).type) for number in range(kind.num_fields))
    return _is_text(kind)


def _is_number(field: Any) -> bool:
    """Whether a column of numbers may hold a customer's id."""
    import pyarrow as pa

    from ecommerce_lakehouse.privacy.needles import NAMES

    return field.name in NAMES and bool(pa.types.is_integer(field.type))


def _unescaped(text: str) -> Iterator[str]:
    """The texts within a JSON document, or within each line of JSON that has an escape."""
    try:
        yield from strings(json.loads(text))
        return
    except ValueError:
        pass
    for line in text.splitlines():
        if "\\" in line and line.lstrip()[:1] in ("{", "["):
            try:
                yield from strings(json.loads(line))
            except ValueError:
                continue

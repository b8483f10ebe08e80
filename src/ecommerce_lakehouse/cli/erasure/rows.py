"""Which rows of a data file belong to people, and its rows without them: `Rows`.

Tables of the shop are known by their columns. In a log, such as an event log, a row belongs to nobody, but a
text may quote one: the text goes, the row stays. In any other table a row that names somebody goes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecommerce_lakehouse.cli.erasure.delta_history import Edit
from ecommerce_lakehouse.config.settings import LAYERS
from ecommerce_lakehouse.domain.personal import (
    CONTACT_COLUMNS,
    LINE_COLUMNS,
    LOWERED,
    PERSON_COLUMNS,
    RECORD_KEYS,
)
from ecommerce_lakehouse.privacy.decoding import texts_of
from ecommerce_lakehouse.privacy.needles import Needles, strings
from ecommerce_lakehouse.privacy.people import BLANK, People, Values, clean, read_line

if TYPE_CHECKING:
    import pyarrow as pa

ERASED = "[erased]"
LOGS = ("event_log_", "maintenance_log", "privacy_log")
ACTIVATION = "activation_"


class Rows:
    """The rows of one table's files."""

    def __init__(self, table: str, people: People) -> None:
        self._people = people
        self._is_log = table.startswith(LOGS)
        self._is_known = table.startswith((*(f"{layer}_" for layer in LAYERS), ACTIVATION))

    def edit(self, file: Path) -> Edit | None:
        """The file without what belongs to the people; None if it has nothing of them."""
        import pyarrow as pa

        rows = read_rows(file)
        if not rows.num_rows:
            return None
        if self._is_log:
            return _redacted(rows, self._people.named)
        theirs = self.theirs(rows)
        if not theirs:
            return None
        kept = [number for number in range(rows.num_rows) if number not in theirs]
        return Edit(rows.take(pa.array(kept, pa.int64())), kept, len(theirs))

    def theirs(self, rows: pa.Table) -> set[int]:
        """The numbers of the rows that belong to the people."""
        found = _own(rows, self._people)
        if not self._is_known:
            found |= _naming(rows, self._people.named)
        return found


def records(rows: pa.Table) -> Iterable[Values]:
    """What each row of a table says of the people that it is about: typed columns, and raw lines."""
    typed = [name for name in rows.column_names if name in PERSON_COLUMNS | CONTACT_COLUMNS | RECORD_KEYS]
    if any(name in PERSON_COLUMNS for name in typed):
        chosen = rows.select(typed)
        for row in _distinct(chosen).to_pylist():
            yield {name: _given(name, row[name]) for name in typed}
    for name in LINE_COLUMNS.intersection(rows.column_names):
        for line in rows.column(name).to_pylist():
            if line is not None:
                yield read_line(_line(line))[0]


def read_rows(file: Path) -> pa.Table:
    """A Parquet file's rows, with times as Delta has them: microseconds, in UTC where Spark wrote INT96."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(file, coerce_int96_timestamp_unit="us") as opened:
        rows = opened.read()
        physical = {opened.schema.column(number).physical_type for number in range(len(opened.schema))}
    if "INT96" in physical:
        rows = rows.cast(
            pa.schema([field.with_type(_in_utc(field.type)) for field in rows.schema], rows.schema.metadata)
        )
    return rows


def without_old(file: Path, column: str, before: datetime) -> Edit | None:
    """The file without rows whose time in a column is earlier; None if it has none, or no such column."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = read_rows(file)
    if column not in rows.column_names or not rows.num_rows:
        return None
    old = pc.less(rows.column(column), pa.scalar(before, rows.schema.field(column).type))
    kept = pc.indices_nonzero(pc.invert(pc.fill_null(old, False))).to_pylist()
    if len(kept) == rows.num_rows:
        return None
    return Edit(rows.take(pa.array(kept, pa.int64())), kept, rows.num_rows - len(kept))


def redacted(value: Any, needles: Needles) -> Any:
    """A decoded JSON value with each text that names somebody replaced; JSON within a text stays JSON."""
    if isinstance(value, str):
        if not needles.among(strings(value)):
            return value
        if value[:1] in ("{", "["):
            try:
                return json.dumps(redacted(json.loads(value), needles), ensure_ascii=False)
            except ValueError:
                pass
        return ERASED
    if isinstance(value, dict):
        return {redacted(key, needles): redacted(item, needles) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(item, needles) for item in value]
    return value


def _own(rows: pa.Table, people: People) -> set[int]:
    import pyarrow as pa
    import pyarrow.compute as pc

    def among(name: str, wanted: frozenset[str]) -> Any:
        values = pc.utf8_trim(rows.column(name).cast(pa.string()), characters=BLANK)
        values = pc.utf8_lower(values) if name in LOWERED else values
        return pc.is_in(values, value_set=pa.array(sorted(wanted), pa.string()))

    columns = set(rows.column_names)
    nothing = pa.chunked_array([pa.array([False] * rows.num_rows)])
    theirs, named, by_key = nothing, nothing, nothing
    for name in sorted(PERSON_COLUMNS & columns):
        theirs = pc.or_(theirs, among(name, people.ids))
        text = pc.utf8_trim(pc.fill_null(rows.column(name).cast(pa.string()), ""), characters=BLANK)
        named = pc.or_(named, pc.not_equal(text, ""))
    for names, wanted in ((CONTACT_COLUMNS, people.contacts), (RECORD_KEYS, people.keys)):
        for name in sorted(names & columns):
            by_key = pc.or_(by_key, among(name, wanted))
    theirs = pc.or_(theirs, pc.and_(by_key, pc.invert(named)))
    found = set(pc.indices_nonzero(theirs).to_pylist())
    for name in sorted(LINE_COLUMNS & columns):
        found |= _own_lines(rows.column(name), people)
    return found


def _own_lines(column: Any, people: People) -> set[int]:
    found: set[int] = set()
    at = 0
    for chunk in column.chunks:
        lines = [None if line is None else _line(line) for line in chunk.to_pylist()]
        if people.may_own("\n".join(line for line in lines if line)):
            found |= {
                at + number
                for number, line in enumerate(lines)
                if line and people.may_own(line) and people.own_line(line)
            }
        at += len(lines)
    return found


def _naming(rows: pa.Table, needles: Needles) -> set[int]:
    """The numbers of the rows that name somebody in any column."""
    named = [
        name
        for name, column in zip(rows.column_names, rows.columns, strict=True)
        if any(needles.among(texts, where) for where, texts in texts_of(name, column))
    ]
    if not named:
        return set()
    return {
        number
        for number, row in enumerate(rows.select(named).to_pylist())
        if any(needles.among(strings(value), name) for name, value in row.items())
    }


def _redacted(rows: pa.Table, needles: Needles) -> Edit | None:
    import pyarrow as pa

    if not _naming(rows, needles):
        return None
    cleaned = [redacted(row, needles) for row in rows.to_pylist()]
    return Edit(pa.Table.from_pylist(cleaned, schema=rows.schema))


def _distinct(rows: pa.Table) -> pa.Table:
    import pyarrow as pa

    texts = pa.table({name: rows.column(name).cast(pa.string()) for name in rows.column_names})
    return texts.group_by(texts.column_names).aggregate([])


def _given(name: str, value: str | None) -> list[str]:
    cleaned = clean(name, value) if value else ""
    return [cleaned] if cleaned else []


def _line(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _in_utc(kind: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_timestamp(kind) and kind.tz is None:
        return pa.timestamp("us", "UTC")
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_in_utc(field.type)) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_in_utc(kind.value_type)))
    if pa.types.is_map(kind):
        return pa.map_(_in_utc(kind.key_type), _in_utc(kind.item_type))
    return kind

"""The data folder of a laptop, as an erasure sees it: `DataFolder`."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from functools import partial
from pathlib import Path

from ecommerce_lakehouse.activation.connection import LOCK
from ecommerce_lakehouse.cli.erasure.delta_history import (
    LOG,
    Rewrite,
    data_files,
    finish_rewrites,
)
from ecommerce_lakehouse.cli.erasure.engine import Engine
from ecommerce_lakehouse.cli.erasure.plain_files import (
    erase_in_database,
    erase_mentions,
    is_database,
)
from ecommerce_lakehouse.cli.erasure.rows import Rows, read_rows, records, redacted, without_old
from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.config.erased import FOLDER, secret_file
from ecommerce_lakehouse.domain.entities import ENTITIES
from ecommerce_lakehouse.domain.personal import PERSON_COLUMNS, RECORD_KEYS
from ecommerce_lakehouse.observability.lakehouse import lakehouse_of
from ecommerce_lakehouse.privacy.needles import Needles
from ecommerce_lakehouse.privacy.people import BLANK, Found, People, Values, read_line
from ecommerce_lakehouse.privacy.place import LogEntry, Removed, Searched, Tell
from ecommerce_lakehouse.privacy.raw_files import erase_from_volume, raw_files, raw_lines
from ecommerce_lakehouse.privacy.retention import retention_of
from ecommerce_lakehouse.privacy.scan import Scan, every_file, scan
from lakerun.tables.storage import Storage, TableName

LOG_TABLE = "privacy_log"
KEPT = ("ids", "contacts", "keys", "shared")
SIDE_FILES = ("-wal", "-shm", "-journal")
PASSING = ("scratch", "workspace/trash")  # of processes that have ended


class DataFolder:
    """Everything below `LAKEHOUSE_HOME`: tables, volumes, pipelines, logs, the local workspace."""

    def __init__(self, config: LakehouseConfig, storage: Storage) -> None:
        self._config, self._storage, self._home = config, storage, storage.home
        self._journal = storage.home / FOLDER / "unfinished.json"
        self._work = storage.home / FOLDER / "work"

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        # The task of a job is in the run's own lock.
        whole = nullcontext() if self._storage.is_held_here else self._storage.exclusive("lakehouse privacy")
        # A sync that is sending would bring them back.
        with whole, lakehouse_of(self._config).exclusive(LOCK):
            finish_rewrites(self._work)
            yield

    # The request ----------------------------------------------------------------------------------------

    def unfinished(self) -> People | None:
        if not self._journal.exists():
            return None
        kept = json.loads(self._journal.read_text(encoding="utf-8"))
        return People(*(frozenset(kept[name]) for name in KEPT))

    def begin(self, people: People) -> None:
        self._journal.parent.mkdir(parents=True, exist_ok=True)
        kept = {name: sorted(getattr(people, name)) for name in KEPT}
        draft = self._journal.with_name(f".{self._journal.name}")
        with open(
            draft, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)
        ) as out:
            json.dump(kept, out)
        draft.replace(self._journal)

    def finish(self) -> None:
        self._journal.unlink(missing_ok=True)

    # Looking --------------------------------------------------------------------------------------------

    def search(self, ids: frozenset[str], tell: Tell) -> Searched:
        found = Found(ids)
        tell("looking for what belongs to them")
        self._each_record(found.add)
        if found.seen:
            tell("looking for what they share with others")
            self._each_record(found.share)
        people = found.people()
        return Searched(people, frozenset(found.seen))

    def _each_record(self, take: Callable[[Values], None]) -> None:
        for table in self._tables():
            if table.name.startswith(("event_log_", LOG_TABLE)):
                continue
            for file in data_files(table):
                for values in records(read_rows(file)):
                    take(values)
        for file in self._raw_files():
            for line in raw_lines(file):
                take(read_line(line.decode("utf-8", "replace"))[0])

    def scan(self, people: People, tell: Tell) -> Scan:
        count = 0

        def on_file(path: Path) -> None:
            nonlocal count
            count += 1
            if count % 500 == 0:
                tell(f"{count:,} files scanned")

        return scan(self._home, people.needles, skip=self._own_files(), on_file=on_file)

    def _own_files(self) -> set[Path]:
        """The note of this request, which goes at its end, and the secret, which names nobody."""
        return {self._journal, secret_file(self._home), self._home / "lock", self._home / "lock.txt"}

    # Removing -------------------------------------------------------------------------------------------

    def remove(self, people: People, tell: Tell, *, dry_run: bool) -> list[Removed]:
        removed = [
            item for volume in self._volumes() for item in erase_from_volume(volume, people, dry_run=dry_run)
        ]
        tell(f"{sum(item.rows for item in removed):,} raw lines and corrections")
        touched: list[str] = []
        for table in self._tables():
            if found := self._from_table(table, people, dry_run):
                tell(f"{found.what}: {found.rows:,} rows")
                removed.append(found)
                touched.append(self._full_name(table))
        if not dry_run:
            # Somebody else has the newest record of a shared key now.
            again = Engine(self._storage).forget(
                touched, filter(_has_newest, touched) if people.shared else ()
            )
            removed += [Removed(name, "to compute again", 0) for name in (*again.views, *again.streams)]
        removed += self._from_other_files(people, dry_run)
        return removed

    def retain(self, now: datetime, *, dry_run: bool) -> list[Removed]:
        """Remove the rows of logs that are older than their table's retention, from every version."""
        removed = []
        for table in self._tables():
            retention = retention_of(table.name)
            if retention is None or not table.is_relative_to(self._storage.tables_root):
                continue
            name = self._full_name(table)
            rewriting = Rewrite(
                table,
                self._work / name,
                partial(without_old, column=retention.column, before=retention.cutoff(now)),
            )
            found = rewriting.look()
            if found.files and not dry_run:
                rewriting.apply()
            if found.files:
                removed.append(Removed(name, "table", found.current, found.rows))
        return removed

    def _from_table(self, table: Path, people: People, dry_run: bool) -> Removed | None:
        name = self._full_name(table)
        work = self._work / name.replace("/", ".")
        needles = people.named

        def clean(action: object) -> object:
            return redacted(action, needles)

        def gone(partition: dict[str, str | None]) -> bool:
            return any(
                key in PERSON_COLUMNS and str(value or "").strip(BLANK) in people.ids
                for key, value in partition.items()
            )

        rewriting = Rewrite(table, work, Rows(table.name, people).edit, clean, gone)
        found = rewriting.look()
        if not found.files and not _log_names(table, needles):
            return None
        if not dry_run:
            rewriting.apply()
        return Removed(name, "table", found.current, found.rows)

    def _from_other_files(self, people: People, dry_run: bool) -> Iterator[Removed]:
        known = set(self._raw_files())
        tables = self._tables()
        for file in list(every_file(self._home)):
            # A database's own side files go and come with it.
            if file in known or file in self._own_files() or file.name.endswith(SIDE_FILES):
                continue
            if file.is_symlink() or not file.stat().st_size:
                continue
            if any(file.is_relative_to(table) for table in tables):
                continue
            name = file.relative_to(self._home).as_posix()
            if count := self._from_file(file, name, people, dry_run):
                yield Removed(name, "file", count)

    def _from_file(self, file: Path, name: str, people: People, dry_run: bool) -> int:
        needles = people.needles
        if is_database(file):
            return erase_in_database(file, needles, dry_run=dry_run)
        if name.startswith(PASSING):
            if not scan_one(file, needles):
                return 0
            if not dry_run:
                file.unlink()
            return 1
        if file.suffix == ".parquet":
            return _erase_export(file, people, dry_run)
        return erase_mentions(file, needles, dry_run=dry_run)

    # Where things are -----------------------------------------------------------------------------------

    def _tables(self) -> list[Path]:
        """Every Delta table of the data folder, in catalogs, in volumes, and the engine's own."""
        logs = (Path(folder) for folder, _, _ in os.walk(self._home) if Path(folder).name == LOG)
        return sorted(log.parent for log in logs if not log.is_relative_to(self._work))

    def _full_name(self, table: Path) -> str:
        """A table's name in three parts, or the path of a table that no catalog has."""
        if table.is_relative_to(self._storage.tables_root):
            return ".".join(table.relative_to(self._storage.tables_root).parts)
        return table.relative_to(self._home).as_posix()

    def _volumes(self) -> list[Path]:
        return sorted(self._storage.volumes_root.glob("*/*/*"))

    def _raw_files(self) -> list[Path]:
        return [file for volume in self._volumes() for file, _ in raw_files(volume)]

    def record(self, entries: list[LogEntry]) -> None:
        import pyarrow as pa
        from deltalake import write_deltalake

        rows = [entry.model_dump() for entry in entries]
        path = self._storage.table_path(TableName(self._config.catalog, self._config.schema, LOG_TABLE))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_deltalake(
            str(path), pa.Table.from_pylist(rows), mode="append", description="Erasures, without names"
        )


def _has_newest(table: str) -> bool:
    """Whether a table has the newest record of each key of records, such as an order's."""
    name = table.rpartition(".")[2]
    return any(
        name == f"silver_{entity.target}" and entity.key in RECORD_KEYS for entity in ENTITIES.values()
    )


def scan_one(file: Path, needles: Needles) -> bool:
    """Whether one file names somebody."""
    from ecommerce_lakehouse.privacy.decoding import Decoded

    return any(needles.among(piece.texts, piece.where) for piece in Decoded(file))


def _log_names(table: Path, needles: Needles) -> bool:
    """Whether a table's log names somebody, as in the condition of a DELETE."""
    return any(scan_one(file, needles) for file in every_file(table / LOG))


def _erase_export(file: Path, people: People, dry_run: bool) -> int:
    """Remove the people's rows from a Parquet file that belongs to no table."""
    import pyarrow.parquet as pq

    edit = Rows("", people).edit(file)
    if edit is None:
        return 0
    if not dry_run:
        draft = file.with_name(f".{file.name}.erasing")
        pq.write_table(edit.rows, draft)
        shutil.copystat(file, draft)
        draft.replace(file)
    return edit.removed

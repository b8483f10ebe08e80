"""The layout of the data folder: `Storage`, `TableName`.

<home>/tables/<catalog>/<schema>/<table>/      Delta tables
<home>/volumes/<catalog>/<schema>/<volume>/    Unity Catalog volumes
<home>/pipelines/<pipeline>/                   state.db, checkpoints/<flow>/
<home>/logs/                                   one log per command
<home>/lock                                    held by the run in progress
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from lakerun.errors import BusyError, LakerunError, UnknownNameError
from lakerun.tables.samples import SAMPLES, TRIPS, provide_sample

GITIGNORE = ".gitignore"
_held: set[Path] = set()
_PART = re.compile(r"(?:^|\.)(`(?:[^`]|``)+`(?=\.|$)|[^.]*)")


@dataclass(frozen=True)
class TableName:
    """A three-part Unity Catalog name."""

    catalog: str
    schema: str
    table: str

    def __str__(self) -> str:
        return f"{self.catalog}.{self.schema}.{self.table}"

    @property
    def quoted(self) -> str:
        """The name in backticks for SQL."""
        return ".".join(quoted(part) for part in (self.catalog, self.schema, self.table))


@dataclass(frozen=True)
class Storage:
    """The data folder of one lakehouse on a laptop."""

    home: Path

    @classmethod
    def default(cls) -> Storage:
        """The folder that `LAKEHOUSE_HOME` names, else `.lakehouse` in the working directory."""
        return cls(Path(os.environ.get("LAKEHOUSE_HOME") or ".lakehouse").absolute())

    @property
    def tables_root(self) -> Path:
        return self.home / "tables"

    @property
    def volumes_root(self) -> Path:
        return self.home / "volumes"

    @property
    def logs_root(self) -> Path:
        return self.home / "logs"

    def pipeline_path(self, pipeline: str) -> Path:
        """Checkpoints and state of one pipeline."""
        return self.home / "pipelines" / _folder_name("pipeline", pipeline)

    def table_path(self, name: TableName) -> Path:
        """The Delta directory of a table, whether or not it exists; LakerunError for one elsewhere.

        A table of the catalog `samples` is made by this.
        """
        catalog, schema = _folder_name("catalog", name.catalog), _folder_name("schema", name.schema)
        path = self.tables_root / catalog / schema / _folder_name("table", name.table)
        if catalog == SAMPLES:
            provide_sample(self.home, path, (name.catalog, name.schema, name.table))
        return path

    def make_schema(self, catalog: object, schema: object) -> None:
        """Create a schema, if both names are given; it exists even without tables."""
        if catalog and schema:
            folders = _folder_name("catalog", str(catalog)), _folder_name("schema", str(schema))
            self.tables_root.joinpath(*folders).mkdir(parents=True, exist_ok=True)

    def provide_samples(self, catalog: str) -> None:
        """Make the tables of the catalog `samples`, if it is this one, before they are listed."""
        if catalog.lower() == SAMPLES:
            self.table_path(TableName(*TRIPS))

    def tables(self) -> list[TableName]:
        """Every table in the data folder, sorted by name."""
        logs = self.tables_root.glob("*/*/*/_delta_log")
        return sorted((TableName(*log.parent.parts[-3:]) for log in logs), key=str)

    def find_table(self, name: str, catalog: str | None = None, schema: str | None = None) -> TableName:
        """A table by one, two or three parts of its name, in any case, with or without backticks.

        A short name is first looked up in the default catalog and schema, then everywhere. Raises
        UnknownNameError with the closest names, or LakerunError for an ambiguous name.
        """
        parts = tuple(part.lower() for part in name_parts(name))
        asked = ".".join(parts)
        if len(parts) > 3:
            raise LakerunError(
                f"'{name}' is not a table name: it has {len(parts)} parts, and at most 3 are possible."
            )
        if len(parts) == 3:
            self.provide_samples(parts[0])
        tables = self.tables()
        prefix = [part.lower() for part in (catalog, schema) if part][: 3 - len(parts)]
        in_default = [table for table in tables if _parts(table) == (*prefix, *parts)]
        found = in_default or [table for table in tables if _parts(table)[-len(parts) :] == parts]
        if len(found) == 1:
            return found[0]
        if not found:
            raise UnknownNameError("table", asked, (str(t) if len(parts) > 1 else t.table for t in tables))
        raise LakerunError(f"'{asked}' is ambiguous: {', '.join(map(str, found))}.")

    def make(self) -> None:
        """Create the data folder. git ignores it, and so does a deployment of the project around it."""
        self.home.mkdir(parents=True, exist_ok=True)
        if not (ignored := self.home / GITIGNORE).exists():
            ignored.write_text("*\n", encoding="utf-8")

    def log_path(self, command: str) -> Path:
        """The log file of a command, whose folder is created."""
        self.make()
        self.logs_root.mkdir(exist_ok=True)
        return self.logs_root / f"{command}.log"

    @contextmanager
    def exclusive(self, purpose: str) -> Iterator[None]:
        """Lock the data folder for one run; BusyError names the holder. A kill of the holder frees it."""
        self.make()
        holder = self.home / "lock.txt"
        # One thread may acquire it and another release it.
        lock = FileLock(self.home / "lock", thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            who = holder.read_text(encoding="utf-8") if holder.exists() else "another process"
            raise BusyError(
                f"Another run is using {self.home} ({who}). Wait for it, "
                "or set LAKEHOUSE_HOME to another folder."
            ) from None
        try:
            holder.write_text(f"{purpose}, process {os.getpid()}", encoding="utf-8")
            _held.add(self.home.resolve())
            yield
        finally:
            _held.discard(self.home.resolve())
            lock.release()

    @property
    def is_held_here(self) -> bool:
        """Whether this process is in `exclusive`, as a job's task is that `run` runs."""
        return self.home.resolve() in _held

    def sizes(self) -> tuple[int, int]:
        """The bytes of all volumes, and of all tables with their logs and what was overwritten."""
        volumes, tables = (
            sum(file.stat().st_size for file in root.rglob("*") if file.is_file())
            for root in (self.volumes_root, self.tables_root)
        )
        return volumes, tables


def name_parts(name: str) -> list[str]:
    """The parts of a name in SQL, each with or without backticks; one may be empty."""
    return [
        part[1:-1].replace("``", "`") if len(part) > 2 and part[0] == part[-1] == "`" else part
        for part in _PART.findall(name)
    ]


def is_folder_name(name: str) -> bool:
    """Whether a path with this name stays in its parent folder, unlike one with `..` or a slash."""
    return name not in ("", ".", "..") and not any(character in name for character in "/\\\0")


def quoted(part: str) -> str:
    """One part of a name, or a path after `delta.`, in backticks for SQL."""
    return f"`{part.replace('`', '``')}`"


def _folder_name(what: str, name: str) -> str:
    """`name`, unless a path with it would lead out of its parent folder, as `..` does."""
    if not is_folder_name(name):
        raise LakerunError(f"'{name}' is not a valid name of a {what}: it may not be empty, dots or a path.")
    return name


def _parts(name: TableName) -> tuple[str, ...]:
    return name.catalog.lower(), name.schema.lower(), name.table.lower()

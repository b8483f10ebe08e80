"""Rewrites a Delta table as if some rows had never been in it, in any version: `rewrite`.

A new commit would not do: older versions, statistics in the log, change files and checkpoints keep the rows,
and a stream that reads the table would fail on it, or read it again. So every data file that holds such rows
is written again under its own name, and the log beside it, in each version: sizes, statistics, deletion
vectors. Versions, transactions and the table's id stay, so streams go on where they are, and so do readers of
older versions.

The new table is built beside the old one, of hard links where nothing changes, and takes its place in one
rename. A kill leaves the old table, or the new one: `finish_rewrites` completes the exchange.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ecommerce_lakehouse.cli.erasure.deletion_vectors import inline_vector, positions

if TYPE_CHECKING:
    import pyarrow as pa

LOG = "_delta_log"
NEW, OLD, READY = "new", "old", "ready"


@dataclass(frozen=True)
class Edit:
    """What becomes of one data file: its new rows, and the position that each had, if rows went."""

    rows: pa.Table
    kept: list[int] | None = None
    removed: int = 0


@dataclass(frozen=True)
class Rewritten:
    """What was rewritten: data files, rows gone from all of them, and rows gone from the newest version."""

    files: int = 0
    rows: int = 0
    current: int = 0


@dataclass(frozen=True)
class _NewFile:
    size: int
    stats: str
    kept: list[int] | None


class Rewrite:
    """One table's rewriting.

    `edit` is asked for each data file and returns None for one that stays; `clean` returns an action of the
    log without what may not stand in its texts, or the same object; `gone` says whether a partition goes as a
    whole.
    """

    def __init__(
        self,
        table: Path,
        work: Path,
        edit: Callable[[Path], Edit | None],
        clean: Callable[[Any], Any] = lambda value: value,
        gone: Callable[[dict[str, str | None]], bool] = lambda partition: False,
    ) -> None:
        self._table, self._work, self._edit, self._clean, self._gone = table, work, edit, clean, gone
        self._edits: dict[str, Edit] = {}
        self._files: dict[str, _NewFile] = {}
        self._dropped: set[str] = set()

    def look(self) -> Rewritten:
        """Find what is to be rewritten; `apply` then does it."""
        for action in self._actions():
            for kind in ("add", "remove", "cdc"):
                part = action.get(kind)
                if part and part.get("partitionValues") and self._gone(dict(part["partitionValues"])):
                    self._dropped.add(unquote(part["path"]))
        for file in data_files(self._table):
            name = file.relative_to(self._table).as_posix()
            if name not in self._dropped and (edit := self._edit(file)):
                self._edits[name] = edit
        rows = sum(edit.removed for edit in self._edits.values())
        return Rewritten(len(self._edits) + len(self._dropped), rows, self._current())

    def apply(self) -> None:
        """Put the rewritten table in the place of the old one."""
        shutil.rmtree(self._work, ignore_errors=True)
        new = self._work / NEW
        new.mkdir(parents=True)
        for file in sorted(path for path in self._table.rglob("*") if path.is_file()):
            name = file.relative_to(self._table)
            if name.parts[0] != LOG:
                self._data(file, name.as_posix(), new / name)
        (new / LOG).mkdir(exist_ok=True)
        for file in sorted((self._table / LOG).rglob("*")):
            if file.is_file() and file.name != "_last_checkpoint" and file.suffix != ".crc":
                self._log(file, new / file.relative_to(self._table))
        self._announce(new)
        (self._work / READY).write_text(str(self._table), encoding="utf-8")
        exchange(self._work)

    # Data -----------------------------------------------------------------------------------------------

    def _data(self, file: Path, name: str, target: Path) -> None:
        if name in self._dropped:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        edit = self._edits.get(name)
        if edit is None:
            # Hadoop's checksum of a file that was rewritten is not its checksum any more.
            if not (file.suffix == ".crc" and self._is_edited(name)):
                os.link(file, target)
            return
        import pyarrow.parquet as pq

        from lakerun.tables.parquet_stats import delta_stats

        pq.write_table(
            edit.rows, target, compression="snappy", coerce_timestamps="us", allow_truncated_timestamps=False
        )
        shutil.copystat(file, target)
        metadata = pq.read_metadata(target)
        stats = delta_stats(metadata) if metadata.num_rows else json.dumps({"numRecords": 0})
        self._files[name] = _NewFile(target.stat().st_size, stats, edit.kept)

    def _is_edited(self, checksum: str) -> bool:
        path = Path(checksum)
        return (path.parent / path.name.removeprefix(".").removesuffix(".crc")).as_posix() in self._edits

    # The log --------------------------------------------------------------------------------------------

    def _log(self, file: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".parquet":
            self._checkpoint(file, target)
        elif file.suffix == ".json":
            lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
            actions = list(self._commit([json.loads(line) for line in lines]))
            target.write_text("".join(f"{_text(action)}\n" for action in actions), encoding="utf-8")
        else:
            os.link(file, target)
            return
        shutil.copystat(file, target)  # the time of a commit is that of its file

    def _checkpoint(self, file: Path, target: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pq.read_table(file, partitioning=None)
        # A vector that has lost its difference to an older one makes the tombstone of that one its own.
        live = {key[1:] for key in map(_file_key, self._parts(file)) if key and key[0] == "add"}
        rows = [new for row in table.to_pylist() if (new := self._action(row))]
        keyed = [(row, _file_key(row)) for row in rows]
        rows = [row for row, key in keyed if not (key and key[0] == "remove" and key[1:] in live)]
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), target)

    def _parts(self, file: Path) -> Iterator[dict[str, Any]]:
        """The actions, as they are now, of all parts of a checkpoint."""
        import pyarrow.parquet as pq

        for part in file.parent.glob(f"{file.name.split('.')[0]}.checkpoint*.parquet"):
            for row in pq.read_table(part, partitioning=None).to_pylist():
                yield self._action(row)

    def _commit(self, actions: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """A commit's actions as they are now, without files that get the vector that they had."""
        found = [self._action(action) for action in actions]
        keys = [_file_key(action) for action in found]
        again = {key[1:] for key in keys if key and key[0] == "add"} & {
            key[1:] for key in keys if key and key[0] == "remove"
        }
        before = {key[1:] for key in map(_file_key, actions) if key and key[0] == "add"} & {
            key[1:] for key in map(_file_key, actions) if key and key[0] == "remove"
        }
        for action, key in zip(found, keys, strict=True):
            if action and not (key and key[1:] in again - before):
                yield action

    def _action(self, action: dict[str, Any]) -> dict[str, Any]:
        """An action, or an empty one if its file is gone."""
        for kind in ("add", "remove", "cdc"):
            part = action.get(kind)
            if not part:
                continue
            name = unquote(part["path"])
            if name in self._dropped:
                return {}
            if new := self._files.get(name):
                return {**action, kind: self._changed(part, new)}
            return action
        if action.get("commitInfo"):
            cleaned: dict[str, Any] = self._clean(action)
            return cleaned
        return action

    def _changed(self, part: dict[str, Any], new: _NewFile) -> dict[str, Any]:
        changed = dict(part)
        if part.get("size") is not None:
            changed["size"] = new.size
        if part.get("stats"):
            changed["stats"] = new.stats
        if part.get("stats_parsed"):
            changed["stats_parsed"] = None
        if part.get("deletionVector") and new.kept is not None:
            moved = {old: now for now, old in enumerate(new.kept)}
            deleted = positions(part["deletionVector"], self._table)
            vector = inline_vector(moved[position] for position in deleted if position in moved)
            changed.pop("deletionVector")
            if vector is not None:
                changed["deletionVector"] = {**dict.fromkeys(part["deletionVector"]), **vector}
                if changed.get("stats"):  # they count the deleted rows
                    changed["stats"] = json.dumps(json.loads(new.stats) | {"tightBounds": False})
        return changed

    def _announce(self, new: Path) -> None:
        """Add a commit that gives the rewritten files again, for readers that have the log in memory.

        It changes no data, so streams pass over it, and a table that may only be appended to takes it.
        """
        live, _ = _live(new)
        old, newest = _live(self._table)
        now = int(time.time() * 1000)
        actions: list[dict[str, Any]] = [
            {
                "commitInfo": {
                    "timestamp": now,
                    "operation": "ERASE",
                    "operationParameters": {},
                    "isBlindAppend": False,
                }
            }
        ]
        for key, part in old.items():
            gone = key not in live
            if gone and (key[0] in self._dropped or key[0] in self._files):
                actions.append({"remove": _removal(part, now)})
        for key, part in live.items():
            if key[0] in self._files:
                actions.append({"add": {**_plain_add(part), "dataChange": False}})
        commit = new / LOG / f"{newest + 1:020d}.json"
        commit.write_text("".join(f"{_text(action)}\n" for action in actions), encoding="utf-8")

    # Reading --------------------------------------------------------------------------------------------

    def _actions(self) -> Iterator[dict[str, Any]]:
        for file in sorted((self._table / LOG).glob("*.json")):
            for line in file.read_text(encoding="utf-8").splitlines():
                if line.strip():
                    yield json.loads(line)

    def _current(self) -> int:
        """How many of the rows that go are in the newest version."""
        live, _ = _live(self._table)
        count = 0
        for (name, _), part in live.items():
            edit = self._edits.get(name)
            if edit and edit.kept is not None:
                deleted = (
                    set(positions(part["deletionVector"], self._table))
                    if part.get("deletionVector")
                    else set()
                )
                total = edit.removed + len(edit.kept)
                count += len(set(range(total)) - set(edit.kept) - deleted)
        return count


def exchange(work: Path) -> None:
    """Put the table that was built in `work` in its place; harmless if that was done before."""
    ready = work / READY
    if ready.exists():
        table = Path(ready.read_text(encoding="utf-8"))
        if (work / NEW).exists():
            if table.exists() and not (work / OLD).exists():
                table.rename(work / OLD)
            (work / NEW).rename(table)
    shutil.rmtree(work, ignore_errors=True)


def finish_rewrites(folder: Path) -> None:
    """Complete the exchanges that a killed process left below a folder, and remove what was not ready."""
    for work in sorted(folder.iterdir()) if folder.is_dir() else []:
        exchange(work)


def data_files(table: Path) -> list[Path]:
    """Every data file below a table's folder, whether the newest version has it or not."""
    return sorted(
        path
        for path in table.rglob("*.parquet")
        if path.relative_to(table).parts[0] != LOG and path.is_file()
    )


def _live(table: Path) -> tuple[dict[tuple[str, str], dict[str, Any]], int]:
    """The files of the newest version by path and deletion vector, and that version's number."""
    import pyarrow.parquet as pq

    log = table / LOG
    commits = {int(file.stem): file for file in log.glob("*.json") if file.stem.isdigit()}
    bases = [int(file.name.split(".")[0]) for file in log.glob("*.checkpoint*.parquet")]
    base = -1 if 0 in commits else max(bases, default=-1)
    actions: list[dict[str, Any]] = []
    for file in sorted(log.glob(f"{base:020d}.checkpoint*.parquet")) if base >= 0 else []:
        actions += [row for row in pq.read_table(file, partitioning=None).to_pylist() if row.get("add")]
    for number in sorted(commits):
        if number > base:
            lines = commits[number].read_text(encoding="utf-8").splitlines()
            actions += [json.loads(line) for line in lines if line.strip()]
    live: dict[tuple[str, str], dict[str, Any]] = {}
    for action in actions:
        key = _file_key(action)
        if key and key[0] == "add":
            live[key[1:]] = action["add"]
        elif key:
            live.pop(key[1:], None)
    return live, max([*commits, *bases])


def _file_key(action: dict[str, Any]) -> tuple[str, str, str] | None:
    """Whether a file is added or removed, its path, and its deletion vector."""
    for kind in ("add", "remove"):
        if part := action.get(kind):
            vector = part.get("deletionVector") or {}
            return kind, unquote(part["path"]), f"{vector.get('storageType')}{vector.get('pathOrInlineDv')}"
    return None


def _plain_add(part: dict[str, Any]) -> dict[str, Any]:
    """An added file as a commit has it, from a commit or a checkpoint."""
    found = {key: value for key, value in part.items() if value is not None and not key.endswith("_parsed")}
    for key in ("partitionValues", "tags"):
        if key in found:
            found[key] = dict(found[key])
    if vector := found.get("deletionVector"):
        found["deletionVector"] = {key: value for key, value in vector.items() if value is not None}
    return found


def _removal(part: dict[str, Any], now: int) -> dict[str, Any]:
    found = {"path": part["path"], "deletionTimestamp": now, "dataChange": False}
    if vector := _plain_add(part).get("deletionVector"):
        found["deletionVector"] = vector
    return found


def _text(action: dict[str, Any]) -> str:
    return json.dumps(action, ensure_ascii=False, separators=(",", ":"))

"""Files that changed after a stream had read them: `ReadFiles`.

Spark's file source knows a file by its path, and reads it once. Its log, in the stream's checkpoint, has the
time of modification that each file had then.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from lakerun.files import write_file

# The clock of a file system may be this far behind the system's, in nanoseconds.
BEHIND = 2_000_000_000
ENTRY = '{"path":'  # other sources have logs with other lines


@dataclass(frozen=True)
class StreamedFolder:
    """A folder whose files a flow streams; with `allow_overwrites` it reads changed files again."""

    path: Path
    allow_overwrites: bool


class ReadFiles:
    """The files that one run of a stream reads, compared with those that earlier runs have read.

    Create it before the run. The cost is a listing of the folders, and the log of what is new: the log of all
    files is read only if a file has changed that this run did not read.
    """

    def __init__(self, checkpoint: Path, folders: Sequence[StreamedFolder]) -> None:
        self._sources = checkpoint / "sources"
        self._checked = checkpoint.with_name(f"{checkpoint.name}.files")
        self._folders = folders
        self._begin = time.time_ns()
        self._before = {log.name: _newest(log) for log in self._logs()}
        self._told: dict[str, int] = {}

    def changed(self) -> list[Path]:
        """The files that changed since an update last looked, and after they were read; sorted.

        A file that was written again as it was counts, because only its time is known.
        """
        last = self._last()
        recent = {
            path: modified
            for folder in self._folders
            for path, modified in _modified_since(folder.path, last.get("since", 0) - BEHIND)
        }
        told = last.get("told", {})
        self._told = {path: modified for path, modified in recent.items() if told.get(path) == modified}
        asked = recent.keys() - self._told.keys()
        if not asked:
            return []
        read = self._entries(self._before)
        if asked - read.keys():
            read = self._entries({})
        found = {path: recent[path] for path in asked if read.get(path, recent[path]) != recent[path]}
        self._told |= found
        return sorted(map(Path, found))

    def may_be_read_again(self, file: Path) -> bool:
        """Whether the file is in a folder whose reader has `allowOverwrites`."""
        folders = (folder.path for folder in self._folders if folder.allow_overwrites)
        return any(file.is_relative_to(os.path.normpath(folder)) for folder in folders)

    def forget(self, files: Sequence[Path]) -> None:
        """Remove the files from the stream's log, so that its next run reads them as new ones.

        Only after a run whose batches are all committed: a batch that is replayed needs its entries.
        """
        names = set(map(str, files))
        for log in self._logs():
            for file in _batches(log).values():
                lines = file.read_text(encoding="utf-8").split("\n")
                kept = [line for line in lines if not line.startswith(ENTRY) or _entry(line)[0] not in names]
                if kept != lines:
                    file.with_name(f".{file.name}.crc").unlink(missing_ok=True)
                    write_file(file, "\n".join(kept))

    def looked(self) -> None:
        """Remember that the changed files were reported: the next update reports only later changes."""
        write_file(self._checked, json.dumps({"since": self._begin, "told": self._told}))

    def _last(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self._checked.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return found

    def _logs(self) -> list[Path]:
        return [log for log in self._sources.glob("[0-9]*") if log.is_dir()]

    def _entries(self, after: Mapping[str, int]) -> dict[str, int]:
        """Path and time of modification of each file in the logs, or of those in later batches."""
        found: dict[str, int] = {}
        for log in self._logs():
            first = after.get(log.name, -1)
            files = _batches(log)
            whole = max((batch for batch, file in files.items() if file.suffix), default=-1)
            for batch, file in sorted(files.items()):
                if batch > first and batch >= whole:
                    lines = file.read_text(encoding="utf-8").split("\n")
                    entries = [_entry(line) for line in lines if line.startswith(ENTRY)]
                    found |= {path: modified for path, modified, read_in in entries if read_in > first}
        return found


def _batches(log: Path) -> dict[int, Path]:
    """The files of a source's log by batch; `9.compact` has the entries of all batches up to 9."""
    found = [path for path in log.iterdir() if path.stem.isdigit() and path.suffix in ("", ".compact")]
    return {int(path.stem): path for path in found}


def _newest(log: Path) -> int:
    return max(_batches(log), default=-1)


def _entry(line: str) -> tuple[str, int, int]:
    """Path, time of modification in milliseconds, and batch of a line of the log."""
    entry = json.loads(line)
    return unquote(urlsplit(entry["path"]).path), entry["timestamp"], entry["batchId"]


def _modified_since(folder: Path, since: int) -> Iterator[tuple[str, int]]:
    """Path and time of modification, in milliseconds, of the files that changed since a time in nanoseconds.

    A file's status changes with its content, even where a copy keeps an old time of modification.
    """
    waiting = [os.path.normpath(folder)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir():
                    waiting.append(entry.path)
                elif (status := entry.stat()).st_ctime_ns >= since:
                    yield entry.path, status.st_mtime_ns // 1_000_000

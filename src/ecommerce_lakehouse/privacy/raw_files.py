"""Removes people from the files of a volume: raw files and corrections.

A raw file keeps its time of modification where the file system lets it: Spark's file source and the search
for changed files know a file by its path and time, so it is neither read again nor reported as changed.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ecommerce_lakehouse.config.files import write_whole
from ecommerce_lakehouse.domain.entities import ENTITIES, Entity
from ecommerce_lakehouse.privacy.people import People, lines_of
from ecommerce_lakehouse.privacy.place import Removed
from ecommerce_lakehouse.privacy.scan import every_file


def raw_files(volume: Path) -> Iterator[tuple[Path, Entity]]:
    """Every file of a volume in which lines of an entity arrived."""
    for entity in ENTITIES.values():
        for file in every_file(volume / entity.folder):
            if not file.is_symlink():
                yield file, entity


def raw_lines(file: Path) -> list[bytes]:
    """The lines of a raw file, which may be compressed."""
    data = file.read_bytes()
    return lines_of(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)


def erase_from_volume(volume: Path, people: People, *, dry_run: bool) -> Iterator[Removed]:
    """Remove the people's lines and corrections, or say what there is."""
    for file, entity in raw_files(volume):
        if count := erase_lines(file, people, dry_run=dry_run):
            yield Removed(f"{entity.folder}/{file.name}", "raw file", count)
    for folder in sorted((volume / "corrections").glob("*")):
        if count := _erase_corrections(folder, people, dry_run):
            yield Removed(f"corrections/{folder.name}", "corrections", count)


def erase_lines(file: Path, people: People, *, dry_run: bool) -> int:
    """Remove the people's lines from a raw file; returns how many there are."""
    lines = raw_lines(file)
    if not people.may_own(b"".join(lines).decode("utf-8", "replace")):
        return 0
    kept = [line for line in lines if not _own(line, people)]
    if len(kept) < len(lines) and not dry_run:
        data = b"".join(kept)
        rewrite(file, gzip.compress(data) if file.read_bytes()[:2] == b"\x1f\x8b" else data)
    return len(lines) - len(kept)


def rewrite(file: Path, data: bytes) -> None:
    """Replace a file's content in one step; its mode and, if it can be set, its time of modification stay."""
    status = file.stat()
    draft = file.with_name(f".{file.name}.{os.getpid()}.erasing")
    draft.write_bytes(data)
    with suppress(OSError):  # Databricks' volumes do not set times
        draft.chmod(status.st_mode & 0o7777)
        os.utime(draft, ns=(status.st_atime_ns, status.st_mtime_ns))
    draft.replace(file)
    file.with_name(f".{file.name}.crc").unlink(missing_ok=True)


def _erase_corrections(folder: Path, people: People, dry_run: bool) -> int:
    """Remove corrections of the people's rows, and the claims of replays to them."""
    gone = []
    for file in sorted(folder.glob("*.json")):
        kept = json.loads(file.read_text(encoding="utf-8"))
        if any(people.own_line(str(kept.get(name, ""))) for name in ("raw_text", "corrected")):
            gone.append(file)
    ids = {file.stem for file in gone}
    if dry_run:
        return len(gone)
    for replay in sorted((folder / "replays").glob("*.json")) if ids else []:
        claim = json.loads(replay.read_text(encoding="utf-8"))
        if ids.intersection(claim["rows"]):
            claim["rows"] = [row for row in claim["rows"] if row not in ids]
            write_whole(replay, json.dumps(claim, indent=2))
    for file in gone:
        file.unlink()
    return len(gone)


def _own(line: bytes, people: People) -> bool:
    text = line.decode("utf-8", "replace").rstrip("\r\n")
    return people.may_own(text) and people.own_line(text)

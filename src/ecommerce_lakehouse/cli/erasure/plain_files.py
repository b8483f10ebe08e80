"""Removes people from what quotes them: logs, documents, exports, databases."""

from __future__ import annotations

import gzip
import json
import sqlite3
from contextlib import closing
from pathlib import Path

from ecommerce_lakehouse.cli.erasure.rows import ERASED, redacted
from ecommerce_lakehouse.privacy.needles import Needles
from ecommerce_lakehouse.privacy.raw_files import rewrite

LOG_SUFFIXES = (".log", ".txt", ".out", ".err")
LINE_SUFFIXES = (".csv", ".tsv")
JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")


def erase_mentions(file: Path, needles: Needles, *, dry_run: bool) -> int:
    """Remove what names the people from a log, a CSV file or a JSON document; returns 1 if something did.

    A line of a log becomes `[erased]`, one of a CSV file goes, a text within JSON becomes `[erased]`. Files
    of any other kind are left as they are, for the scan to report.
    """
    data = file.read_bytes()
    packed = data[:2] == b"\x1f\x8b"
    name = file.name.removesuffix(".gz") if packed else file.name
    if not name.endswith((*LOG_SUFFIXES, *LINE_SUFFIXES, *JSON_SUFFIXES)):
        return 0
    text = (gzip.decompress(data) if packed else data).decode("utf-8", "surrogateescape")
    new = _json(text, needles) if name.endswith(JSON_SUFFIXES) else None
    if new is None:
        lines = text.split("\n")
        if name.endswith(LINE_SUFFIXES):
            new = "\n".join(line for line in lines if not needles.found(line))
        else:
            new = "\n".join(ERASED if needles.found(line) else line for line in lines)
    if new == text:
        return 0
    if not dry_run:
        changed = new.encode("utf-8", "surrogateescape")
        rewrite(file, gzip.compress(changed) if packed else changed)
    return 1


def erase_in_database(file: Path, needles: Needles, *, dry_run: bool) -> int:
    """Replace what names the people in every text of a SQLite database, its free pages included."""
    changed = 0
    with closing(sqlite3.connect(file, timeout=30, isolation_level=None)) as db:
        db.execute("PRAGMA secure_delete = ON")
        tables = db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' "
            "AND sql NOT LIKE '%WITHOUT ROWID%'"
        ).fetchall()
        db.execute("BEGIN IMMEDIATE")
        for (table,) in tables:
            names = [row[1] for row in db.execute(f"PRAGMA table_info({_quoted(table)})")]
            listed = ", ".join(map(_quoted, names))
            for rowid, *values in db.execute(f"SELECT rowid, {listed} FROM {_quoted(table)}").fetchall():
                for column, value in zip(names, values, strict=True):
                    if isinstance(value, str) and (new := redacted(value, needles)) != value:
                        changed += 1
                        db.execute(
                            f"UPDATE {_quoted(table)} SET {_quoted(column)} = ? WHERE rowid = ?", (new, rowid)
                        )
        db.execute("ROLLBACK" if dry_run else "COMMIT")
        if not dry_run:
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return changed


def is_database(file: Path) -> bool:
    """Whether a file is a SQLite database."""
    with file.open("rb") as opened:
        return opened.read(16) == b"SQLite format 3\x00"


def _json(text: str, needles: Needles) -> str | None:
    """A JSON document, or lines of JSON, without what names somebody; None if it is neither."""
    try:
        whole = json.loads(text)
    except ValueError:
        pass
    else:
        cleaned = redacted(whole, needles)
        return text if cleaned == whole else json.dumps(cleaned, ensure_ascii=False, indent=2) + "\n"
    lines = text.split("\n")
    try:
        decoded = [json.loads(line) if line.strip() else None for line in lines]
    except ValueError:
        return None
    return "\n".join(
        line
        if redacted(value, needles) == value
        else json.dumps(redacted(value, needles), ensure_ascii=False)
        for line, value in zip(lines, decoded, strict=True)
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'

"""Raw files in the volume, which is a folder on Databricks too: `files_in`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True)
class SourceFile:
    """A raw file: `size` in bytes; `arrived`, when it was last written, in UTC."""

    size: int
    arrived: datetime


def files_in(folder: str) -> list[SourceFile]:
    """Every file at any level of `folder`; none if it does not exist."""
    found = []
    for file in Path(folder).rglob("*"):
        status = file.stat()
        if file.is_file():
            found.append(SourceFile(status.st_size, datetime.fromtimestamp(status.st_mtime, UTC)))
    return found

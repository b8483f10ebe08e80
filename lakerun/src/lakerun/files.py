"""Writes files completely or not at all: `write_file`, `replacing`.

Three similar writes need something else: the workspace's token is linked, so that the first of two servers
that start together wins; a wheel's folder is renamed; an upload is streamed, with a limit of its size.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A draft to write, which replaces `path` at the end; an error removes it.

    A killed process leaves no partial file at `path`, and one of two concurrent writes wins.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_file(path: Path, content: str | bytes) -> None:
    """Write a file atomically."""
    with replacing(path) as draft:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)

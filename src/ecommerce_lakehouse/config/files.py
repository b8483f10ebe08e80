"""Files of the volume that several processes use: `exclusive`, `write_whole`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ecommerce_lakehouse.config.settings import LakehouseConfig

try:
    import fcntl
except ImportError:  # on Windows only the lock of the `lakehouse` command protects
    fcntl = None  # type: ignore[assignment]


@contextmanager
def exclusive(file: Path, config: LakehouseConfig, busy: Exception) -> Iterator[None]:
    """Hold a lock that ends with the process; raises `busy` at once if another process holds it.

    Volumes on Databricks have no locks; the jobs that write to them run one at a time.
    """
    if fcntl is None or config.on_databricks:
        yield
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise busy from None
        yield


def write_whole(file: Path, text: str) -> None:
    """Write a file in one step, as readers see it: names that start with a dot are not ingested."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)

"""One process at a time in a folder of the volume: `exclusive`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ecommerce_lakehouse.config.settings import LakehouseConfig

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def exclusive(file: Path, config: LakehouseConfig) -> Iterator[None]:
    """Hold a lock that ends with the process; BlockingIOError, at once, where somebody holds it.

    Volumes on Databricks have no locks: there, jobs that write to them run one at a time.
    """
    if fcntl is None or config.on_databricks:
        yield
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield

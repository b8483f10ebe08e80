"""The resource usage of an update, measured on real processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lakerun.spark.process_usage import ProcessUsage


@contextmanager
def working_child() -> Iterator[None]:
    """A process with 80 MB that has computed for 0.3 s, and runs until the end of the block."""
    work = (
        "import time; x = bytearray(80_000_000); e = time.process_time() + 0.3\n"
        "while time.process_time() < e: pass\nprint('done', flush=True); input()"
    )
    child = subprocess.Popen([sys.executable, "-c", work], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"done\n"
        yield
    finally:
        child.communicate(b"\n")


def test_an_updates_usage_includes_its_child_processes() -> None:
    usage = ProcessUsage()
    with working_child():
        found = usage.details()
    assert found["cpu_seconds"] >= 0.2
    assert found["peak_memory_bytes"] - found["python_peak_memory_bytes"] >= 80_000_000
    assert found["python_peak_memory_bytes"] > 10_000_000
    assert 0.2 < found["wall_seconds"] < 30


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps a peak that can be reset")
def test_freed_memory_counts_until_the_next_measurement() -> None:
    usage = ProcessUsage()
    before = usage.details()["python_peak_memory_bytes"]
    taken = bytearray(150_000_000)
    del taken
    assert usage.details()["python_peak_memory_bytes"] - before > 100_000_000
    assert ProcessUsage().details()["python_peak_memory_bytes"] - before < 100_000_000


def test_without_a_peak_from_the_system_resident_memory_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lakerun.spark.process_usage.PROC", tmp_path / "nothing")
    usage = ProcessUsage()
    with working_child():
        found = usage.details()
    assert found["peak_memory_bytes"] - found["python_peak_memory_bytes"] >= 80_000_000
    assert found["python_peak_memory_bytes"] > 10_000_000
    assert found["cpu_seconds"] >= 0.2

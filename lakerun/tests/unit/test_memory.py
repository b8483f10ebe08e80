"""Spark's memory: when it is full, and what the user is told."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lakerun.spark import memory


@pytest.mark.parametrize(
    ("text", "size"), [("6g", 6 * 2**30), ("2048m", 2**31), ("1GB", 2**30), ("1073741824", 2**30)]
)
def test_the_heaps_size_is_read_as_the_jvm_reads_it(text: str, size: int) -> None:
    assert memory.heap_bytes(text) == size


@pytest.mark.parametrize(("now", "more"), [("512m", "1g"), ("5g", "10g"), ("700m", "1400m")])
def test_the_message_names_the_setting_and_twice_the_memory(
    now: str, more: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_memory", now)
    assert memory.full() == (
        f"Spark's memory of {now} is full. Give it more, such as LAKEHOUSE_DRIVER_MEMORY={more}, and run "
        "again: it continues where it stopped."
    )


@pytest.mark.parametrize(
    ("end", "told"),
    [
        ("os._exit(3)", "Spark's memory of 512m is full."),
        ("os._exit(52)", "Spark's memory of 512m is full."),
        ("os.kill(os.getpid(), 9)", "Spark was killed, as happens when the machine's memory runs out."),
        ("os._exit(1)", "Spark ended by itself, with exit code 1."),
        ("import time; time.sleep(60)", None),
    ],
)
def test_how_sparks_process_ended_says_why(
    end: str, told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = subprocess.Popen([sys.executable, "-S", "-c", f"import os; {end}"])
    monkeypatch.setattr(memory, "_memory", "512m")
    monkeypatch.setattr(memory, "_process", lambda: process)
    try:
        why = memory.why_ended(wait=told is not None)
        assert why is None if told is None else (why or "").startswith(told)
    finally:
        process.kill()
        process.wait()


def test_spark_that_only_collects_garbage_for_a_minute_is_out_of_memory() -> None:
    def minute(share: float) -> list[bool]:
        collecting = memory.Collecting()
        # An hour of work before does not count.
        moments = [(second, second * 0.1) for second in range(0, 3600, 5)]
        moments += [(3600 + second, 360 + second * share) for second in range(0, 66, 5)]
        return [collecting.is_all(now, collected) for now, collected in moments]

    assert minute(0.95).index(True) == 3600 // 5 + 12  # 60 s later
    assert not any(minute(0.85))


def test_a_start_full_of_collections_has_to_last_a_minute() -> None:
    collecting = memory.Collecting()
    assert [collecting.is_all(second, second) for second in (0, 30, 59, 60)] == [False, False, False, True]

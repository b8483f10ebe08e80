"""Spark ends when its memory is full, and `why_ended` says so.

A JVM with a full heap may collect garbage for hours, or go on without the threads that failed. Here it exits
at the first failed allocation (`EXIT_WHEN_FULL`), and `watch_memory` ends one that does little but collect.
Every commit survives a kill, so the next run continues where this one stopped.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

EXIT_WHEN_FULL = "-XX:+ExitOnOutOfMemoryError"
# Exit codes: of the option above, and of Spark's own handler of uncaught errors.
FULL = (3, 52)
MEMORY_VARIABLE = "LAKEHOUSE_DRIVER_MEMORY"

CHECK_SECONDS = 5.0
WATCHED_SECONDS = 60.0
MOST_COLLECTING = 0.9
# A socket is closed a moment before its process has ended.
ENDING_SECONDS = 3.0

_units = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_killed: set[int] = set()  # processes that `watch_memory` ended
_memory = ""


def heap_bytes(memory: str) -> int:
    """`6g` as bytes, as the JVM reads it."""
    text = memory.lower().removesuffix("b")
    return int(float(text[:-1]) * _units[text[-1]]) if text[-1:] in _units else int(text)


def driver_memory() -> str:
    """The heap that Spark starts with: as set, or a quarter of the machine's memory, from 2 to 8 GB."""
    if given := os.environ.get(MEMORY_VARIABLE):
        return given
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (ValueError, OSError):
        total = 8.0
    return f"{min(8, max(2, int(total / 4)))}g"


def watch_memory(session: SparkSession, memory: str) -> None:
    """End Spark once it spends nearly all of its time on garbage; `memory` is its heap."""
    global _memory
    _memory = memory
    if (process := _process()) is not None:
        beans = session._jvm.java.lang.management.ManagementFactory  # type: ignore[union-attr]
        watch = threading.Thread(target=_watch, args=(process, beans), name="memory", daemon=True)
        watch.start()


def why_ended(*, wait: bool = False) -> str | None:
    """Why this process's Spark has ended, in one line with what to do; None if it runs or never started.

    `wait` is for an error of the connection, which comes a moment before Spark's end is known.
    """
    process = _process()
    if process is None:
        return None
    until = time.monotonic() + (ENDING_SECONDS if wait else 0.0)
    while (code := process.poll()) is None:
        if time.monotonic() >= until:
            return None
        time.sleep(0.05)
    if code in FULL or process.pid in _killed:
        return full()
    if code == -9:
        return (
            "Spark was killed, as happens when the machine's memory runs out. Run again when more is free, "
            f"or with less than {MEMORY_VARIABLE}={_memory}."
        )
    return f"Spark ended by itself, with exit code {code}. Run again."


def full() -> str:
    """What to do when Spark's memory is full, in one line."""
    memory = _memory or driver_memory()
    double = 2 * heap_bytes(memory) // 2**20
    more = f"{double // 1024}g" if double % 1024 == 0 else f"{double}m"
    return (
        f"Spark's memory of {memory} is full. Give it more, such as {MEMORY_VARIABLE}={more}, and run again: "
        "it continues where it stopped."
    )


class Collecting:
    """Whether a JVM does little but collect garbage, from the seconds that it has spent on that so far."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque()

    def is_all(self, now: float, collected: float) -> bool:
        """Whether at least MOST_COLLECTING of the last WATCHED_SECONDS went into it. Both in seconds."""
        self._seen.append((now, collected))
        while len(self._seen) > 1 and now - self._seen[1][0] >= WATCHED_SECONDS:
            self._seen.popleft()
        since, before = self._seen[0]
        return now - since >= WATCHED_SECONDS and collected - before >= MOST_COLLECTING * (now - since)


def _watch(process: subprocess.Popen[bytes], management: Any) -> None:
    collecting = Collecting()
    # The JVM answers between two collections, however long they take.
    with suppress(Exception):  # Spark has ended or was stopped
        beans = list(management.getGarbageCollectorMXBeans())
        while process.poll() is None:
            milliseconds = sum(max(0, bean.getCollectionTime()) for bean in beans)
            if collecting.is_all(time.monotonic(), milliseconds / 1000):
                _killed.add(process.pid)
                process.kill()
            time.sleep(CHECK_SECONDS)


def _process() -> subprocess.Popen[bytes] | None:
    """The JVM that this process started last."""
    if "pyspark" not in sys.modules:
        return None
    from pyspark import SparkContext

    return getattr(SparkContext._gateway, "proc", None)

"""What this process and the JVM below it use while an update runs, where Linux tells: `ProcessUsage`."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")


class ProcessUsage:
    """Measures from its creation on; one at a time, because peaks of memory start anew with each."""

    def __init__(self) -> None:
        self._wall = time.monotonic()
        self._cpu = {pid: _cpu_seconds(pid) for pid in _family()}
        for pid in self._cpu:
            with suppress(OSError):
                (PROC / str(pid) / "clear_refs").write_text("5", encoding="ascii")  # resets VmHWM

    def details(self) -> dict[str, float | int]:
        """The details of an `update_resources` event, over this process and everything that it started.

        `wall_seconds`, `cpu_seconds` (user and system, of processes that still run), `peak_memory_bytes`: the
        sum of each process's own peak of resident memory, so that it is an upper bound of the peak of all;
        `python_peak_memory_bytes` is this process's part. Only `wall_seconds` where there is no /proc.
        """
        found: dict[str, float | int] = {"wall_seconds": round(time.monotonic() - self._wall, 3)}
        family = _family()
        if family:
            spent = sum(_cpu_seconds(pid) - self._cpu.get(pid, 0.0) for pid in family)
            found["cpu_seconds"] = round(max(spent, 0.0), 2)
            found["peak_memory_bytes"] = sum(_peak_bytes(pid) for pid in family)
            found["python_peak_memory_bytes"] = _peak_bytes(os.getpid())
        return found


def _family() -> list[int]:
    """This process and its descendants; empty without /proc."""
    found, open_ = [], [os.getpid()] if PROC.is_dir() else []
    while open_:
        pid = open_.pop()
        found.append(pid)
        for children in (PROC / str(pid) / "task").glob("*/children"):
            with suppress(OSError):
                open_ += map(int, children.read_text(encoding="ascii").split())
    return found


def _cpu_seconds(pid: int) -> float:
    with suppress(OSError):
        # After the name, which may hold anything up to its last bracket, come fields 3 and on.
        fields = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
        user, system = fields.split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _peak_bytes(pid: int) -> int:
    with suppress(OSError):
        for line in (PROC / str(pid) / "status").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0

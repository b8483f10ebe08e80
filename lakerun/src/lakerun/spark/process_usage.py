"""The resource usage of this process and its JVM during an update: `ProcessUsage`."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil  # type: ignore[import-untyped,unused-ignore]

PROC = Path("/proc")


class ProcessUsage:
    """Measures from its creation on; one at a time, because each one resets the peaks of memory."""

    def __init__(self) -> None:
        self._wall = time.monotonic()
        self._cpu = {process: _cpu_seconds(process) for process in _family()}
        for process in self._cpu:
            _reset_peak(process)

    def details(self) -> dict[str, float | int]:
        """The details of an `update_resources` event, over this process and everything that it started.

        `wall_seconds`, `cpu_seconds` (user and system, of processes that still run), `peak_memory_bytes`: the
        sum of each process's own peak of resident memory, which is an upper bound of the peak of all;
        `python_peak_memory_bytes` is this process's part.
        """
        wall = time.monotonic() - self._wall
        family = _family()
        cpu = sum(_cpu_seconds(process) - self._cpu.get(process, 0.0) for process in family)
        peaks = [_peak_bytes(process) for process in family]
        return {
            "wall_seconds": round(wall, 3),
            "cpu_seconds": round(max(cpu, 0.0), 2),
            "peak_memory_bytes": sum(peaks),
            "python_peak_memory_bytes": peaks[0],
        }


def _family() -> list[psutil.Process]:
    """This process and its descendants."""
    import psutil

    own = psutil.Process()
    return [own, *own.children(recursive=True)]


def _cpu_seconds(process: psutil.Process) -> float:
    import psutil

    try:
        times = process.cpu_times()
    except psutil.Error:  # it has ended
        return 0.0
    return float(times.user + times.system)


def _reset_peak(process: psutil.Process) -> None:
    """Let Linux measure the peak from now on."""
    with suppress(OSError):
        (PROC / str(process.pid) / "clear_refs").write_text("5", encoding="ascii")


def _peak_bytes(process: psutil.Process) -> int:
    """The peak of resident memory, or the current resident memory if the system does not keep the peak.

    psutil has the peak on Windows only; Linux keeps it as VmHWM.
    """
    import psutil

    with suppress(OSError):
        status = PROC / str(process.pid) / "status"
        for line in status.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        memory = process.memory_info()
    except psutil.Error:
        return 0
    return int(getattr(memory, "peak_wset", memory.rss))

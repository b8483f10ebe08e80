"""Runs a command and measures it from outside: `measure`."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped,unused-ignore]

SAMPLE_SECONDS = 0.2
# Variables that would change the measured processes' settings.
FOREIGN_VARIABLES = ("PIPELINE_ENV", "CATALOG_NAME", "SCHEMA_NAME", "VOLUME_NAME")


class CommandFailedError(Exception):
    """A measured command failed; the message says how and shows the end of its log."""


@dataclass(frozen=True)
class Measured:
    """Wall seconds of the whole process, and the greatest resident memory of it and its children together."""

    started_at: float
    seconds: float
    peak_bytes: int


def measure(command: Sequence[str], *, cwd: Path, environment: Mapping[str, str], log: Path) -> Measured:
    """Run a command to its end, its output in `log`. Raises CommandFailedError for any exit code but 0.

    Memory is the sum of resident set sizes, sampled five times a second: pages that processes share count in
    each of them, and a peak between two samples is missed.
    """
    variables = {k: v for k, v in os.environ.items() if k not in FOREIGN_VARIABLES} | dict(environment)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        started_at, clock = time.time(), time.monotonic()
        process = subprocess.Popen(
            command, cwd=cwd, env=variables, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
        sampler = _Sampler(process.pid)
        sampler.start()
        try:
            code = process.wait()
        except BaseException:
            _end(process.pid)
            process.wait()
            raise
        finally:
            sampler.finished.set()
            sampler.join()
        seconds = time.monotonic() - clock
    if code != 0:
        end = "\n".join(log.read_text("utf-8", errors="replace").splitlines()[-15:])
        raise CommandFailedError(f"{' '.join(command)} ended with exit code {code}. Log: {log}\n{end}")
    return Measured(started_at, seconds, sampler.peak_bytes)


def stop_on_termination() -> None:
    """Let a termination end the measured processes too, as an interrupt from the keyboard does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


class _Sampler(threading.Thread):
    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.finished = threading.Event()
        self.peak_bytes = 0
        self._pid = pid

    def run(self) -> None:
        while True:
            self.peak_bytes = max(self.peak_bytes, _resident(self._pid))
            if self.finished.wait(SAMPLE_SECONDS):
                return


def _tree(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def _resident(pid: int) -> int:
    total = 0
    for process in _tree(pid):
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue  # it has just ended
    return total


def _end(pid: int) -> None:
    for process in reversed(_tree(pid)):
        try:
            process.kill()
        except psutil.Error:
            continue

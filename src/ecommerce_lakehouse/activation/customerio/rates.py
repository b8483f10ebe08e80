"""Never more than a number of requests in any time span, as the server sees it: `RequestRate`.

Each request takes one of as many slots as requests are allowed, and its slot is free again when the span has
passed since the request's *end*. Of any more requests than slots two share a slot, and so arrive at least a
span apart, however long each was on its way. With a file, processes share the slots.
"""

from __future__ import annotations

import asyncio
import fcntl
import mmap
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Protocol

from ecommerce_lakehouse.activation.customerio.errors import ConfigurationError
from ecommerce_lakehouse.activation.customerio.limits import Limits

_POLL = 0.05


class Rate(Protocol):
    """What a client asks before each request."""

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Wait for a turn; the request is made inside of the context."""


class RequestRate:
    """At most `limits.requests` requests in any `limits.seconds`.

    Args:
        limits: How many requests, in how many seconds.
        lease: No request takes longer. A process that was killed keeps its slots for this time.
        path: A file on this machine that all processes use which share the limit; without it, only this
            object counts.
    """

    def __init__(self, limits: Limits, *, lease: float = 60.0, path: Path | None = None) -> None:
        self._seconds, self._lease = limits.seconds, lease
        self._file = -1
        size = 8 * (limits.requests + 1)
        if path is None:
            memory: bytearray | mmap.mmap = bytearray(size)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with self._locked():
                found = os.fstat(self._file).st_size or size
                os.ftruncate(self._file, found)
            if found != size:
                os.close(self._file)
                raise ConfigurationError(
                    f"{path} limits {found // 8 - 1} requests, and {limits.requests} are configured: "
                    "delete it when nothing is being sent"
                )
            memory = mmap.mmap(self._file, size)
        # The first number is the place to look at next; then when each slot is free, by the machine's clock.
        self._slots = memoryview(memory).cast("d")

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and make the request inside of the context."""
        while (slot := self._take()) is None:
            await asyncio.sleep(self._wait())
        try:
            yield
        finally:
            # A number is written at once: no lock is needed to free what is one's own.
            self._slots[slot] = time.monotonic() + self._seconds

    def close(self) -> None:
        """Let go of the file."""
        self._slots.release()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _take(self) -> int | None:
        with self._locked():
            now = time.monotonic()
            # No slot is taken for longer. A later time was written before the machine was restarted.
            stale = now + self._lease + self._seconds
            count = len(self._slots) - 1
            first = int(self._slots[0]) % count
            for step in range(count):
                slot = (first + step) % count + 1
                if not now < self._slots[slot] <= stale:
                    self._slots[slot] = stale
                    self._slots[0] = slot
                    return slot
        return None

    def _wait(self) -> float:
        return max(0.001, min(_POLL, min(self._slots[1:]) - time.monotonic()))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if self._file < 0:
            yield
            return
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

"""Stops calling a server that fails again and again: `Breaker`."""

from __future__ import annotations

import time
from collections.abc import Callable


class Breaker:
    """Open for `seconds` after `failures` attempts in a row failed; then one attempt may close it again.

    What it refuses is not kept anywhere: the caller gets it back as `Refused`, and it stays due.
    """

    def __init__(self, failures: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._failures, self._seconds, self._clock = failures, seconds, clock
        self._failed = 0
        self._open_until = 0.0
        self._trying = False

    def refuses_for(self) -> float:
        """The seconds until another attempt is worth it; 0 lets this one pass."""
        if self._failed < self._failures:
            return 0.0
        left = self._open_until - self._clock()
        if left > 0:
            return left
        if self._trying:
            return self._seconds
        self._trying = True
        return 0.0

    def succeeded(self) -> None:
        """The server answered."""
        self._failed, self._trying = 0, False

    def failed(self) -> None:
        """An attempt failed: no answer, or one of 500 and more."""
        self._failed += 1
        self._trying = False
        if self._failed >= self._failures:
            self._open_until = self._clock() + self._seconds

    def abandoned(self) -> None:
        """An attempt was given up without an answer, so it says nothing."""
        self._trying = False

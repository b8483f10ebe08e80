"""Starts Spark when a task's code first asks for its session: `session_on_demand`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_start: ContextVar[Callable[[], object] | None] = ContextVar("start_session", default=None)


@contextmanager
def session_on_demand(start: Callable[[], object]) -> Iterator[None]:
    """Within, `SparkSession.builder.getOrCreate`, `active` and `getActiveSession` call `start` first, once.

    A task that computes without Spark then does not wait for it.
    """
    _install()
    token = _start.set(start)
    try:
        yield
    finally:
        _start.reset(token)


_installed = False


def _install() -> None:
    """Put hooks on SparkSession, once; outside of `session_on_demand` they change nothing."""
    global _installed
    if _installed:
        return
    _installed = True
    from pyspark.sql import SparkSession

    cls: Any = SparkSession
    cls.getActiveSession = staticmethod(_hooked(cls.getActiveSession))
    cls.Builder.getOrCreate = _hooked(cls.Builder.getOrCreate)


def _hooked(original: Callable[..., Any]) -> Callable[..., Any]:
    def asked(*args: Any, **kwargs: Any) -> Any:
        if start := _start.get():
            _start.set(None)  # the start itself asks for a session
            start()
        return original(*args, **kwargs)

    return asked

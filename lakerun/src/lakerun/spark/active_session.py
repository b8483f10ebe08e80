"""The session that code gets: its thread's (`activate`), or one started on demand (`session_on_demand`).

A task on Spark Connect (`connect_mode`) gets its own Connect session (`on_connect`), in every thread that it
starts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from lakerun.patches import (
    ACTIVE_SESSION,
    CONNECT_ACTIVE_SESSION,
    CONNECT_MODE,
    SESSION_BUILDER,
    Patch,
    Replace,
    patch_permanently,
    patched,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def activate(session: SparkSession) -> None:
    """Make `SparkSession.active()` return this session in the current thread.

    PySpark keeps the active session in a class attribute, and the JVM keeps one for each thread. Tasks that
    run in parallel have their own sessions, so PySpark is patched to return the thread's.
    """
    from pyspark.sql import SparkSession

    patch_permanently({ACTIVE_SESSION: _of_thread})
    _active.session = session
    jvm: Any = session._jvm
    SparkSession._activeSession = session
    jvm.org.apache.spark.sql.classic.SparkSession.setActiveSession(session._jsparkSession)


@contextmanager
def session_on_demand(start: Callable[[], object]) -> Iterator[None]:
    """In this context, `SparkSession.builder.getOrCreate`, `active` and `getActiveSession` call `start` once.

    A task that does not use Spark does not wait for it.
    """
    patch_permanently({ACTIVE_SESSION: _of_thread})
    with session_of_builder():
        token = _start.set(start)
        try:
            yield
        finally:
            _start.reset(token)


@contextmanager
def session_of_builder() -> Iterator[None]:
    """In this context, `SparkSession.builder.getOrCreate` returns the thread's session with more settings."""
    with patched({SESSION_BUILDER: _of_builder}):
        yield


def no_longer_on_demand() -> None:
    """Call it where the session starts in another way: the start itself asks for the active session."""
    _start.set(None)


@contextmanager
def connect_mode() -> Iterator[None]:
    """In this context, PySpark's functions and classes are Spark Connect's, also before a session starts."""
    patch_permanently({ACTIVE_SESSION: _of_thread})
    replacements: dict[Patch, Replace] = {
        CONNECT_MODE: _is_connect,
        CONNECT_ACTIVE_SESSION: _of_thread,
        SESSION_BUILDER: _of_builder,
    }
    with patched(replacements):
        token = _connect.set(_connect.get() or _Connect())
        try:
            yield
        finally:
            _connect.reset(token)


@contextmanager
def on_connect(session: SparkSession) -> Iterator[None]:
    """In this context, code in `connect_mode` gets this session."""
    mode = _connect.get()
    assert mode is not None
    mode.session = session
    try:
        yield
    finally:
        mode.session = None


@contextmanager
def classic_mode() -> Iterator[None]:
    """In this context, PySpark is as it is outside of `connect_mode`."""
    token = _connect.set(None)
    try:
        yield
    finally:
        _connect.reset(token)


def is_connect_mode() -> bool:
    """Whether this thread's code is on Spark Connect."""
    return _connect.get() is not None


@dataclass
class _Connect:
    session: SparkSession | None = None


_connect: ContextVar[_Connect | None] = ContextVar("connect", default=None)
_active = threading.local()
_start: ContextVar[Callable[[], object] | None] = ContextVar("start_session", default=None)


def _of_thread(original: Callable[[], SparkSession | None]) -> Any:
    def active_session() -> SparkSession | None:
        _start_once()
        if mode := _connect.get():
            return mode.session
        return _live() or original()

    return staticmethod(active_session)


def _of_builder(original: Callable[..., SparkSession]) -> Callable[..., SparkSession]:
    def get_or_create(builder: Any) -> SparkSession:
        _start_once()
        if is_connect_mode():
            from pyspark.sql.connect.session import SparkSession as ConnectSession

            return cast("SparkSession", ConnectSession.builder.config(map=builder._options).getOrCreate())
        session: Any = _live()
        if session is None:
            return original(builder)
        # As Spark does for a session that runs: settings that it only reads at its start are left out.
        module = session._get_j_spark_session_module(session._jvm)
        module.applyModifiableSettings(session._jsparkSession, builder._options)
        return cast("SparkSession", session)

    return get_or_create


def _live() -> SparkSession | None:
    """This thread's session, unless it was stopped."""
    session: SparkSession | None = getattr(_active, "session", None)
    return session if session is not None and session._sc._jsc is not None else None


def _is_connect(original: Callable[[], bool]) -> Callable[[], bool]:
    return lambda: is_connect_mode() or original()


def _start_once() -> None:
    if start := _start.get():
        _start.set(None)  # the start itself asks for a session
        start()

"""A Spark session in which a single query can have its own settings: `QuerySession`."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql.catalog import Catalog
from pyspark.sql.conf import RuntimeConfig
from pyspark.sql.streaming.query import StreamingQuery, StreamingQueryManager

from lakerun.spark.active_session import activate


class QuerySession(SparkSession):
    """One object for the code of many queries, which run in parallel threads.

    Spark takes a query's settings from the session that created it. In `with_settings` this object is, for
    its thread, a copy of the JVM's session with other settings.
    """

    def __init__(self, sparkContext: Any, jsparkSession: Any, options: Any = None) -> None:  # noqa: N803
        self._thread = threading.local()
        self._copies: dict[tuple[tuple[str, str], ...], Any] = {}
        self._copying = threading.Lock()
        super().__init__(sparkContext, jsparkSession, options or {})

    @contextmanager
    def with_settings(self, settings: Mapping[str, str]) -> Iterator[None]:
        """In this context and thread, the session has these settings; Spark's error for a fixed one."""
        if not settings:
            yield
            return
        before = getattr(self._thread, "copy", None)
        self._thread.copy = self._copy(tuple(sorted(settings.items())))
        activate(self)
        try:
            yield
        finally:
            self._thread.copy = before
            activate(self)

    def active_streams(self) -> list[StreamingQuery]:
        """The streams that run in the session, with any settings."""
        sessions = [self._shared, *self._copies.values()]
        return [query for one in sessions for query in StreamingQueryManager(one.streams()).active]

    def snapshot(self) -> Any:
        """Every setting as it is now, for `changed_since`."""
        return self._jsparkSession.conf().getAllAsJava()

    def changed_since(self, snapshot: Any) -> dict[str, str]:
        """The settings that were set since then. The JVM compares: reading them all takes 0.3 s."""
        jvm: Any = self._jvm
        changed = jvm.java.util.HashMap(self.snapshot())
        changed.entrySet().removeAll(snapshot.entrySet())
        return dict(changed)

    def _copy(self, settings: tuple[tuple[str, str], ...]) -> Any:
        with self._copying:
            if settings not in self._copies:
                copy = self._shared.cloneSession()
                for key, value in settings:
                    copy.conf().set(key, value)
                self._copies[settings] = copy
            return self._copies[settings]

    @property
    def _jsparkSession(self) -> Any:  # noqa: N802
        return getattr(self._thread, "copy", None) or self._shared

    @_jsparkSession.setter
    def _jsparkSession(self, session: Any) -> None:  # noqa: N802
        self._shared = session

    # SparkSession caches these after their first use; they differ by thread.

    @property
    def conf(self) -> RuntimeConfig:
        return RuntimeConfig(self._jsparkSession.conf())

    @property
    def catalog(self) -> Catalog:
        return Catalog(self)

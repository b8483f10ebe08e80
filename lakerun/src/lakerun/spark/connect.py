"""Spark Connect for a task's code, as serverless compute has it: `connect_session`.

The server runs in the JVM of the process's Spark, which pipelines go on using as before.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from lakerun.errors import LakerunError, first_line
from lakerun.spark.active_session import is_connect_mode, on_connect

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

VARIABLE = "LAKEHOUSE_SPARK_CONNECT"
"""Environment variable that asks for Spark Connect where a command's option does not."""

SERVICE = "org.apache.spark.sql.connect.service.SparkConnectService"


def is_asked_for() -> bool:
    """Whether the environment variable asks for Spark Connect."""
    return os.environ.get(VARIABLE, "").lower() in ("1", "true", "yes", "on")


@contextmanager
def connect_session(base: SparkSession, settings: Mapping[str, str]) -> Iterator[SparkSession]:
    """A Connect session of its own on the Spark of `base`, which is the one that code in `connect_mode` gets.

    It ends with what it still runs. Settings that a running Spark cannot change are left out. Raises
    LakerunError in one line if Connect cannot start.
    """
    from pyspark.sql.connect.session import SparkSession as ConnectSession

    try:
        session: Any = ConnectSession(connection=_address(base))
        assert session.version == base.version
    except Exception as error:
        raise LakerunError(f"Spark Connect did not start: {first_line(error)}") from error
    for key, value in settings.items():
        with suppress(Exception):
            session.conf.set(key, value)
    with on_connect(session):
        try:
            yield session
        finally:
            with suppress(Exception):  # Spark may have ended before
                session.interruptAll()
                session.stop()


@contextmanager
def tagged_jobs(session: SparkSession, tag: str) -> Iterator[Callable[[], object]]:
    """Within, this thread's Spark jobs have a tag; gives what cancels them."""
    owner: Any = session
    if is_connect_mode():
        add, remove, cancel = owner.addTag, owner.removeTag, owner.interruptTag
    else:
        context = owner.sparkContext
        add, remove, cancel = context.addJobTag, context.removeJobTag, context.cancelJobsWithTag
    add(tag)
    try:
        yield lambda: cancel(tag)
    finally:
        with suppress(Exception):  # Spark may have ended before
            remove(tag)


def _address(base: SparkSession) -> str:
    """Where the server of this Spark listens, on this machine only; it starts at the first call."""
    with _starting:
        context = base.sparkContext
        if _server.get("context") is not context:
            jvm: Any = base._jvm
            token = secrets.token_hex(16)
            settings = jvm.org.apache.spark.SparkEnv.get().conf()
            settings.set("spark.connect.grpc.binding.address", "127.0.0.1")
            settings.set("spark.connect.grpc.binding.port", "0")
            settings.set("spark.connect.authenticate.token", token)
            service = getattr(jvm, f"{SERVICE}$").__getattr__("MODULE$")
            service.start(context._jsc.sc())
            # By another name for this machine the client would ask for TLS.
            _server.update(context=context, address=f"sc://localhost:{service.localPort()}/;token={token}")
        address: str = _server["address"]
        return address


_starting = threading.Lock()
_server: dict[str, Any] = {}

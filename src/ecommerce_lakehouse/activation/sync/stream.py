"""A sync as a stream: what changes is sent soon after, with the guarantees of a run: `stream_sync`."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.utils import is_remote

from ecommerce_lakehouse.activation.connection import LOCK
from ecommerce_lakehouse.activation.errors import StillDueError
from ecommerce_lakehouse.activation.sync.declarations import AnySync, SyncError
from ecommerce_lakehouse.activation.sync.messages import key_text
from ecommerce_lakehouse.activation.sync.run import run_sync
from ecommerce_lakehouse.activation.sync.sources import MOST_CHANGED
from ecommerce_lakehouse.activation.sync.tables import SyncTables
from ecommerce_lakehouse.observability.lakehouse import BusyError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql.streaming.query import StreamingQuery

WAIT_SECONDS = 10.0
SendBatch = Callable[[DataFrame, int], None]


def stream_sync(
    spark: SparkSession,
    tables: SyncTables,
    sync: AnySync,
    connect: Callable[[Callable[[Any], None]], Any],
    checkpoint: str,
    *,
    every: str | None = None,
) -> StreamingQuery:
    """Follow the change data feed of a sync's table; each batch is a run in the run log.

    A batch says which keys changed, and their rows are compared with what was accepted, as in a run: so a
    batch that is repeated sends nothing twice. A batch that leaves something due fails the stream, which
    repeats it when it is started again. Consent counts as it is when a row changes; a run also sees later
    consents.

    Args:
        spark: The session. With Spark Connect, as on serverless compute, a batch is sent by a process of the
            server's, which gets copies of the other arguments.
        tables: The state of deliveries. A batch waits until no run uses it.
        sync: The declaration. Its table needs a change data feed.
        connect: Opens the client, as in `run_sync`.
        checkpoint: A folder for the stream's progress.
        every: Time between batches, such as `10 seconds`; by default it ends when it has seen everything.

    Raises:
        SyncError: The table has no change data feed.
    """
    version = tables.version(sync.table)
    if version is None or not version.change_feed:
        raise SyncError(
            f"sync '{sync.name}': {sync.table} has no change data feed to follow; run it instead",
            location=sync.location,
        )
    lakehouse, erased = tables.lakehouse, tables.erased

    def send(batch: DataFrame, number: int) -> None:
        _send(batch, SyncTables(batch.sparkSession, lakehouse, erased), sync, connect)

    changes = spark.readStream.option("readChangeFeed", "true").table(tables.reference(sync.table))
    writer = (
        changes.select(key_text(sync).alias("key"))
        .writeStream.option("checkpointLocation", checkpoint)
        .foreachBatch(send if is_remote() else _in_this_context(send))
    )
    return (writer.trigger(processingTime=every) if every else writer.trigger(availableNow=True)).start()


def _in_this_context(send: SendBatch) -> SendBatch:
    """A batch comes in another thread, where names of tables would not be known."""
    context = copy_context()
    return lambda batch, number: context.copy().run(send, batch, number)


def _send(batch: DataFrame, tables: SyncTables, sync: AnySync, connect: Callable[..., Any]) -> None:
    keys = batch.distinct().toArrow()
    if not keys.num_rows:
        return
    session = batch.sparkSession
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(tables.lakehouse.exclusive(LOCK))
                break
            except BusyError:  # a run or an erasure
                time.sleep(WAIT_SECONDS)
        _send_keys(session, tables, sync, connect, keys)


def _send_keys(
    session: SparkSession, tables: SyncTables, sync: AnySync, connect: Callable[..., Any], keys: pa.Table
) -> None:
    # With many keys, such as those of the first batch, and for rows without one, every row is compared.
    few = keys.num_rows <= MOST_CHANGED and not keys["key"].null_count
    frame = session.createDataFrame(keys, "key string") if few else None
    result = run_sync(session, tables, sync, connect, keys=frame)
    if result.due:
        raise StillDueError(f"sync '{sync.name}': {result.due:,} messages are still due: {result.error}")

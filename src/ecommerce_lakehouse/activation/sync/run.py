"""Sends what is due and records what became of it: `run_sync`."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.activation.sync.declarations import AnySync, SyncError
from ecommerce_lakehouse.activation.sync.diff import DUE
from ecommerce_lakehouse.activation.sync.plan import (
    DeleteGuardError,
    Planned,
    SyncPlan,
    check_deletes,
    check_unchanged,
    make_plan,
    reason_of,
)
from ecommerce_lakehouse.activation.sync.tables import RECEIPTS, REJECTED, REQUESTS, SyncTables
from ecommerce_lakehouse.errors import first_line

NAMESPACE = uuid.UUID("6f1c3f0a-8d0e-5b5e-9d35-3f0b6a3c9a61")
FLUSH_ROWS, FLUSH_SECONDS = 50_000, 5.0
PARTITION_ROWS = 50_000


class Client(Protocol):
    """The client's part that a run needs."""

    def send(self, messages: Any) -> Iterator[Any]: ...


@dataclass
class Result:
    """What became of one sync; `kind` is its call.

    `rejected` messages were not taken by the API, and `refused` rows could not be sent; `due` messages are
    still to be sent, and `error` says why.
    """

    sync: str
    run_id: str
    plan: SyncPlan
    kind: str
    inserts: int = 0
    updates: int = 0
    deletes: int = 0
    rejected: int = 0
    refused: int = 0
    sent_bytes: int = 0
    seconds: float = 0.0
    error: str | None = None
    reasons: dict[str, int] = field(default_factory=dict)

    @property
    def accepted(self) -> int:
        """How many messages were accepted."""
        return self.inserts + self.updates + self.deletes

    @property
    def due(self) -> int:
        """How many messages are still to be sent."""
        return self.plan.due - self.accepted - self.rejected


def run_sync(
    spark: SparkSession,
    tables: SyncTables,
    sync: AnySync,
    connect: Callable[[Callable[[Any], None]], Any],
    *,
    saved: SyncPlan | None = None,
    replay: bool = False,
    keys: DataFrame | None = None,
    allow_deletes: bool = False,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Result:
    """Plan a sync and send what is due.

    A row's fingerprint is stored only when its message was accepted. What is neither accepted nor rejected is
    still due, and the next run sends it under the same messageId.

    Args:
        spark: The session.
        tables: The state of deliveries. Only one run at a time may use it.
        sync: The declaration.
        connect: Opens the client, a context manager; it is given who hears of each attempt.
        saved: A saved plan, which has to be of the same tables.
        replay: What was rejected before is due again.
        keys: Only these keys are compared.
        allow_deletes: Delete however many rows are gone.
        progress: Hears how many of how many messages have an outcome.
    """
    tables.recover(sync.name)
    run_id = uuid.uuid4().hex
    try:
        planned = make_plan(spark, tables, sync, replay=replay, keys=keys)
    except SyncError as error:
        tables.record(sync.name, run_id, "FAILED", error=first_line(error), kind=sync.call)
        raise
    if saved is not None:
        check_unchanged(saved, planned.plan)
    result = Result(sync.name, run_id, planned.plan, sync.call)
    if not allow_deletes:
        try:
            check_deletes(sync, planned.plan, tables)
        except DeleteGuardError as error:
            result.error = first_line(error)
            _complete(tables, result, "FAILED")
            raise
    if not planned.plan.due and not planned.plan.refused:
        _complete(tables, result, "PARTIAL" if keys is not None else "COMPLETED")
        return result
    tables.record(sync.name, result.run_id, "STARTED", declaration=planned.plan.declaration, kind=result.kind)
    sending = _Sending(tables, sync, result, progress)
    started = time.monotonic()
    event = "FAILED"
    try:
        sending.refuse(planned)
        if planned.plan.due:
            with connect(sending.attempted) as client:
                sending.send(client, _due_rows(planned, sync))
        event = "INCOMPLETE" if result.due else "PARTIAL" if keys is not None else "COMPLETED"
    except BaseException as error:
        result.error = _in_words(error)
        raise
    finally:
        result.seconds = round(time.monotonic() - started, 3)
        sending.flush()
        tables.fold(sync.name, result.run_id)
        _complete(tables, result, event)
    return result


def message_id(sync: str, key: str, operation: str, fingerprint: str, deliveries: int) -> str:
    """The same for the same change of a row, until it is accepted: a UUID of version 5."""
    return str(uuid.uuid5(NAMESPACE, "\x1f".join((sync, key, operation, fingerprint, str(deliveries)))))


def _complete(tables: SyncTables, result: Result, event: str) -> None:
    """The run's last line. Only that of a complete run says from where the next one has to look."""
    tables.record(
        result.sync,
        result.run_id,
        event,
        inserts=result.inserts,
        updates=result.updates,
        deletes=result.deletes,
        accepted=result.accepted,
        rejected=result.rejected + result.refused,
        due=result.due,
        sent_bytes=result.sent_bytes,
        seconds=result.seconds,
        declaration=result.plan.declaration,
        versions=json.dumps(result.plan.versions) if event == "COMPLETED" else None,
        error=result.error,
        kind=result.kind,
    )


def _due_rows(planned: Planned, sync: AnySync) -> Iterator[Row]:
    assert planned.rows is not None
    due = planned.rows.where(F.col("operation").isin(*DUE))
    parts = -(-planned.plan.due // PARTITION_ROWS)
    if sync.call == "track":
        due = (
            due.withColumn("_at", F.get_json_object("message", "$.timestamp"))
            .orderBy("_at", "key")
            .drop("_at")
        )
    elif parts > 1:
        # By the key: a repeated task divides the rows in the same way.
        due = due.repartition(parts, "key")
    return due.toLocalIterator()


class _Sending:
    """One run's messages under way, and its outcomes that are not written yet."""

    def __init__(
        self, tables: SyncTables, sync: AnySync, result: Result, progress: Callable[[int, int], None]
    ) -> None:
        self._tables, self._sync, self._result, self._progress = tables, sync, result, progress
        self._receipts: list[dict[str, Any]] = []
        self._rejected: list[dict[str, Any]] = []
        self._requests: list[dict[str, Any]] = []
        self._under_way: dict[int, tuple[Row, str]] = {}
        self._flushed_at = time.monotonic()
        self._done = 0
        self._stopped = False

    def refuse(self, planned: Planned) -> None:
        """Record the rows that cannot be sent, once for each content."""
        for key, count in planned.repeated:
            fingerprint = f"{count} rows"
            if not self._known(key, fingerprint):
                person = key if self._sync.keys == (self._sync.person,) else None
                row = {"key": key, "person": person, "operation": "refused", "fingerprint": fingerprint}
                self._refuse({**row, "deliveries": 0}, reason_of(key, count))
        if planned.plan.refused and planned.rows is not None:
            for found in planned.rows.where("operation = 'refused'").toLocalIterator():
                self._refuse(found.asDict(), found["problem"])
                self._flush_if_due()

    def send(self, client: Client, rows: Iterator[Row]) -> None:
        """Send the rows, and record what became of each."""
        from ecommerce_lakehouse.activation.customerio.outcomes import Accepted, Refused, Rejected

        for delivery in client.send(self._messages(rows)):
            found = [self._under_way.pop(position) for position in delivery.positions]
            self._result.sent_bytes += delivery.sent_bytes
            match delivery.outcome:
                case Accepted(verified=verified):
                    for row, identifier in found:
                        self._accept(row, identifier, verified)
                case Rejected(reason=reason, status=status):
                    self._result.rejected += len(found)
                    for row, _ in found:
                        self._record_rejected(row.asDict(), reason, status)
                case Refused(retry_in=seconds):
                    # What is under way still has an outcome, and a receipt if it is accepted.
                    self._result.error = f"too many calls failed; try again in {seconds:.0f} s"
                    self._stopped = True
                    continue
                case outcome:
                    self._result.error = outcome.reason
            self._done += len(found)
            self._progress(self._done, self._result.plan.due)
            self._flush_if_due()

    def attempted(self, attempt: Any) -> None:
        """A request was made; called from the client's thread."""
        self._requests.append(
            {
                "run_id": self._result.run_id,
                "sync": self._sync.name,
                "at": attempt.at,
                "endpoint": attempt.endpoint,
                "messages": attempt.messages,
                "sent_bytes": attempt.sent_bytes,
                "attempt": attempt.number,
                "status": attempt.status,
                "error": attempt.error,
                "seconds": attempt.seconds,
            }
        )

    def flush(self) -> None:
        """Write what is not written yet."""
        requests, self._requests = self._requests, []
        for table, rows in ((RECEIPTS, self._receipts), (REJECTED, self._rejected), (REQUESTS, requests)):
            self._tables.append(table, rows)
        self._receipts, self._rejected = [], []
        self._flushed_at = time.monotonic()

    def _flush_if_due(self) -> None:
        waiting = len(self._receipts) + len(self._rejected)
        if waiting >= FLUSH_ROWS or (waiting and time.monotonic() - self._flushed_at > FLUSH_SECONDS):
            self.flush()

    def _messages(self, rows: Iterator[Row]) -> Iterator[Any]:
        from ecommerce_lakehouse.activation.customerio.encoding import Ready

        for position, row in enumerate(rows):
            if self._stopped:
                return
            identifier = message_id(
                self._sync.name, row["key"], row["operation"], row["fingerprint"], row["deliveries"]
            )
            self._under_way[position] = row, identifier
            alone = self._sync.call == "device"
            yield Ready(identifier, row["type"], row["message"].encode(), alone)

    def _accept(self, row: Row, identifier: str, verified: bool) -> None:
        counted = f"{row['operation']}s"
        setattr(self._result, counted, getattr(self._result, counted) + 1)
        self._receipts.append(
            self._line(row.asDict())
            | {
                "deliveries": row["deliveries"] + 1,
                "message_id": identifier,
                "verified": verified,
                "accepted_at": datetime.now(UTC),
            }
        )

    def _refuse(self, row: dict[str, Any], reason: str) -> None:
        self._result.refused += 1
        self._record_rejected(row, reason, None)

    def _record_rejected(self, row: dict[str, Any], reason: str, status: int | None) -> None:
        self._result.reasons[reason] = self._result.reasons.get(reason, 0) + 1
        line = {"reason": reason, "status": status, "rejected_at": datetime.now(UTC)}
        self._rejected.append(self._line(row) | {"deliveries": row["deliveries"]} | line)

    def _line(self, row: dict[str, Any]) -> dict[str, Any]:
        return {
            "run_id": self._result.run_id,
            "sync": self._sync.name,
            **{name: row[name] for name in ("key", "person", "operation", "fingerprint")},
        }

    def _known(self, key: str | None, fingerprint: str) -> bool:
        """Whether the same rows were refused before."""
        if not self._tables.exists(REJECTED):
            return False
        rejected = self._tables.spark.table(self._tables.reference(REJECTED))
        same = (F.col("sync") == self._sync.name) & F.col("key").eqNullSafe(F.lit(key))
        return not rejected.where(same & (F.col("fingerprint") == fingerprint)).isEmpty()


def _in_words(error: BaseException) -> str:
    return first_line(error) if isinstance(error, Exception) else type(error).__name__

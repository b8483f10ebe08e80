"""What is known of deliveries, in Delta tables of the lakehouse: `SyncTables`.

A receipt is appended after a delivery was accepted, and a run's receipts go into the state in one MERGE at
its end. A run that was killed leaves receipts that are not in the state yet; the next run puts them there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Json
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.activation.sync.diff import DELETED
from ecommerce_lakehouse.config.erased import Erased
from ecommerce_lakehouse.observability.arrow_rows import arrow_rows
from ecommerce_lakehouse.observability.lakehouse import Lakehouse, TableVersion

STATE, RECEIPTS, REJECTED = "activation_state", "activation_receipts", "activation_rejected"
RUNS, REQUESTS = "activation_runs", "activation_requests"
SUPPRESSED = "activation_suppressed"
# `person` is the customer whose message it is, NULL for an object; `kind` is the sync's call.
SCHEMAS = {
    STATE: (
        "sync string, key string, person string, fingerprint string, deliveries int, deleted boolean, "
        "rejected string, run_id string, changed_at timestamp"
    ),
    RECEIPTS: (
        "run_id string, sync string, key string, person string, operation string, fingerprint string, "
        "deliveries int, message_id string, verified boolean, accepted_at timestamp"
    ),
    REJECTED: (
        "run_id string, sync string, key string, person string, operation string, fingerprint string, "
        "deliveries int, reason string, status int, rejected_at timestamp"
    ),
    RUNS: (
        "run_id string, sync string, event string, at timestamp, inserts bigint, updates bigint, "
        "deletes bigint, accepted bigint, rejected bigint, due bigint, sent_bytes bigint, seconds double, "
        "declaration string, versions string, error string, kind string"
    ),
    REQUESTS: (
        "run_id string, sync string, at timestamp, endpoint string, messages int, sent_bytes int, "
        "attempt int, status int, error string, seconds double"
    ),
}


class LastRun(BaseModel):
    """What the run log says of a run: it decides where the next one has to look."""

    declaration: str
    versions: Json[dict[str, str]]
    accepted: int
    seconds: float


class SyncTables:
    """The tables of one lakehouse; each is created when something is first written to it, or by `create`."""

    def __init__(self, spark: SparkSession, lakehouse: Lakehouse, erased: Erased | None = None) -> None:
        self.spark, self.lakehouse, self.erased = spark, lakehouse, erased
        self._there: set[str] = set()

    def create(self) -> list[str]:
        """Create the tables that there are not yet, and add columns that one lacks; returns their names.

        Dashboards and alerts read all of them, before anything was rejected or even sent.
        """
        there = {table.name for table in self.lakehouse.tables()}
        made = []
        for table, columns in SCHEMAS.items():
            if table in there:
                known = self.spark.table(self.reference(table)).columns
                if all(column.split(" ")[0] in known for column in columns.split(", ")):
                    continue
            if table == STATE:
                self._create_state()
            else:
                self.lakehouse.append(arrow_rows([], columns), table)
            made.append(table)
        return made

    def version(self, table: str) -> TableVersion | None:
        """The version of a table of the lakehouse; None if there is none."""
        return self.lakehouse.version(table)

    def exists(self, table: str) -> bool:
        """Whether there is such a table yet."""
        if table not in self._there and self.version(table) is not None:
            self._there.add(table)
        return table in self._there

    def reference(self, table: str) -> str:
        """A table's name in SQL."""
        return self.lakehouse.reference(table)

    def state(self, sync: str) -> DataFrame | None:
        """The rows of a sync's state; None if there is no state yet."""
        if not self.exists(STATE):
            return None
        return self.spark.table(self.reference(STATE)).where(F.col("sync") == sync)

    def live(self, sync: str) -> int:
        """How many rows of a sync Customer.io has."""
        if not self.exists(STATE):
            return 0
        (found,) = self.lakehouse.rows(
            f"SELECT count(*) AS live FROM {self.reference(STATE)} "
            f"WHERE sync = '{sync}' AND fingerprint IS NOT NULL AND NOT deleted"
        )
        return int(found["live"])

    def append(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows to a table, in one commit."""
        if rows:
            self.lakehouse.append(arrow_rows(rows, SCHEMAS[table]), table)

    def fold(self, sync: str, run_id: str) -> None:
        """Put a run's receipts and rejections into the state. Doing it twice changes nothing."""
        outcomes = self._outcomes(sync, run_id)
        if not outcomes:
            return
        self._create_state()
        state = self.reference(STATE)
        # A rejection does not touch what was accepted before it.
        self.spark.sql(f"""
            MERGE INTO {state} AS s USING ({outcomes}) AS r ON s.sync = '{sync}' AND s.key = r.key
            WHEN MATCHED AND r.fingerprint IS NOT NULL AND r.deliveries > s.deliveries THEN UPDATE SET
              s.person = r.person, s.fingerprint = r.fingerprint, s.deliveries = r.deliveries,
              s.deleted = (r.fingerprint = '{DELETED}'), s.rejected = NULL,
              s.run_id = '{run_id}', s.changed_at = r.at
            WHEN MATCHED AND r.fingerprint IS NULL AND r.deliveries >= s.deliveries THEN UPDATE SET
              s.rejected = r.rejected, s.run_id = '{run_id}', s.changed_at = r.at
            WHEN NOT MATCHED THEN INSERT
              (sync, key, person, fingerprint, deliveries, deleted, rejected, run_id, changed_at)
            VALUES ('{sync}', r.key, r.person, r.fingerprint, r.deliveries,
              coalesce(r.fingerprint = '{DELETED}', false), r.rejected, '{run_id}', r.at)
        """)

    def _create_state(self) -> None:
        self.spark.sql(
            f"CREATE TABLE IF NOT EXISTS {self.reference(STATE)} ({SCHEMAS[STATE]}) "
            "USING DELTA PARTITIONED BY (sync)"
        )

    def _outcomes(self, sync: str, run_id: str) -> str:
        """The query of a run's outcomes by key; empty if nothing was ever written."""
        of_run = f"sync = '{sync}' AND run_id = '{run_id}'"
        none = "CAST(NULL AS STRING)"
        accepted = (
            f"SELECT key, person, fingerprint, deliveries, {none} AS rejected, accepted_at AS at "
            f"FROM {self.reference(RECEIPTS)} WHERE {of_run}"
        )
        rejected = (
            f"SELECT key, person, {none} AS fingerprint, deliveries, fingerprint AS rejected, "
            f"rejected_at AS at FROM {self.reference(REJECTED)} WHERE {of_run} AND key IS NOT NULL"
        )
        there = [query for table, query in ((RECEIPTS, accepted), (REJECTED, rejected)) if self.exists(table)]
        if not there:
            return ""
        # A flush that was tried twice may have left a receipt twice.
        return (
            "SELECT key, any_value(person) AS person, fingerprint, deliveries, rejected, max(at) AS at "
            f"FROM ({' UNION ALL '.join(there)}) GROUP BY key, fingerprint, deliveries, rejected"
        )

    def record(self, sync: str, run_id: str, event: str, **values: Any) -> None:
        """Append a line to the run log."""
        self.append(
            RUNS, [{"run_id": run_id, "sync": sync, "event": event, "at": datetime.now(UTC)} | values]
        )

    def recover(self, sync: str) -> int:
        """Fold the receipts of runs that did not end; returns how many there were."""
        if not self.exists(RUNS):
            return 0
        found = self.lakehouse.rows(
            f"SELECT run_id, min(at) AS started FROM {self.reference(RUNS)} WHERE sync = '{sync}' "
            "GROUP BY run_id HAVING NOT bool_or(event <> 'STARTED') ORDER BY started"
        )
        unfinished = [row["run_id"] for row in found]
        for run_id in unfinished:
            self.fold(sync, run_id)
            self.record(sync, run_id, "INTERRUPTED", error="the run was ended before it could finish")
        return len(unfinished)

    def last_run(self, sync: str) -> LastRun | None:
        """The newest run of a sync that left nothing due."""
        if not self.exists(RUNS):
            return None
        rows = self.lakehouse.rows(
            f"SELECT declaration, versions, accepted, seconds FROM {self.reference(RUNS)} "
            f"WHERE sync = '{sync}' AND event = 'COMPLETED' ORDER BY at DESC LIMIT 1"
        )
        return LastRun.model_validate(rows[0]) if rows else None

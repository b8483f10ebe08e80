"""Event logs of many updates, from the engine's own event log without Spark, and their figures in SQL."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from lakerun.pipelines.event_log import EventLog
from lakerun.pipelines.state import State
from lakerun.sql.query import query
from lakerun.tables.arrow_rows import rows_of
from lakerun.tables.storage import Storage, TableName

DATASETS = ("bronze_orders", "silver_orders", "gold_daily_sales")
RULES = ("valid_price", "valid_quantity")


@dataclass
class Recorder:
    """Records updates of one pipeline with random figures, the same for the same seed."""

    storage: Storage
    pipeline: str = "medallion_dlt_pipeline"
    schema: str = "data_eng"
    seed: int = 1
    numbers: random.Random = field(init=False)
    updates: int = 0

    def __post_init__(self) -> None:
        self.numbers = random.Random(self.seed)

    @property
    def table(self) -> Path:
        return self.storage.table_path(TableName("local", self.schema, f"event_log_{self.pipeline}"))

    def record(self, state: str | None = "COMPLETED", message: str = "") -> str:
        """Record one update and return its id; with None as state its process was killed in the middle."""
        self.updates += 1
        update_id = f"{self.pipeline}-{self.seed}-{self.updates:04d}"
        state_file = State(self.storage.pipeline_path(f"{self.schema}-{self.pipeline}") / "state.db")
        try:
            log = EventLog(state_file, self.table, self._origin(update_id))
            self._events(log, state, message)
            log.publish()
        finally:
            state_file.close()
        return update_id

    def close_killed(self, update_id: str) -> None:
        """What the next update records of one that was killed."""
        state_file = State(self.storage.pipeline_path(f"{self.schema}-{self.pipeline}") / "state.db")
        try:
            log = EventLog(state_file, self.table, self._origin(update_id))
            log.emit(
                "update_progress", f"Update {update_id} is FAILED: its process was killed.",
                {"update_progress": {"state": "FAILED", "cause": "PROCESS_KILLED"}}, level="ERROR",
            )  # fmt: skip
            log.publish()
        finally:
            state_file.close()

    def _origin(self, update_id: str) -> dict[str, str]:
        return {
            "pipeline_id": self.pipeline,
            "pipeline_name": self.pipeline,
            "update_id": update_id,
        }

    def _events(self, log: EventLog, state: str | None, message: str) -> None:
        created = {"cause": "USER_ACTION", "full_refresh": self.updates == 1, "validate_only": False}
        log.emit("create_update", "started", {"create_update": created})
        log.emit("update_progress", "running", {"update_progress": {"state": "RUNNING"}})
        for dataset in DATASETS:
            name = f"local.{self.schema}.{dataset}"
            flow = {"dataset_name": name, "flow_name": dataset}
            kind = "MATERIALIZED_VIEW" if dataset.startswith("gold") else "STREAMING_TABLE"
            log.emit(
                "dataset_definition", "defined", {"dataset_definition": {"dataset_type": kind}}, origin=flow
            )
            log.emit("flow_progress", "starting", {"flow_progress": {"status": "STARTING"}}, origin=flow)
            for _ in range(self.numbers.randint(0, 3)):
                log.emit("flow_progress", "batch", {"flow_progress": self._batch(name)}, origin=flow)
            if state is None:
                return
            status = "FAILED" if state == "FAILED" and dataset == DATASETS[-1] else "COMPLETED"
            log.emit(
                "flow_progress", message or f"{dataset} is {status}", {"flow_progress": {"status": status}},
                origin=flow, level="ERROR" if status == "FAILED" else "INFO",
            )  # fmt: skip
        log.emit("update_progress", f"is {state}", {"update_progress": {"state": state}})
        used = {"wall_seconds": self.numbers.randint(1, 900) / 10, "cpu_seconds": self.numbers.randint(1, 99)}
        used["peak_memory_bytes"] = self.numbers.randint(10**8, 10**9)
        log.emit("update_resources", "used", {"update_resources": used}, level="METRICS")

    def _batch(self, dataset: str) -> dict[str, Any]:
        judged = [(self.numbers.randint(0, 1000), self.numbers.randint(0, 50)) for _ in RULES]
        return {
            "status": "RUNNING",
            "metrics": {
                "num_output_rows": self.numbers.randint(0, 1000),
                "num_output_bytes": self.numbers.randint(0, 10**6),
            },
            "data_quality": {
                "dropped_records": sum(failed for _, failed in judged),
                "expectations": [
                    {"name": rule, "dataset": dataset, "passed_records": passed, "failed_records": failed}
                    for rule, (passed, failed) in zip(RULES, judged, strict=True)
                ],
            },
        }


UPDATES = """
WITH states AS (
  SELECT origin.update_id AS update_id, timestamp, level,
    get_json_object(details, '$.update_progress.state') AS state,
    get_json_object(details, '$.create_update.cause') AS cause
  FROM {log}
)
SELECT update_id, max_by(state, timestamp) FILTER (WHERE state IS NOT NULL), min(timestamp),
  max(CASE WHEN state IN ('COMPLETED', 'FAILED', 'CANCELED') THEN timestamp END), max(cause),
  count(*), count_if(level = 'ERROR')
FROM states GROUP BY update_id ORDER BY update_id
"""
DATASET_SUMS = """
SELECT origin.update_id, origin.dataset_name,
  count_if(details LIKE '%num_output_rows%'),
  sum(coalesce(CAST(get_json_object(details, '$.flow_progress.metrics.num_output_rows') AS BIGINT), 0)),
  sum(coalesce(CAST(get_json_object(details, '$.flow_progress.data_quality.dropped_records') AS BIGINT), 0)),
  sum(coalesce(CAST(get_json_object(details, '$.flow_progress.metrics.num_output_bytes') AS BIGINT), 0)),
  max_by(get_json_object(details, '$.flow_progress.status'), timestamp)
FROM {log} WHERE event_type = 'flow_progress' GROUP BY 1, 2 ORDER BY 1, 2
"""
EXPECTATION_SUMS = """
WITH counted AS (
  SELECT origin.update_id AS update_id, explode(from_json(
    get_json_object(details, '$.flow_progress.data_quality.expectations'),
    'array<struct<name string, dataset string, passed_records bigint, failed_records bigint>>')) AS item
  FROM {log} WHERE event_type = 'flow_progress'
)
SELECT update_id, item.dataset, item.name, sum(item.passed_records), sum(item.failed_records)
FROM counted GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
RESOURCES = """
SELECT origin.update_id, CAST(get_json_object(details, '$.update_resources.wall_seconds') AS DOUBLE),
  CAST(get_json_object(details, '$.update_resources.cpu_seconds') AS DOUBLE),
  CAST(get_json_object(details, '$.update_resources.peak_memory_bytes') AS BIGINT)
FROM {log} WHERE event_type = 'update_resources' ORDER BY 1
"""
EXPORTED = {
    UPDATES: "SELECT update_id, state, started_at, ended_at, cause, events, errors FROM pipeline_updates",
    DATASET_SUMS: "SELECT update_id, dataset_name, batches, rows_written, rows_dropped, bytes_written, "
    "status FROM dataset_metrics",
    EXPECTATION_SUMS: "SELECT update_id, dataset_name, expectation_name, passed_records, failed_records "
    "FROM expectation_metrics",
    RESOURCES: "SELECT update_id, wall_seconds, cpu_seconds, peak_memory_bytes FROM resource_metrics "
    "WHERE peak_memory_bytes IS NOT NULL",
}


def differences(storage: Storage, database: Any, *logs: str) -> list[str]:
    """Where the exported tables differ from what SQL over the event logs gives; SQL that shares no code."""
    found = []
    for statement, exported in EXPORTED.items():
        wanted: list[tuple[Any, ...]] = []
        for log in logs:
            wanted += rows_of(query(statement.format(log=log), storage))
        have = database.rows(exported)
        if sorted(wanted) != sorted(have):
            missing, extra = set(wanted) - set(have), set(have) - set(wanted)
            found.append(f"{exported}: lacks {sorted(missing)[:3]}, has {sorted(extra)[:3]}")
    return found


def gold(storage: Storage, days: Sequence[int], schema: str = "data_eng", factor: int = 1) -> None:
    """Write the two gold tables of sales for these days after 1 March 2024; figures follow from the day."""
    dates = [date(2024, 3, 1) + timedelta(days=day) for day in days]
    daily = pa.table(
        {
            "order_date": pa.array(dates, pa.date32()),
            "orders": pa.array([day + 1 for day in days], pa.int64()),
            "customers": pa.array(list(days), pa.int64()),
            "units": pa.array([3 * day for day in days], pa.int64()),
            "revenue": pa.array(
                [Decimal(day * factor) + Decimal("0.50") for day in days], pa.decimal128(28, 2)
            ),
            "average_order_value": pa.array([Decimal("12.34")] * len(days), pa.decimal128(18, 2)),
            "cancelled_orders": pa.array([1] * len(days), pa.int64()),
            "returned_orders": pa.array([2] * len(days), pa.int64()),
            "lost_value": pa.array([Decimal("9.99")] * len(days), pa.decimal128(28, 2)),
        }
    )
    rolling = pa.table(
        {
            "metric_date": pa.array(dates, pa.date32()),
            "customers_7d": pa.array([7 * day for day in days], pa.int64()),
            "revenue_7d": pa.array([Decimal(70 * day) for day in days], pa.decimal128(28, 2)),
        }
    )
    for name, rows in (("gold_daily_sales", daily), ("gold_rolling_sales", rolling)):
        path = storage.table_path(TableName("local", schema, name))
        write_deltalake(str(path), rows, mode="overwrite")


def gold_of_batches(storage: Storage, days: Sequence[int]) -> None:
    """Write the gold table of the order batches for these days after 1 March 2024."""
    count = len(days)
    rows = pa.table(
        {
            "date_ordered": pa.array([date(2024, 3, 1) + timedelta(days=day) for day in days], pa.date32()),
            "orders": pa.array([day + 1 for day in days], pa.int64()),
            "items_sold": pa.array([2 * day for day in days], pa.int64()),
            "revenue": pa.array([Decimal(day) + Decimal("0.50") for day in days], pa.decimal128(28, 2)),
            "customers": pa.array(list(days), pa.int64()),
            "average_order_value": pa.array([Decimal("1.10")] * count, pa.decimal128(18, 2)),
            "unearning_orders": pa.array([2] * count, pa.int64()),
            "unearning_share": pa.array([0.25] * count, pa.float64()),
        }
    )
    path = storage.table_path(TableName("local", "data_eng", "gold_order_business_metrics"))
    write_deltalake(str(path), rows, mode="overwrite")

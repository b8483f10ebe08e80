"""Event logs of two pipelines over a fortnight, written as Delta tables without Spark."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from lakerun.pipelines.event_log import ORIGIN_FIELDS, arrow_schema
from lakerun.tables.storage import Storage, TableName

NOW = datetime(2024, 3, 15, 12, 0, tzinfo=UTC)  # periods of 7 days: 1 March 12:00, 8 March 12:00, now
SCHEMA = ("local", "data_eng")


class Log:
    """Collects the events of one pipeline; `write` makes its event log table."""

    def __init__(self, pipeline: str) -> None:
        self.pipeline = pipeline
        self._rows: list[dict[str, Any]] = []

    def add(
        self,
        update: str,
        at: datetime,
        kind: str,
        details: dict[str, Any],
        dataset: str | None = None,
        level: str = "INFO",
    ) -> None:
        origin: dict[str, Any] = dict.fromkeys(ORIGIN_FIELDS)
        origin |= {"pipeline_id": f"id-{self.pipeline}", "pipeline_name": self.pipeline, "update_id": update}
        origin["dataset_name"] = dataset and ".".join((*SCHEMA, dataset))
        number = len(self._rows)
        self._rows.append(
            {
                "id": f"{self.pipeline}-{number}",
                "sequence": {"control_plane_seq_no": number, "data_plane_id": None},
                "origin": origin,
                "timestamp": at,
                "message": f"{kind} of {update}",
                "level": level,
                "maturity_level": "STABLE",
                "error": None,
                "details": json.dumps({kind: details}),
                "event_type": kind,
            }
        )

    def update(self, update: str, start: datetime, seconds: int, state: str, **create: Any) -> None:
        self.add(update, start, "create_update", {"cause": "USER_ACTION", **create})
        self.add(update, start + timedelta(seconds=1), "update_progress", {"state": "RUNNING"})
        if state:
            end = start + timedelta(seconds=seconds)
            self.add(update, end, "update_progress", {"state": state})

    def defines(self, update: str, at: datetime, *datasets: str) -> None:
        for dataset in datasets:
            self.add(update, at, "dataset_definition", {"dataset_type": "table"}, dataset)

    def flow(
        self,
        update: str,
        at: datetime,
        dataset: str,
        status: str,
        judged: tuple[int, int] | None = None,
        level: str = "INFO",
    ) -> None:
        """`judged` are the passed and failed records of one expectation."""
        details: dict[str, Any] = {"status": status}
        if judged:
            counts = {"passed_records": judged[0], "failed_records": judged[1]}
            expectation = {"name": "valid", "dataset": ".".join((*SCHEMA, dataset)), **counts}
            details["data_quality"] = {"dropped_records": judged[1], "expectations": [expectation]}
        self.add(update, at, "flow_progress", details, dataset, level)

    def expectations(
        self, update: str, at: datetime, dataset: str, judged: dict[str, tuple[int, int]]
    ) -> None:
        """A flow's event with the passed and failed records of several expectations."""
        found = [
            {
                "name": name,
                "dataset": ".".join((*SCHEMA, dataset)),
                "passed_records": passed,
                "failed_records": failed,
            }
            for name, (passed, failed) in judged.items()
        ]
        details = {"status": "COMPLETED", "data_quality": {"dropped_records": 0, "expectations": found}}
        self.add(update, at, "flow_progress", details, dataset)

    def write(self, storage: Storage) -> None:
        path = storage.table_path(TableName(*SCHEMA, f"event_log_{self.pipeline}"))
        write_deltalake(str(path), pa.Table.from_pylist(self._rows, arrow_schema()))


def march(day: int, hour: int = 10, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2024, 3, day, hour, minute, second, tzinfo=UTC)


def fortnight(storage: Storage) -> None:
    """Two pipelines' logs, and raw files.

    Before: u1 completes in 100 s, u2 fails after 20 s; 1,000 records judged, 10 fail; 100 MB arrive.
    Now: u3 completes in 100 s, u4 fails after 10 s, u5 completes in 40 s, f1 of the other pipeline completes
    in 50 s; 2,000 records judged, 5 fail; 200 MB arrive.
    """
    log = Log("medallion_dlt_pipeline")
    log.update("u1", march(5), 100, "COMPLETED")
    log.defines("u1", march(5), "silver_orders", "gold_sales", "gold_removed")
    log.flow("u1", march(5, 10, 1, 0), "silver_orders", "COMPLETED", (990, 10), "WARN")
    log.flow("u1", march(5, 10, 1, 30), "gold_sales", "COMPLETED")
    log.flow("u1", march(5, 10, 1, 35), "gold_removed", "COMPLETED")
    log.update("u2", march(6), 20, "FAILED")
    log.update("u3", march(10), 100, "COMPLETED")
    log.flow("u3", march(10, 10, 0, 20), "silver_orders", "RUNNING", (495, 5), "WARN")
    log.flow("u3", march(10, 10, 0, 30), "silver_orders", "RUNNING", (500, 0))
    log.flow("u3", march(10, 10, 0, 50), "silver_orders", "COMPLETED")
    log.flow("u3", march(10, 10, 1, 20), "gold_sales", "COMPLETED", (1000, 0))
    log.update("u4", march(12), 10, "FAILED")
    log.update("u5", march(14), 40, "COMPLETED")
    log.defines("u5", march(14), "silver_orders", "gold_sales", "gold_new")
    log.flow("u5", march(14, 10, 0, 30), "silver_orders", "SKIPPED")  # nothing new
    log.flow("u5", march(14, 10, 0, 31), "gold_sales", "SKIPPED", level="WARN")  # upstream failed
    log.flow("u5", march(14, 10, 0, 32), "gold_new", "FAILED", level="ERROR")
    # None of these ended as a success or a failure of the data.
    log.update("validated", march(13), 30, "COMPLETED", validate_only=True)
    log.update("canceled", march(13, 11), 30, "CANCELED")
    log.update("running", march(15, 11, 59), 0, "")
    log.write(storage)
    features = Log("ml_features_pipeline")
    features.update("f1", march(14, 11), 50, "COMPLETED")
    features.defines("f1", march(14, 11), "feature_value")
    features.flow("f1", march(14, 11, 0, 45), "feature_value", "COMPLETED")
    features.write(storage)
    raw = storage.volumes_root / SCHEMA[0] / SCHEMA[1] / "data" / "orders_raw"
    raw_file(raw / "a.json", 100_000_000, march(4))
    raw_file(raw / "b.json", 200_000_000, march(9))
    raw_file(raw / "before.json", 900_000_000, march(1, 11))
    raw_file(raw.parent / "manifests" / "m.json", 5_000, march(9))


def raw_file(path: Path, size: int, modified: datetime) -> None:
    """A file of `size` bytes that takes no space."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)
    os.utime(path, (modified.timestamp(), modified.timestamp()))

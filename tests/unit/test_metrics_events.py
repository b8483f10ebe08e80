"""The metrics of one update's events, worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ecommerce_lakehouse.observability.metrics_export.events import Event, UpdateMetrics, metrics_of

START = datetime(2024, 3, 1, 3, 0, tzinfo=UTC)


def at(seconds: float, kind: str, body: dict[str, Any], dataset: str | None = None, **changes: Any) -> Event:
    given = {"level": "INFO", "message": kind, "dataset_name": dataset, "flow_name": dataset} | changes
    return Event(START + timedelta(seconds=seconds), kind, details={kind: body}, **given)


def flow(seconds: float, dataset: str, status: str, **body: Any) -> Event:
    changes = {"flow_name": body.pop("flow_name")} if "flow_name" in body else {}
    return at(seconds, "flow_progress", {"status": status, **body}, dataset, **changes)


def metrics(*events: Event) -> UpdateMetrics:
    return metrics_of("u1", "prod.shop", "prod.shop.event_log_p", events)


def test_a_databricks_update_has_executor_times_and_executors_and_no_memory() -> None:
    found = metrics(
        at(0, "create_update", {"cause": "JOB_TASK", "full_refresh": False}, pipeline_name="p"),
        flow(10, "orders", "RUNNING", metrics={"executor_cpu_time_ms": 1500, "executor_time_ms": 4000}),
        flow(20, "orders", "COMPLETED", metrics={"executor_cpu_time_ms": 500, "num_output_bytes": 70}),
        at(21, "cluster_resources", {"task_slot_metrics": {"num_executors": 3, "num_task_slots": 12}}),
        at(22, "cluster_resources", {"task_slot_metrics": {"num_executors": 2}, "autoscale_info": None}),
        at(60, "update_progress", {"state": "COMPLETED"}),
    )
    assert found.resources == {
        "update_id": "u1",
        "wall_seconds": 60.0,
        "cpu_seconds": 2.0,
        "executor_seconds": 4.0,
        "peak_memory_bytes": None,
        "peak_executors": 3,
        "bytes_written": 70,
    }
    assert (found.update["cause"], found.update["state"], found.update["pipeline_name"]) == (
        "JOB_TASK",
        "COMPLETED",
        "p",
    )


def test_batches_and_expectations_add_up_in_whatever_order_events_come() -> None:
    def judged(passed: int, failed: int) -> dict[str, Any]:
        rule = {
            "name": "valid",
            "dataset": "valid_orders",
            "passed_records": passed,
            "failed_records": failed,
        }
        return {"dropped_records": failed, "expectations": [rule]}

    events = [
        flow(1, "orders", "STARTING"),
        flow(2, "orders", "RUNNING", metrics={"num_output_rows": 90}, data_quality=judged(90, 10)),
        flow(3, "orders", "RUNNING", metrics={"num_output_rows": 45}, data_quality=judged(45, 5)),
        flow(9, "orders", "COMPLETED"),
    ]
    found = metrics(*events)
    (row,) = found.datasets
    assert (row["status"], row["batches"], row["rows_written"], row["rows_dropped"], row["seconds"]) == (
        "COMPLETED",
        2,
        135,
        15,
        8.0,
    )
    (rule,) = found.expectations
    assert (rule["dataset_name"], rule["passed_records"], rule["failed_records"]) == ("valid_orders", 135, 15)
    assert metrics(*reversed(events)) == found


def test_a_flow_of_changes_has_written_the_rows_that_it_upserted() -> None:
    changes = {"num_upserted_rows": 7, "num_deleted_rows": 2}
    (row,) = metrics(flow(1, "customers", "RUNNING", metrics=changes)).datasets
    assert (row["rows_written"], row["rows_upserted"], row["rows_deleted"]) == (7, 7, 2)


def test_a_dataset_is_as_far_as_its_worst_flow() -> None:
    found = metrics(
        flow(1, "a", "COMPLETED", flow_name="one"),
        flow(2, "a", "FAILED", flow_name="two"),
        flow(3, "b", "SKIPPED", flow_name="one"),
        flow(3, "b", "COMPLETED", flow_name="two"),
        flow(4, "c", "SKIPPED"),
        flow(5, "d", "COMPLETED", flow_name="one"),
        flow(5, "d", "RUNNING", flow_name="two"),
    )
    assert {row["dataset_name"]: row["status"] for row in found.datasets} == {
        "a": "FAILED",
        "b": "COMPLETED",
        "c": "SKIPPED",
        "d": "RUNNING",
    }
    counts = ("datasets_completed", "datasets_failed", "datasets_skipped")
    assert [found.update[name] for name in counts] == [1, 1, 1]


def test_an_update_that_still_runs_or_was_killed_has_no_end() -> None:
    found = metrics(
        at(0, "create_update", {}), at(1, "update_progress", {"state": "RUNNING"}), at(2, "flow_progress", {})
    )
    update = found.update
    assert (update["state"], update["ended_at"], update["duration_seconds"]) == ("RUNNING", None, None)
    assert (found.resources["wall_seconds"], update["events"]) == (None, 3)

"""Turns the events of an update into rows for the database, in plain Python: `metrics_of`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Row = dict[str, Any]

UPDATE_ENDED = ("COMPLETED", "FAILED", "CANCELED")
FLOW_ENDED = ("COMPLETED", "FAILED", "STOPPED", "SKIPPED", "EXCLUDED")
# A dataset with several flows is in the first of these states that any of its flows is in. Lakerun, which
# this package cannot import, has the same order; a test compares them.
PRECEDENCE = (
    "FAILED",
    "STOPPED",
    "RUNNING",
    "STARTING",
    "PLANNING",
    "QUEUED",
    "IDLE",
    "COMPLETED",
    "EXCLUDED",
    "SKIPPED",
)
WAITING = ("PLANNING", "QUEUED", "IDLE")


@dataclass(frozen=True)
class Event:
    """The part of an event that metrics need. `details` is the event log's JSON."""

    at: datetime
    event_type: str
    level: str
    message: str
    details: Mapping[str, Any]
    pipeline_id: str | None = None
    pipeline_name: str | None = None
    dataset_name: str | None = None
    flow_name: str | None = None


@dataclass(frozen=True)
class UpdateMetrics:
    """Rows of one update, a list per table; keys are the tables' columns."""

    update: Row
    datasets: list[Row]
    expectations: list[Row]
    resources: Row


def metrics_of(update_id: str, lakehouse: str, event_log: str, given: Sequence[Event]) -> UpdateMetrics:
    """The metrics of an update from all its events, at least one, in any order."""
    events = sorted(given, key=lambda event: event.at)
    datasets = _datasets(update_id, events)
    update = _update(update_id, lakehouse, event_log, events, datasets)
    return UpdateMetrics(
        update, datasets, _expectations(update_id, events), _resources(update_id, events, update, datasets)
    )


def _update(update_id: str, lakehouse: str, event_log: str, events: list[Event], datasets: list[Row]) -> Row:
    create = next((event for event in events if event.event_type == "create_update"), None)
    created = (create.details.get("create_update") if create else None) or {}
    states = [
        (event.at, (event.details.get("update_progress") or {}).get("state"), event.message)
        for event in events
        if event.event_type == "update_progress"
    ]
    state = states[-1][1] if states else None
    ended = next((at for at, state, _ in reversed(states) if state in UPDATE_ENDED), None)
    started = (create or events[0]).at
    errors = [event for event in events if event.level == "ERROR"]
    by_status = [row["status"] for row in datasets]
    return {
        "update_id": update_id,
        "lakehouse": lakehouse,
        "event_log": event_log,
        "pipeline_id": _last(event.pipeline_id for event in events),
        "pipeline_name": _last(event.pipeline_name for event in events),
        "cause": created.get("cause"),
        "full_refresh": created.get("full_refresh"),
        "validate_only": created.get("validate_only"),
        "state": state,
        "started_at": started,
        "ended_at": ended,
        "duration_seconds": (ended - started).total_seconds() if ended else None,
        "datasets_completed": by_status.count("COMPLETED"),
        "datasets_failed": by_status.count("FAILED"),
        "datasets_skipped": by_status.count("SKIPPED"),
        "rows_written": sum(row["rows_written"] for row in datasets),
        "rows_dropped": sum(row["rows_dropped"] for row in datasets),
        "warnings": sum(event.level == "WARN" for event in events),
        "errors": len(errors),
        "error_message": errors[0].message if errors else None,
        "events": len(events),
        "last_event_at": events[-1].at,
    }


def _datasets(update_id: str, events: list[Event]) -> list[Row]:
    types = {
        event.dataset_name: (event.details.get("dataset_definition") or {}).get("dataset_type")
        for event in events
        if event.event_type == "dataset_definition"
    }
    progress: dict[str, list[Event]] = {}
    for event in events:
        if event.event_type == "flow_progress" and event.dataset_name:
            progress.setdefault(event.dataset_name, []).append(event)
    return [_dataset(update_id, name, types.get(name), found) for name, found in sorted(progress.items())]


def _dataset(update_id: str, name: str, kind: str | None, events: list[Event]) -> Row:
    bodies = [event.details.get("flow_progress") or {} for event in events]
    last = {
        event.flow_name: body["status"]
        for event, body in zip(events, bodies, strict=True)
        if body.get("status")
    }
    begun = [
        e.at for e, body in zip(events, bodies, strict=True) if body.get("status") in ("STARTING", "RUNNING")
    ]
    ends = [e.at for e, body in zip(events, bodies, strict=True) if body.get("status") in FLOW_ENDED]
    started = begun[0] if begun else None
    status = _status(list(last.values()), started is not None)
    ended = ends[-1] if status in FLOW_ENDED else None
    measured = [body["metrics"] for body in bodies if body.get("metrics")]
    return {
        "update_id": update_id,
        "dataset_name": name,
        "dataset_type": kind,
        "status": status,
        "started_at": started,
        "ended_at": ended,
        "seconds": (ended - started).total_seconds() if started and ended else None,
        "batches": len(measured),
        # A flow of changes has no output rows on Databricks, only upserted and deleted ones.
        "rows_written": sum(_written(metrics) for metrics in measured),
        "rows_upserted": _sum(measured, "num_upserted_rows"),
        "rows_deleted": _sum(measured, "num_deleted_rows"),
        "rows_dropped": _sum([body.get("data_quality") or {} for body in bodies], "dropped_records"),
        "bytes_written": _sum(measured, "num_output_bytes"),
    }


def _written(metrics: Mapping[str, Any]) -> int:
    written = metrics.get("num_output_rows")
    return int((metrics.get("num_upserted_rows") if written is None else written) or 0)


def _status(flows: Sequence[str], started: bool) -> str:
    """The state of a dataset from its flows' states; between two flows it is running."""
    found = next((each for each in PRECEDENCE if each in flows), next(iter(flows), "UNKNOWN"))
    return "RUNNING" if found in WAITING and started else found


def _expectations(update_id: str, events: list[Event]) -> list[Row]:
    totals: dict[tuple[str, str], tuple[int, int]] = {}
    for event in events:
        quality = (event.details.get("flow_progress") or {}).get("data_quality") or {}
        for item in quality.get("expectations") or ():
            key = (item.get("dataset") or event.dataset_name or "", item["name"])
            passed, failed = totals.get(key, (0, 0))
            totals[key] = (
                passed + int(item.get("passed_records") or 0),
                failed + int(item.get("failed_records") or 0),
            )
    return [
        {
            "update_id": update_id,
            "dataset_name": dataset,
            "expectation_name": name,
            "passed_records": passed,
            "failed_records": failed,
        }
        for (dataset, name), (passed, failed) in sorted(totals.items())
    ]


def _resources(update_id: str, events: list[Event], update: Row, datasets: list[Row]) -> Row:
    """The figures of the laptop's engine; on Databricks the times of the flows' tasks, and the executors."""
    used = _last(event.details.get("update_resources") for event in events) or {}
    flows = [(event.details.get("flow_progress") or {}).get("metrics") or {} for event in events]
    slots = [
        (event.details.get("cluster_resources") or {}).get("task_slot_metrics") or {} for event in events
    ]
    executors = [slot.get("num_executors") or 0 for slot in slots]
    return {
        "update_id": update_id,
        "wall_seconds": used.get("wall_seconds", update["duration_seconds"]),
        "cpu_seconds": used.get("cpu_seconds", _milliseconds(flows, "executor_cpu_time_ms")),
        "executor_seconds": _milliseconds(flows, "executor_time_ms"),
        "peak_memory_bytes": used.get("peak_memory_bytes"),
        "peak_executors": max(executors) if any(executors) else None,
        "bytes_written": sum(row["bytes_written"] for row in datasets),
    }


def details_of(text: str | None) -> Mapping[str, Any]:
    """The JSON of an event's `details`; empty without any."""
    found = json.loads(text) if text else {}
    return found if isinstance(found, dict) else {}


def _sum(bodies: Sequence[Mapping[str, Any]], name: str) -> int:
    return sum(int(body.get(name) or 0) for body in bodies)


def _milliseconds(bodies: Sequence[Mapping[str, Any]], name: str) -> float | None:
    found = [float(body[name]) for body in bodies if body.get(name) is not None]
    return sum(found) / 1000 if found else None


def _last(values: Any) -> Any:
    return next((value for value in reversed(list(values)) if value is not None), None)

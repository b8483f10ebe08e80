"""The progress of each dataset of an update, from the update's events: `UpdateProgress`.

The live view, the lines of a log and the workspace's pages all show this.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lakerun.pipelines.results import FLOW_ENDED, Action, DatasetResult

# A dataset with several flows has the first of these states that one of its flows has.
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


@dataclass
class ExpectationProgress:
    """Counts of one rule so far; the `action` is known when the update has ended."""

    name: str
    passed: int = 0
    failed: int = 0
    action: Action | None = None


@dataclass
class DatasetProgress:
    """A dataset and each flow's last status; rows and counts are sums over the update so far."""

    name: str
    kind: str = ""
    inputs: list[str] = field(default_factory=list)
    flows: dict[str, str] = field(default_factory=dict)
    expectations: dict[tuple[str, str], ExpectationProgress] = field(default_factory=dict)
    rows: int | None = None
    dropped: int = 0
    started: datetime | None = None
    ended: datetime | None = None
    message: str = ""
    result: DatasetResult | None = None

    @property
    def table(self) -> str:
        return short_name(self.name)

    @property
    def status(self) -> str | None:
        """None before the update reaches the dataset."""
        if self.result is not None:
            return self.result.status
        statuses = self.flows.values()
        found = next((s for s in PRECEDENCE if s in statuses), next(iter(statuses), None))
        return "RUNNING" if found in WAITING and self.started is not None else found

    @property
    def is_over(self) -> bool:
        return self.status in FLOW_ENDED

    @property
    def seconds(self) -> float | None:
        """The duration, up to now while it runs; None before it starts."""
        if self.result is not None:
            return self.result.seconds
        if self.started is None:
            return None
        return ((self.ended or datetime.now(UTC)) - self.started).total_seconds()

    @property
    def failed(self) -> int:
        """The number of failed records of all expectations."""
        return sum(each.failed for each in self.expectations.values())

    def conclude(self, result: DatasetResult) -> None:
        """Replace the values from events with the result's."""
        self.result = result
        self.kind = self.kind or result.kind
        self.rows, self.dropped, self.message = result.rows_written, result.rows_dropped, result.note
        # Two views can have rules of the same name: here each keeps its own line.
        self.expectations = {
            (str(number), each.name): ExpectationProgress(each.name, each.passed, each.failed, each.action)
            for number, each in enumerate(result.expectations)
        }


class UpdateProgress:
    """The datasets of an update by full name, in the order in which they are defined."""

    def __init__(self) -> None:
        self.datasets: dict[str, DatasetProgress] = {}

    def add(
        self,
        event_type: str,
        at: datetime,
        origin: Mapping[str, Any],
        details: Mapping[str, Any],
        message: str = "",
    ) -> DatasetProgress | None:
        """Add an event of the event log; returns the dataset that it ended, if it did."""
        body = details.get(event_type) or {}
        name = origin.get("dataset_name")
        if event_type == "dataset_definition" and name:
            self._dataset(name).kind = str(body.get("dataset_type", "")).replace("_", " ").lower()
        elif event_type == "flow_definition":
            inputs = self._dataset(body["output_dataset"]).inputs
            reads = [read["dataset"]["name"] for read in body.get("input_datasets", ())]
            inputs += [read for read in reads if read not in inputs]
        elif event_type == "flow_progress" and name and body:
            dataset = self._dataset(name)
            return dataset if _advance(dataset, at, origin, body, message) else None
        return None

    def end(self, at: datetime | None) -> None:
        """Mark flows as stopped that still ran or waited when the update ended or was killed."""
        for dataset in self.datasets.values():
            if dataset.is_over:
                continue
            for flow, status in dataset.flows.items():
                if status not in FLOW_ENDED:
                    dataset.flows[flow] = "STOPPED"
            if dataset.started is not None:
                dataset.ended = at

    def conclude(self, results: Iterable[DatasetResult]) -> None:
        """Replace the values from events with those of the update's results."""
        for result in results:
            self._dataset(result.name).conclude(result)

    def _dataset(self, name: str) -> DatasetProgress:
        return self.datasets.setdefault(name, DatasetProgress(name))


def short_name(table: str) -> str:
    """The last part of a table's full name."""
    return table.rsplit(".", 1)[-1]


def _advance(
    dataset: DatasetProgress, at: datetime, origin: Mapping[str, Any], body: Mapping[str, Any], message: str
) -> bool:
    """Add one flow_progress; returns whether it ended the dataset."""
    was_over = dataset.ended is not None
    flow = origin.get("flow_name") or dataset.name
    status = body.get("status")
    if status:
        dataset.flows[flow] = status
    if status in ("STARTING", "RUNNING") and dataset.started is None:
        dataset.started = at
    if status in ("FAILED", "SKIPPED"):
        dataset.message = message
    metrics, quality = body.get("metrics") or {}, body.get("data_quality") or {}
    written = [metrics[name] or 0 for name in ("num_output_rows", "num_upserted_rows") if name in metrics]
    if written:
        dataset.rows = (dataset.rows or 0) + written[0]
    dataset.dropped += quality.get("dropped_records") or 0
    for item in quality.get("expectations") or ():
        key = (item.get("dataset") or dataset.name, item["name"])
        counts = dataset.expectations.setdefault(key, ExpectationProgress(item["name"]))
        counts.passed += item.get("passed_records") or 0
        counts.failed += item.get("failed_records") or 0
    if not dataset.is_over:
        dataset.ended = None
    elif status in FLOW_ENDED:
        dataset.ended = at
    return dataset.ended is not None and not was_over

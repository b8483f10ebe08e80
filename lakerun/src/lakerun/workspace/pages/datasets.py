"""What an update does to each of its pipeline's datasets, told from the update's events and result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lakerun.workspace.pages.drawing import Box, Drawing, draw
from lakerun.workspace.pages.formats import between, number, plural
from lakerun.workspace.pages.states import UPDATE_OVER, State, state_of

Event = Mapping[str, Any]
# The state of a dataset is that of the flow which comes first here.
PRECEDENCE = (
    "FAILED",
    "RUNNING",
    "STARTING",
    "QUEUED",
    "PLANNING",
    "COMPLETED",
    "STOPPED",
    "EXCLUDED",
    "SKIPPED",
)
UNFINISHED = ("RUNNING", "STARTING", "QUEUED", "PLANNING")


@dataclass
class Expectation:
    """Counts of one rule; `action` is ALLOW, DROP or FAIL, empty while the update still runs."""

    name: str
    passed: int = 0
    failed: int = 0
    action: str = ""


@dataclass
class DatasetProgress:
    """A table of the pipeline; rows and counts are sums over the update so far."""

    name: str
    kind: str = ""
    inputs: list[str] = field(default_factory=list)
    flows: dict[str, str] = field(default_factory=dict)
    expectations: dict[tuple[str, str], Expectation] = field(default_factory=dict)
    rows: int | None = None
    dropped: int = 0
    started: str | None = None
    ended: str | None = None
    seconds: float | None = None
    message: str = ""
    status: str | None = None

    @property
    def table(self) -> str:
        return self.name.rsplit(".", 1)[-1]

    @property
    def href(self) -> str:
        """Its page; none for a name that is not in three parts."""
        return "/tables/" + self.name.replace(".", "/") if self.name.count(".") == 2 else ""

    @property
    def state(self) -> State | None:
        """None before the update has come to it."""
        status = self.status or next((s for s in PRECEDENCE if s in self.flows.values()), None)
        return state_of(status) if status else None

    @property
    def failed(self) -> int:
        return sum(each.failed for each in self.expectations.values())

    def duration(self) -> float | None:
        if self.seconds is not None or self.started is None:
            return self.seconds
        return between(self.started, self.ended)


def datasets_of(update: Mapping[str, Any], events: Iterable[Event]) -> dict[str, DatasetProgress]:
    """The datasets by full name in the order of definition; the result, once there, has the last word."""
    found: dict[str, DatasetProgress] = {}
    for event in events:
        details, origin = event.get("details") or {}, event.get("origin") or {}
        name = origin.get("dataset_name", "")
        if definition := details.get("dataset_definition"):
            kind = definition.get("dataset_type", "").replace("_", " ").lower()
            found.setdefault(name, DatasetProgress(name)).kind = kind
        elif definition := details.get("flow_definition"):
            output = definition["output_dataset"]
            target = found.setdefault(output, DatasetProgress(output))
            reads = [read["dataset"]["name"] for read in definition.get("input_datasets", [])]
            target.inputs += [read for read in reads if read not in target.inputs]
        elif (progress := details.get("flow_progress")) and name:
            _note(found.setdefault(name, DatasetProgress(name)), event, progress)
    for result in (update.get("result") or {}).get("datasets", ()):
        _conclude(found.setdefault(result["name"], DatasetProgress(result["name"])), result)
    if update.get("state") in UPDATE_OVER:
        for dataset in found.values():
            for flow, status in dataset.flows.items():
                if status in UNFINISHED:
                    dataset.flows[flow] = "STOPPED"
    return found


def dataset_drawing(datasets: Mapping[str, DatasetProgress]) -> Drawing | None:
    """The graph, with the tables of other pipelines that these read; None where there is nothing to draw."""
    if not datasets:
        return None
    boxes = [_box(dataset) for dataset in datasets.values()]
    outside = dict.fromkeys(read for d in datasets.values() for read in d.inputs if read not in datasets)
    for name in outside:
        other = DatasetProgress(name)
        boxes.append(
            Box(
                name,
                other.table,
                None,
                "from elsewhere",
                "",
                other.href,
                f"{name}, read only",
                is_outside=True,
            )
        )
    edges = [(read, dataset.name) for dataset in datasets.values() for read in dataset.inputs]
    return draw(boxes, edges)


def errors_of(events: Sequence[Event]) -> list[Event]:
    """The events that tell of an error, in order."""
    return [event for event in events if event.get("level") == "ERROR" or event.get("error")]


def _note(dataset: DatasetProgress, event: Event, progress: Mapping[str, Any]) -> None:
    flow = (event.get("origin") or {}).get("flow_name", dataset.name)
    status = progress.get("status", "")
    dataset.flows[flow] = status
    if status not in ("QUEUED", "PLANNING") and dataset.started is None:
        dataset.started = event.get("timestamp")
    if status not in UNFINISHED:
        dataset.ended = event.get("timestamp")
    if status in ("FAILED", "SKIPPED"):
        dataset.message = event.get("message", "")
    metrics, quality = progress.get("metrics") or {}, progress.get("data_quality") or {}
    if "num_output_rows" in metrics:
        dataset.rows = (dataset.rows or 0) + (metrics["num_output_rows"] or 0)
    dataset.dropped += quality.get("dropped_records") or 0
    for item in quality.get("expectations", ()):
        key = (item.get("dataset", ""), item["name"])
        counts = dataset.expectations.setdefault(key, Expectation(item["name"]))
        counts.passed += item.get("passed_records") or 0
        counts.failed += item.get("failed_records") or 0


def _conclude(dataset: DatasetProgress, result: Mapping[str, Any]) -> None:
    dataset.kind = dataset.kind or result.get("kind", "")
    dataset.status = result.get("status")
    dataset.rows = result.get("rows_written")
    dataset.dropped = result.get("rows_dropped", 0)
    dataset.seconds = result.get("seconds")
    dataset.message = result.get("note", "")
    # Rules of the same name in two views stand one after the other, in the same order in both.
    dataset.expectations = {
        (str(number), item["name"]): Expectation(item["name"], item["passed"], item["failed"], item["action"])
        for number, item in enumerate(result.get("expectations", ()))
    }


def _box(dataset: DatasetProgress) -> Box:
    state = dataset.state
    rows = "" if dataset.rows is None else plural(dataset.rows, "row")
    failed = f"{number(dataset.failed)} failed" if dataset.failed else ""
    said = [dataset.name, dataset.kind, state.word if state else "not started", rows]
    checks = plural(dataset.failed, "failed expectation count") if failed else ""
    title = ", ".join(part for part in [*said, checks] if part)
    return Box(dataset.name, dataset.table, state, rows or dataset.kind, failed, f"#{dataset.name}", title)

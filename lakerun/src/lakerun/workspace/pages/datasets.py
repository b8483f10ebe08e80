"""An update's datasets for its pages, from the update's events and result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lakerun.formats import instant, number, plural
from lakerun.pipelines.progress import DatasetProgress, UpdateProgress, short_name
from lakerun.pipelines.results import UPDATE_ENDED, DatasetResult, ExpectationResult
from lakerun.workspace.pages.drawing import Box, Drawing, draw
from lakerun.workspace.pages.states import state_of

Event = Mapping[str, Any]


def datasets_of(update: Mapping[str, Any], events: Iterable[Event]) -> dict[str, DatasetProgress]:
    """The datasets by full name in the order of definition; a result replaces the values from events."""
    progress = UpdateProgress()
    at = None
    for event in events:
        if at := instant(event.get("timestamp")):
            progress.add(
                event["event_type"],
                at,
                event.get("origin") or {},
                event.get("details") or {},
                event.get("message", ""),
            )
    if update.get("state") in UPDATE_ENDED:
        progress.end(at)
    progress.conclude(_result(each) for each in (update.get("result") or {}).get("datasets", ()))
    return progress.datasets


def dataset_address(name: str) -> str:
    """The address of a dataset's page; empty for a name that does not have three parts."""
    return "/tables/" + name.replace(".", "/") if name.count(".") == 2 else ""


def dataset_drawing(datasets: Mapping[str, DatasetProgress]) -> Drawing | None:
    """The graph, with tables of other pipelines that the datasets read; None if there is nothing to draw."""
    if not datasets:
        return None
    boxes = [_box(dataset) for dataset in datasets.values()]
    outside = dict.fromkeys(read for d in datasets.values() for read in d.inputs if read not in datasets)
    for name in outside:
        boxes.append(
            Box(
                name,
                short_name(name),
                None,
                "external",
                "",
                dataset_address(name),
                f"{name}, read only",
                is_outside=True,
            )
        )
    edges = [(read, dataset.name) for dataset in datasets.values() for read in dataset.inputs]
    return draw(boxes, edges)


def errors_of(events: Sequence[Event]) -> list[Event]:
    """The events that report an error, in order."""
    return [event for event in events if event.get("level") == "ERROR" or event.get("error")]


def _result(document: Mapping[str, Any]) -> DatasetResult:
    """The dataset's result that is stored with its update."""
    return DatasetResult(
        document["name"],
        document.get("kind", ""),
        document["status"],
        document.get("rows_written", 0),
        document.get("rows_dropped", 0),
        document.get("seconds", 0.0),
        tuple(
            ExpectationResult(each["name"], each["action"], each["passed"], each["failed"])
            for each in document.get("expectations", ())
        ),
        document.get("note", ""),
    )


def _box(dataset: DatasetProgress) -> Box:
    state = state_of(dataset.status) if dataset.status else None
    rows = "" if dataset.rows is None else plural(dataset.rows, "row")
    failed = f"{number(dataset.failed)} failed" if dataset.failed else ""
    parts = [dataset.name, dataset.kind, state.word if state else "not started", rows]
    failures = plural(dataset.failed, "expectation failure") if failed else ""
    title = ", ".join(part for part in [*parts, failures] if part)
    return Box(dataset.name, dataset.table, state, rows or dataset.kind, failed, f"#{dataset.name}", title)

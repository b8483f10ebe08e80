"""The reports of a pipeline's update: events while it runs, its result when it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, get_args

Level = Literal["METRICS", "INFO", "WARN", "ERROR"]
FlowStatus = Literal["QUEUED", "STARTING", "RUNNING", "COMPLETED", "FAILED", "SKIPPED", "STOPPED", "EXCLUDED"]
UpdateState = Literal["COMPLETED", "FAILED", "CANCELED"]
Action = Literal["ALLOW", "DROP", "FAIL"]
FLOW_ENDED = ("COMPLETED", "FAILED", "STOPPED", "SKIPPED", "EXCLUDED")
UPDATE_ENDED: tuple[UpdateState, ...] = get_args(UpdateState)


@dataclass(frozen=True)
class Event:
    """One row of the pipeline event log. `origin` holds pipeline, update, dataset and flow names and ids."""

    id: str
    sequence: int
    timestamp: datetime
    level: Level
    event_type: str
    message: str
    origin: Mapping[str, str]
    details: Mapping[str, Any]
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class ExpectationResult:
    """Exact counts of one expectation in one update."""

    name: str
    action: Action
    passed: int
    failed: int


class SkipReason(StrEnum):
    """The reason why an update skipped a dataset."""

    UP_TO_DATE = "UP_TO_DATE"
    UPSTREAM_FAILED = "UPSTREAM_FAILED"
    SPARK_ENDED = "SPARK_ENDED"


@dataclass(frozen=True)
class DatasetResult:
    """The result of one dataset in an update. `name` is the table's full name; rows and seconds are sums.

    `kind`: streaming table, materialized view. `status`: COMPLETED, FAILED, STOPPED, or SKIPPED, which has
    a `skip_reason`. `note` is a text for the user.
    """

    name: str
    kind: str
    status: FlowStatus
    rows_written: int = 0
    rows_dropped: int = 0
    seconds: float = 0.0
    expectations: tuple[ExpectationResult, ...] = ()
    note: str = ""
    skip_reason: SkipReason | None = None
    metrics: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class UpdateResult:
    """The result of a pipeline's update."""

    pipeline: str
    update_id: str
    state: UpdateState
    datasets: tuple[DatasetResult, ...]
    seconds: float
    error: str | None = None


Listener = Callable[[Event], None]
"""Called for every event as it happens, from the thread in which it happens."""

"""The interface between planning and execution: three ways to run a flow.

`SparkExecutor` is the only implementation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lakerun.errors import LakerunError
from lakerun.pipelines.expectations import ExpectationCounts, Observe
from lakerun.pipelines.graph import Dataset, Flow

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class BatchReport:
    """The result of one micro-batch or refresh: exact counts; `rows_written` as in the Delta commit."""

    batch_id: int
    rows_written: int
    expectations: tuple[ExpectationCounts, ...]
    metrics: Mapping[str, int] = field(default_factory=dict)
    version: int | None = None
    bytes_written: int = 0

    @property
    def rows_dropped(self) -> int:
        return sum(counts.dropped for counts in self.expectations)


@dataclass(frozen=True)
class Query:
    """A flow's rows, built on demand against the tables as they are now.

    `build(observe, fail)` applies the expectations to the rows: it counts them through `observe` and enforces
    them, but with `fail=False` an `expect_or_fail` only counts. `counts(metrics)` reads the observed metrics.
    """

    build: Callable[[Observe, bool], DataFrame]
    counts: Callable[[Mapping[str, Mapping[str, object]]], tuple[ExpectationCounts, ...]]


@dataclass(frozen=True)
class StreamRun:
    """One run of a streaming flow, which ends when it has processed everything that has arrived.

    `memory` is the folder of the target's auto CDC memory. `epoch` names the checkpoint; `last_batch`
    is the last batch that the event log has; `on_batch` must be called for each later batch, in order, before
    the next one starts.
    """

    dataset: Dataset
    flow: Flow
    query: Query
    table: Path
    memory: Path
    checkpoint: Path
    epoch: str
    last_batch: int
    on_batch: Callable[[BatchReport], None]


@dataclass(frozen=True)
class RefreshRun:
    """One refresh of a materialized view, as one atomic commit."""

    dataset: Dataset
    flow: Flow
    query: Query
    table: Path


class ExpectationFailedError(LakerunError):
    """An `expect_or_fail` does not hold. Nothing of the batch was written."""

    code = "EXPECTATION_FAILED"

    def __init__(
        self, dataset: str, expectation: str, sample: str, counts: tuple[ExpectationCounts, ...]
    ) -> None:
        self.dataset, self.expectation, self.sample, self.counts = dataset, expectation, sample, counts
        failed = [
            f"'{result.name}' ({result.failed} of {result.passed + result.failed} rows)"
            for item in counts
            for result in item.results
            if result.action == "FAIL" and result.failed
        ]
        what = ", ".join(failed) or f"'{expectation}'"
        super().__init__(f"Dataset '{dataset}' failed expectation {what}. Sample row: {sample}")


class Executor(Protocol):
    """Runs flows. Each method returns when its tables are committed."""

    def append(self, run: StreamRun) -> None:
        """Append the stream's new rows, exactly once."""

    def apply_changes(self, run: StreamRun) -> None:
        """Apply an auto CDC flow's new changes, exactly once."""

    def refresh(self, run: RefreshRun) -> BatchReport:
        """Replace the materialized view's rows."""

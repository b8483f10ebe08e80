"""Runs the datasets of a graph, each after its inputs, independent ones in parallel."""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakerun.dag import DagRun
from lakerun.errors import LakerunError
from lakerun.pipelines import expectations as ex
from lakerun.pipelines.changed_files import ReadFiles
from lakerun.pipelines.event_log import EventLog, error_of
from lakerun.pipelines.executor import (
    BatchReport,
    Executor,
    ExpectationFailedError,
    Query,
    RefreshRun,
    StreamRun,
)
from lakerun.pipelines.expectations import ExpectationCounts, Observe
from lakerun.pipelines.freshness import (
    UNREAD,
    check_sources,
    compared,
    nothing_new,
    refreshed,
    seen_now,
    why_stale,
)
from lakerun.pipelines.graph import Dataset, Flow, Graph, QueryReader, read_delta
from lakerun.pipelines.results import DatasetResult, ExpectationResult, FlowStatus, Level, SkipReason
from lakerun.pipelines.state import FlowProgress, Refreshed, Seen, State, cdc_memory
from lakerun.spark.active_session import activate
from lakerun.spark.batches import bound_batch
from lakerun.spark.causes import root_cause
from lakerun.spark.memory import why_ended
from lakerun.tables.delta_table import Table
from lakerun.tables.storage import Storage, TableName

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lakerun.spark.query_session import QuerySession

logger = logging.getLogger(__name__)
PUBLISH_EVERY_SECONDS = 2.0
STOP_POLL_SECONDS = 0.25
STOPPED = "the update was canceled"
UP_TO_DATE = "up to date"
NAMED = 5  # files in a message; the event's details have all of them
KINDS = {"STREAMING_TABLE": "streaming table", "MATERIALIZED_VIEW": "materialized view"}


@dataclass
class _Tally:
    """The totals of one dataset's flows in this update so far."""

    rows: int = 0
    dropped: int = 0
    expectations: dict[tuple[str, str], ExpectationResult] = field(default_factory=dict)
    metrics: dict[str, int] = field(default_factory=dict)

    def add(self, report: BatchReport) -> None:
        self.rows += report.rows_written
        self.dropped += report.rows_dropped
        self.add_counts(report.expectations)
        for key, value in report.metrics.items():
            self.metrics[key] = self.metrics.get(key, 0) + value

    def add_counts(self, counts: tuple[ExpectationCounts, ...]) -> None:
        for item in counts:
            for result in item.results:
                key = (item.dataset, result.name)
                before = self.expectations.get(key)
                self.expectations[key] = ExpectationResult(
                    result.name,
                    result.action,
                    result.passed + (before.passed if before else 0),
                    result.failed + (before.failed if before else 0),
                )


class GraphRun:
    """One run of the chosen datasets of a graph."""

    def __init__(
        self,
        graph: Graph,
        chosen: set[TableName],
        storage: Storage,
        pipeline: str,
        state: State,
        log: EventLog,
        executor: Executor,
        session: QuerySession,
        stop: threading.Event,
    ) -> None:
        self._stop = stop
        self._graph, self._chosen, self._storage, self._pipeline = graph, chosen, storage, pipeline
        self._state, self._log, self._executor, self._session = state, log, executor, session
        self._published = time.monotonic()

    def run(self) -> list[DatasetResult]:
        """Run the datasets; returns their results in the order of the graph.

        Datasets that depend on a failed one are skipped. Once `stop` is set, streams are stopped, and waiting
        datasets do not start.
        """
        names = [name for name in self._graph.datasets if name in self._chosen]
        for name in names:
            for flow in self._graph.datasets[name].flows:
                self._flow_event(name, flow, "QUEUED")
        # One thread more than cores: one of them usually waits for the driver, not for a core.
        with ThreadPoolExecutor(max_workers=(os.cpu_count() or 2) + 1) as pool:
            self._dag = DagRun(
                {name: self._graph.datasets[name].upstream & self._chosen for name in names},
                end_without_running=self._end_without_running,
                run=lambda name, before: self._run_dataset(name),
                submit=pool.submit,
            )
            try:
                while self._dag.active:
                    if self._stop.is_set():
                        self._stop_streams()
                    self._dag.step(STOP_POLL_SECONDS)
                    self._publish_sometimes()
            except BaseException:
                with suppress(Exception):  # Spark may have ended
                    self._stop_streams()
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        return [self._dag.results[name] for name in names]

    def _stop_streams(self) -> None:
        """Stop the running streams: each batch is committed as a whole or not at all."""
        for query in self._session.active_streams():
            query.stop()

    def _end_without_running(self, name: TableName) -> DatasetResult | None:
        if self._stop.is_set():
            return self._not_run(name, "STOPPED", STOPPED)
        if upstream := self._failed_upstream(name):
            note = f"upstream {upstream.table} failed"
            return self._not_run(name, "SKIPPED", note, level="WARN", reason=SkipReason.UPSTREAM_FAILED)
        return None

    def _failed_upstream(self, name: TableName) -> TableName | None:
        for upstream in sorted(self._graph.datasets[name].upstream, key=str):
            result = self._dag.results.get(upstream)
            if result and (result.status == "FAILED" or result.skip_reason is SkipReason.UPSTREAM_FAILED):
                return upstream
        return None

    def _not_run(
        self,
        name: TableName,
        status: FlowStatus,
        note: str,
        *,
        level: Level = "INFO",
        reason: SkipReason | None = None,
    ) -> DatasetResult:
        dataset = self._graph.datasets[name]
        for flow in dataset.flows:
            self._flow_event(name, flow, status, level=level, message=note)
        return DatasetResult(str(name), KINDS[dataset.definition.kind], status, note=note, skip_reason=reason)

    def _run_dataset(self, name: TableName) -> DatasetResult:
        if why_ended():
            ended = SkipReason.SPARK_ENDED
            return self._not_run(name, "SKIPPED", "Spark has ended", level="WARN", reason=ended)
        activate(self._session)
        dataset = self._graph.datasets[name]
        kind = KINDS[dataset.definition.kind]
        started = time.monotonic()
        tally = _Tally()
        did_something = False
        status: FlowStatus = "COMPLETED"
        note = ""
        skip_reason = None
        for flow in dataset.flows:
            if self._stop.is_set():
                self._flow_event(name, flow, "STOPPED", message=STOPPED)
                if status != "FAILED":  # a failure takes precedence
                    status, note = "STOPPED", STOPPED
                continue
            try:
                did_something |= self._run_flow(dataset, flow, tally)
            except _StoppedError:
                if status != "FAILED":
                    status, note = "STOPPED", STOPPED
            except Exception as error:
                status, note = "FAILED", self._failed(dataset, flow, tally, error)
        if not did_something and status == "COMPLETED":
            status, note, skip_reason = "SKIPPED", UP_TO_DATE, SkipReason.UP_TO_DATE
        return DatasetResult(
            name=str(name),
            kind=kind,
            status=status,
            rows_written=tally.rows,
            rows_dropped=tally.dropped,
            seconds=time.monotonic() - started,
            expectations=tuple(tally.expectations.values()),
            note=note,
            skip_reason=skip_reason,
            metrics=tally.metrics,
        )

    def _run_flow(self, dataset: Dataset, flow: Flow, tally: _Tally) -> bool:
        """Run one flow; False if there was nothing to do."""
        if dataset.is_materialized_view:
            return self._refresh(dataset, flow, tally)
        return self._stream(dataset, flow, tally)

    # Materialized views ---------------------------------------------------------------------------------

    def _refresh(self, dataset: Dataset, flow: Flow, tally: _Tally) -> bool:
        table = self._storage.table_path(dataset.name)
        last = self._state.dataset(str(dataset.name))
        why = why_stale(dataset, flow, last, self._storage)
        if not why:
            self._flow_event(dataset.name, flow, "SKIPPED", message=compared(flow, flow.reads))
            return False
        self._flow_event(dataset.name, flow, "STARTING", message=why)
        inputs = seen_now(self._storage, flow.reads)
        report = self._executor.refresh(RefreshRun(dataset, flow, self._query(dataset, flow), table))
        tally.add(report)
        assert report.version is not None
        done = refreshed(dataset, inputs, table, report.version)
        self._flow_event(dataset.name, flow, "COMPLETED", report=report, dataset=(str(dataset.name), done))
        return True

    # Streams --------------------------------------------------------------------------------------------

    def _stream(self, dataset: Dataset, flow: Flow, tally: _Tally) -> bool:
        progress = self._state.flow(flow.name)
        table = self._storage.table_path(dataset.name)
        if progress and progress.last_batch >= 0 and not Table(table).exists:
            raise LakerunError(
                f"Table {dataset.name} no longer exists, but its flow has progress: run again with "
                f"--full-refresh {dataset.name.table}."
            )
        if progress:
            check_sources(dataset, flow, progress, self._storage)
        if progress and nothing_new(flow, progress, self._storage):
            self._flow_event(dataset.name, flow, "SKIPPED", message=compared(flow, flow.streams))
            return False
        inputs = seen_now(self._storage, flow.streams)
        unread = {name: Seen(seen.table_id, UNREAD) for name, seen in inputs.items()}
        if progress is None:
            progress = FlowProgress(uuid.uuid4().hex, -1, unread)
            self._state.put_flow(flow.name, progress)
        self._flow_event(dataset.name, flow, "STARTING")
        current = progress
        batches = 0

        def on_batch(report: BatchReport) -> None:
            nonlocal current, batches
            batches += 1
            tally.add(report)
            current = FlowProgress(progress.epoch, report.batch_id, unread)
            self._flow_event(dataset.name, flow, "RUNNING", report=report, flow_progress=current)

        root = self._storage.pipeline_path(self._pipeline)
        run = StreamRun(
            dataset=dataset,
            flow=flow,
            query=self._query(dataset, flow),
            table=table,
            memory=cdc_memory(root, dataset.name),
            checkpoint=root / "checkpoints" / flow.name / progress.epoch,
            epoch=progress.epoch,
            last_batch=progress.last_batch,
            on_batch=on_batch,
        )
        execute = self._executor.apply_changes if flow.definition.cdc else self._executor.append
        try:
            files = ReadFiles(run.checkpoint, flow.folders) if flow.folders else None
            execute(run)
            if files and self._changed_files(dataset, flow, files):
                execute(replace(run, last_batch=current.last_batch))
        except Exception:
            if not self._stop.is_set():
                raise
        if self._stop.is_set():
            # The flow may also have completed: the next update finds out.
            self._flow_event(dataset.name, flow, "STOPPED", message=STOPPED)
            raise _StoppedError
        done = FlowProgress(current.epoch, current.last_batch, inputs)
        self._flow_event(dataset.name, flow, "COMPLETED" if batches else "SKIPPED", flow_progress=done)
        return batches > 0

    def _changed_files(self, dataset: Dataset, flow: Flow, files: ReadFiles) -> bool:
        """Report the files that changed after they were read; whether the flow must run again for them."""
        if self._stop.is_set():
            return False
        changed = files.changed()
        again = [file for file in changed if files.may_be_read_again(file)]
        ignored = [file for file in changed if file not in again]
        files.forget(again)
        fix = f"set the option allowOverwrites, or refresh '{dataset.name.table}' fully"
        self._changed_event(dataset, flow, ignored, "WARN", f"They are not read again: {fix}.")
        self._changed_event(dataset, flow, again, "INFO", "They are read again, as allowOverwrites is set.")
        files.looked()
        return bool(again)

    def _changed_event(
        self, dataset: Dataset, flow: Flow, files: list[Path], level: Level, what: str
    ) -> None:
        if files:
            names = ", ".join(file.name for file in files[:NAMED])
            more = f" and {len(files) - NAMED:,} more" if len(files) > NAMED else ""
            self._log.emit(
                "runtime_details",
                f"Flow '{flow.name}' had read files that have changed since: {names}{more}. {what}",
                {"runtime_details": {"changed_files": [str(file) for file in files]}},
                level=level,
                origin={"dataset_name": str(dataset.name), "flow_name": flow.name},
            )

    # Shared ---------------------------------------------------------------------------------------------

    def _query(self, dataset: Dataset, flow: Flow) -> Query:
        metrics: dict[str, tuple[str, tuple[ex.Expectation, ...]]] = {}

        def build(observe: Observe, fail: bool) -> DataFrame:
            metrics.clear()

            def apply(rows: DataFrame, name: str, declared: tuple[ex.Expectation, ...]) -> DataFrame:
                if not declared:
                    return rows
                metric = f"expectations_{len(metrics)}"
                metrics[metric] = (name, declared)
                return ex.enforce(rows, declared, metric, observe, fail=fail)

            def leaf(table: TableName, reader: Any, streaming: bool) -> DataFrame:
                known = [str(n) for n in self._graph.datasets]
                reader = bound_batch(reader) if streaming else reader
                return read_delta(self._storage, table, reader, known, as_files=not streaming)

            reader = QueryReader(self._graph.names, self._session, leaf, apply)
            return reader.build(flow.definition, dataset.definition, str(dataset.name))

        def counts(observed: Mapping[str, Mapping[str, object]]) -> tuple[ExpectationCounts, ...]:
            return tuple(
                ExpectationCounts.of(name, declared, observed.get(metric, {}))
                for metric, (name, declared) in metrics.items()
            )

        return Query(build, counts)

    def _failed(self, dataset: Dataset, flow: Flow, tally: _Tally, error: Exception) -> str:
        """Record a flow's failure; returns the message for the user."""
        report = None
        if isinstance(error, ExpectationFailedError):
            tally.add_counts(error.counts)
            report = BatchReport(-1, 0, error.counts)
        known = isinstance(error, LakerunError)
        message = str(error) if known else f"Flow '{flow.name}' failed: {root_cause(error).message}"
        logger.error("%s", message, exc_info=error)
        self._flow_event(
            dataset.name, flow, "FAILED", level="ERROR", message=message, report=report, error=error_of(error)
        )
        return message

    def _flow_event(
        self,
        name: TableName,
        flow: Flow,
        status: FlowStatus,
        *,
        level: Level = "INFO",
        message: str = "",
        report: BatchReport | None = None,
        error: Mapping[str, Any] | None = None,
        flow_progress: FlowProgress | None = None,
        dataset: tuple[str, Refreshed] | None = None,
    ) -> None:
        details: dict[str, Any] = {"status": status}
        if report is not None:
            # As on Databricks, a flow of changes has its upserted and deleted rows in place of output rows.
            upserts = "num_upserted_rows" in report.metrics
            details["metrics"] = {
                **({} if upserts else {"num_output_rows": report.rows_written}),
                "num_output_bytes": report.bytes_written,
                **report.metrics,
            }
            expectations = [
                {
                    "name": result.name,
                    "dataset": item.dataset,
                    "passed_records": result.passed,
                    "failed_records": result.failed,
                }
                for item in report.expectations
                for result in item.results
            ]
            if expectations:
                details["data_quality"] = {
                    "dropped_records": report.rows_dropped,
                    "expectations": expectations,
                }
            if level == "INFO" and (failures := _failures(report)):
                level, message = "WARN", f"Expectations failed: {failures}."
        text = f"Flow '{flow.name}' is {status}."
        self._log.emit(
            "flow_progress",
            f"{text} {message}" if message else text,
            {"flow_progress": details},
            level=level,
            origin={
                "dataset_name": str(name),
                "flow_name": flow.name,
                **({"batch_id": str(report.batch_id)} if report and report.batch_id >= 0 else {}),
            },
            error=error,
            flow=(flow.name, flow_progress) if flow_progress else None,
            dataset=dataset,
        )

    def _publish_sometimes(self) -> None:
        if time.monotonic() - self._published > PUBLISH_EVERY_SECONDS:
            self._log.publish()
            self._published = time.monotonic()


def _failures(report: BatchReport) -> str:
    """`valid_price for 12 of 708 records, ...`; empty if no expectation failed."""
    return ", ".join(
        f"{result.name} for {result.failed:,} of {result.passed + result.failed:,} records"
        for item in report.expectations
        for result in item.results
        if result.failed
    )


class _StoppedError(Exception):
    """The update was told to stop while a flow ran."""

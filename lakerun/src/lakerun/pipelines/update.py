"""One update of a pipeline: `run_update` plans it, runs the datasets that have work, reports the result."""

from __future__ import annotations

import shutil
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lakerun.bundles.model import PipelineSpec
from lakerun.bundles.review import check_supported
from lakerun.errors import LakerunError, first_line
from lakerun.pipelines.definitions import Definitions, load_definitions
from lakerun.pipelines.event_log import EventLog, error_of
from lakerun.pipelines.graph import RESET_ALLOWED, Dataset, Flow, Graph, resolve
from lakerun.pipelines.results import DatasetResult, Listener, UpdateResult, UpdateState
from lakerun.pipelines.run_graph import GraphRun
from lakerun.pipelines.state import State, cdc_memory
from lakerun.spark.process_usage import ProcessUsage
from lakerun.spark.session import session_with, sized_settings
from lakerun.spark.volumes import volumes_in_spark
from lakerun.tables.storage import Storage, TableName

if TYPE_CHECKING:
    from lakerun.pipelines.executor import Executor


@dataclass(frozen=True)
class Selection:
    """The user's options for an update, which by default runs everything incrementally."""

    refresh: tuple[str, ...] = ()
    full_refresh: tuple[str, ...] = ()
    full_refresh_all: bool = False
    validate_only: bool = False
    cause: str = "USER_ACTION"


@dataclass
class _Update:
    spec: PipelineSpec
    storage: Storage
    selection: Selection
    log: EventLog
    state: State
    update_id: str
    stop: threading.Event
    started: float = field(default_factory=time.monotonic)


def run_update(
    spec: PipelineSpec,
    *,
    storage: Storage,
    selection: Selection | None = None,
    on_event: Listener | None = None,
    executor: Executor | None = None,
    stop: threading.Event | None = None,
    update_id: str | None = None,
) -> UpdateResult:
    """Update a pipeline's tables with the data that has arrived, on local Spark.

    The caller must hold `storage.exclusive`, and run one update at a time in a process: loading pipeline
    files changes Spark's decorators and the import path. A failed flow makes the result FAILED; datasets
    that do not depend on it still run. Once `stop` is set, running streams are stopped, nothing else starts,
    and the result is CANCELED; commits stay, and the next update continues from them. `update_id` is a new
    UUID by default. Raises LakerunError for settings and definitions that cannot run, before it changes any
    table.
    """
    check_supported(spec)
    selection = selection or Selection()
    update_id = update_id or str(uuid.uuid4())
    state = State(storage.pipeline_path(spec.key) / "state.db")
    event_table = storage.table_path(event_log_table(spec))
    origin = {
        "cloud": "laptop",
        "pipeline_id": spec.key,
        "pipeline_name": spec.name,
        "pipeline_type": "WORKSPACE",
        "update_id": update_id,
    }
    log = EventLog(state, event_table, origin, on_event)
    update = _Update(spec, storage, selection, log, state, update_id, stop or threading.Event())
    usage = ProcessUsage()
    try:
        _close_killed_updates(update)
        state.begin_update(update_id)
        try:
            return _run(update, executor)
        except BaseException as error:
            reason = "canceled" if isinstance(error, KeyboardInterrupt) else "failed"
            _progress(update, "CANCELED" if reason == "canceled" else "FAILED", error=error)
            raise
        finally:
            state.end_update(update_id)
            _log_usage(log, usage)
            log.publish()
    finally:
        state.close()


def _log_usage(log: EventLog, usage: ProcessUsage) -> None:
    """Databricks has no such event, but executor times in flow_progress metrics, without memory."""
    used = usage.details()
    message = f"The update took {used['wall_seconds']} s."
    log.emit("update_resources", message, {"update_resources": used}, level="METRICS")


def event_log_table(spec: PipelineSpec) -> TableName:
    """The table in which a pipeline's event log is published."""
    return spec.event_log or TableName(spec.catalog, spec.schema, f"event_log_{spec.key}")


def _run(update: _Update, executor: Executor | None) -> UpdateResult:
    spec, selection = update.spec, update.selection
    update.log.emit(
        "create_update",
        f"Update {update.update_id[:6]} of {spec.name} started.",
        {
            "create_update": {
                "cause": selection.cause,
                "full_refresh": selection.full_refresh_all,
                "refresh_selection": list(selection.refresh),
                "full_refresh_selection": list(selection.full_refresh),
                "validate_only": selection.validate_only,
                "config": {"configuration": dict(spec.configuration), "serverless": spec.serverless},
            }
        },
    )
    _progress(update, "INITIALIZING")
    with (
        session_with(sized_settings(update.storage) | spec.configuration, spec.spark_conf) as session,
        volumes_in_spark(session, update.storage),
    ):
        before = session.snapshot()
        definitions = load_definitions(spec.source_files, session, spec.root_path)
        by_code = session.changed_since(before)
        _log_printed(update, definitions)
        _log_without_effect(update, definitions)
        graph = resolve(
            definitions,
            session,
            update.storage,
            spec.catalog,
            spec.schema,
            settings=spec.spark_conf | spec.configuration | by_code,
        )
        chosen = _chosen(update, graph)
        _describe(update, graph)
        if update.stop.is_set():
            return _canceled(update, ())
        if selection.validate_only:
            _progress(update, "COMPLETED")
            return UpdateResult(spec.key, update.update_id, "COMPLETED", (), _seconds(update))
        _progress(update, "SETTING_UP_TABLES")
        _reset(update, graph)
        _progress(update, "RUNNING")
        if executor is None:
            from lakerun.pipelines.spark_executor import SparkExecutor

            executor = SparkExecutor(session)
        run = GraphRun(
            graph, chosen, update.storage, spec.key, update.state, update.log, executor, session, update.stop
        )
        results = run.run()
    if any(result.status == "STOPPED" for result in results):
        return _canceled(update, tuple(results))
    failed = [result for result in results if result.status == "FAILED"]
    state: UpdateState = "FAILED" if failed else "COMPLETED"
    error = failed[0].note if failed else None
    _progress(update, state, message=error)
    return UpdateResult(spec.key, update.update_id, state, tuple(results), _seconds(update), error)


def _canceled(update: _Update, results: tuple[DatasetResult, ...]) -> UpdateResult:
    _progress(update, "CANCELED")
    error = "the update was canceled"
    return UpdateResult(update.spec.key, update.update_id, "CANCELED", results, _seconds(update), error)


def _close_killed_updates(update: _Update) -> None:
    """Record the end of updates whose process was killed, and publish their events."""
    for killed in update.state.unfinished_updates():
        update.log.emit(
            "update_progress",
            f"Update {killed[:6]} is FAILED: its process was killed.",
            {"update_progress": {"state": "FAILED", "cause": "PROCESS_KILLED"}},
            level="ERROR",
            origin={"update_id": killed},
        )
        update.state.end_update(killed)
    update.log.publish()


def _chosen(update: _Update, graph: Graph) -> set[TableName]:
    """The tables that this update runs; UnknownNameError for an unknown name."""
    selection = update.selection
    for name in sorted(graph.select(selection.full_refresh) & graph.protected, key=str):
        raise LakerunError(
            f"Table '{name.table}' cannot be refreshed fully: it has {RESET_ALLOWED}=false. Leave it out, or "
            "remove the property."
        )
    named = graph.select(selection.refresh) | graph.select(selection.full_refresh)
    if selection.full_refresh_all or not named:
        return set(graph.datasets)
    return named | graph.streaming_consumers(graph.select(selection.full_refresh))


def _reset(update: _Update, graph: Graph) -> None:
    """Empty the tables of a full refresh; after a kill the next update repeats it.

    A table that streams from one of them must restart as well, as its source is a new table. A protected
    table keeps its rows and reads all rows of the new source.
    """
    selection = update.selection
    protected = graph.protected
    every = selection.full_refresh_all
    asked = set(graph.datasets) - protected if every else graph.select(selection.full_refresh)
    reached = graph.streaming_consumers(asked)
    emptied = reached - protected
    kept = protected & (reached | set(graph.datasets) if every else reached)
    restarted = [flow.name for name in kept for flow in graph.datasets[name].flows if flow.streams & emptied]
    for name in sorted(kept, key=str):
        text = f"Table '{name.table}' keeps its rows: it has {RESET_ALLOWED}=false."
        again = [flow.name for flow in graph.datasets[name].flows if flow.name in restarted]
        if again:
            text += " It streams from a table that is created again, and reads all of its rows."
        update.log.emit(
            "runtime_details",
            text,
            {"runtime_details": {"kept": str(name), "restarted_flows": again}},
            level="WARN",
            origin={"dataset_name": str(name)},
        )
    if emptied:
        update.state.request_reset(
            {str(name): [flow.name for flow in graph.datasets[name].flows] for name in emptied}, restarted
        )
    root = update.storage.pipeline_path(update.spec.key)
    for pending in update.state.pending_resets():
        table = graph.names.table(pending)
        shutil.rmtree(update.storage.table_path(table), ignore_errors=True)
        shutil.rmtree(cdc_memory(root, table), ignore_errors=True)
        for flow in graph.datasets[table].flows if table in graph.datasets else ():
            shutil.rmtree(root / "checkpoints" / flow.name, ignore_errors=True)
        update.state.reset_done(pending)


def _log_printed(update: _Update, definitions: Definitions) -> None:
    """Report what the pipeline's code printed while it loaded."""
    if definitions.printed:
        update.log.emit(
            "runtime_details",
            definitions.printed[0],
            {"runtime_details": {"output": definitions.printed}},
        )


def _log_without_effect(update: _Update, definitions: Definitions) -> None:
    """Report what the pipeline's settings and code ask for and what changes nothing here."""
    found = [finding.message for finding in update.spec.without_effect] + definitions.without_effect
    if found:
        names = ", ".join(text.partition(":")[0] for text in found)
        details = {"runtime_details": {"without_effect": found}}
        update.log.emit("runtime_details", f"Without effect here: {names}.", details)


def _describe(update: _Update, graph: Graph) -> None:
    for name, dataset in graph.datasets.items():
        definition = dataset.definition
        columns = [{"name": f.name, "data_type": f.dataType.simpleString()} for f in dataset.schema]
        update.log.emit(
            "dataset_definition",
            f"Dataset '{name}' defined as {definition.kind}.",
            {
                "dataset_definition": {
                    "dataset_type": definition.kind,
                    "num_flows": len(dataset.flows),
                    "schema": columns,
                    "table_properties": dict(definition.table_properties),
                }
            },
            origin={"dataset_name": str(name)},
        )
        for flow in dataset.flows:
            reads = [{"dataset": {"name": str(read)}} for read in sorted(flow.reads, key=str)]
            kind = _flow_type(dataset, flow)
            update.log.emit(
                "flow_definition",
                f"Flow '{flow.name}' defined as {kind}.",
                {
                    "flow_definition": {
                        "output_dataset": str(name),
                        "input_datasets": reads,
                        "flow_type": kind,
                        "schema": columns,
                        "spark_conf": dict(flow.settings),
                    }
                },
                origin={"dataset_name": str(name), "flow_name": flow.name},
            )


def _flow_type(dataset: Dataset, flow: Flow) -> str:
    if flow.definition.cdc:
        return "CHANGE"
    return "COMPLETE" if dataset.is_materialized_view else "APPEND"


def _progress(
    update: _Update, state: str, *, message: str | None = None, error: BaseException | None = None
) -> None:
    details: Mapping[str, Any] = {"update_progress": {"state": state}}
    text = f"Update {update.update_id[:6]} is {state}."
    if error is not None:
        message = first_line(error)
    update.log.emit(
        "update_progress",
        f"{text} {message}" if message else text,
        details,
        level="ERROR" if state == "FAILED" else "INFO",
        error=error_of(error) if error is not None else None,
    )


def _seconds(update: _Update) -> float:
    return time.monotonic() - update.started

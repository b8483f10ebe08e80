"""Runs a pipeline and kills its own process at a chosen moment: `killed_run.py SPEC HOME MOMENT`."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lakerun.bundles.model import PipelineSpec
from lakerun.pipelines import run_graph, spark_executor, state
from lakerun.pipelines.update import run_update
from lakerun.tables.delta_table import Table
from lakerun.tables.storage import Storage, TableName


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def after_bronze_is_done() -> None:
    """Bronze is complete and reported; the datasets after it have not started."""
    original = run_graph.GraphRun._run_dataset

    def run(self: Any, name: TableName) -> Any:
        result = original(self, name)
        if name.table == "raw":
            die()
        return result

    run_graph.GraphRun._run_dataset = run  # type: ignore[method-assign]


def between_commit_and_checkpoint() -> None:
    """Delta has the batch; the stream's checkpoint and the event log do not."""
    spark_executor._Reports.executed = die  # type: ignore[method-assign]


def between_checkpoint_and_report() -> None:
    """Delta and the checkpoint have the batch; the event log does not."""
    spark_executor._Reports._report = die  # type: ignore[method-assign,assignment]


def in_a_merge_before_its_report() -> None:
    """An auto CDC batch is merged but not reported."""
    original = spark_executor._Reports._report

    def report(self: Any, batch_id: int, progress: Any) -> Any:
        if self._run.flow.definition.cdc:
            die()
        return original(self, batch_id, progress)

    spark_executor._Reports._report = report  # type: ignore[method-assign]


def in_the_middle_of_a_view() -> None:
    """Files of a materialized view are written but not committed."""
    original = spark_executor.SparkExecutor.refresh

    def refresh(self: Any, run: Any) -> Any:
        self.create_table(run.dataset, run.table)
        version = Table(run.table).newest

        def watch() -> None:
            while not list(run.table.glob("*.parquet")):
                time.sleep(0.0005)
            if Table(run.table).newest == version:
                die()

        threading.Thread(target=watch, daemon=True).start()
        original(self, run)
        time.sleep(60)  # the watcher must have been fast enough
        raise AssertionError("the view was committed before it could be killed")

    spark_executor.SparkExecutor.refresh = refresh  # type: ignore[method-assign]


def after_the_event_log_is_written() -> None:
    """The event log table has the events; the pipeline's state still lists them."""
    state.State.published = die  # type: ignore[method-assign,assignment]


MOMENTS: dict[str, Callable[[], None]] = {
    function.__name__: function
    for function in (
        after_bronze_is_done,
        between_commit_and_checkpoint,
        between_checkpoint_and_report,
        in_a_merge_before_its_report,
        in_the_middle_of_a_view,
        after_the_event_log_is_written,
    )
}


def main() -> None:
    spec, home, moment = sys.argv[1:]
    MOMENTS[moment]()
    run_update(PipelineSpec.model_validate_json(Path(spec).read_text()), storage=Storage(Path(home)))


if __name__ == "__main__":
    main()

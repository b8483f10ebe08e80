"""The output of `lakerun run` during a run and at its end, from hand-made events and results."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from lakerun.cli.progress import LiveView, Plain, RunState, progress_on
from lakerun.cli.summary import print_summary, reason, succeeded
from lakerun.jobs.results import JobResult, TaskResult, TaskUpdate
from lakerun.pipelines.results import DatasetResult, Event, ExpectationResult, SkipReason, UpdateResult

SILVER = "c.s.silver_orders"


def flow_event(status: str, flow: str = "f", dataset: str = SILVER, **details: Any) -> Event:
    return Event(
        id="e",
        sequence=1,
        timestamp=datetime(2024, 1, 1, tzinfo=UTC),
        level="INFO",
        event_type="flow_progress",
        message="",
        origin={"pipeline_name": "refinery", "dataset_name": dataset, "flow_name": flow},
        details={"flow_progress": {"status": status, **details}},
    )


def batch(rows: int, dropped: int = 0, flow: str = "f") -> Event:
    return flow_event(
        "RUNNING", flow, metrics={"num_output_rows": rows}, data_quality={"dropped_records": dropped}
    )


def plain() -> tuple[Plain, io.StringIO]:
    out = io.StringIO()
    return Plain(Console(file=out, width=200)), out


def summary(result: UpdateResult | JobResult) -> str:
    out = io.StringIO()
    print_summary(Console(file=out, width=200), result)
    return out.getvalue()


def test_a_dataset_is_reported_once_with_the_rows_of_all_its_batches() -> None:
    progress, out = plain()
    for event in (flow_event("QUEUED"), flow_event("STARTING"), batch(90, 10), batch(45, 5)):
        progress.on_event(event)
    assert out.getvalue() == ""
    progress.on_event(flow_event("COMPLETED"))
    assert out.getvalue().startswith("  silver_orders COMPLETED 135 rows, 15 dropped ")
    assert out.getvalue().count("\n") == 1


def test_a_dataset_with_two_flows_is_done_when_both_are() -> None:
    progress, out = plain()
    for event in (flow_event("QUEUED", "a"), flow_event("QUEUED", "b"), batch(3, flow="a")):
        progress.on_event(event)
    progress.on_event(flow_event("COMPLETED", "a"))
    assert out.getvalue() == ""
    progress.on_event(batch(4, flow="b"))
    progress.on_event(flow_event("COMPLETED", "b"))
    assert "silver_orders COMPLETED 7 rows" in out.getvalue()


def test_a_failed_dataset_is_reported_and_one_that_is_up_to_date_is_not() -> None:
    progress, out = plain()
    progress.on_event(flow_event("FAILED"))
    progress.on_event(flow_event("SKIPPED", dataset="c.s.gold"))
    assert "silver_orders FAILED" in out.getvalue()
    assert "gold" not in out.getvalue()


def test_tasks_are_reported_as_they_change() -> None:
    progress, out = plain()
    for update in (
        TaskUpdate("nightly", "bronze", "PENDING"),
        TaskUpdate("nightly", "bronze", "RUNNING"),
        TaskUpdate("nightly", "bronze", "FAILED", 2.5, "no [such] file"),
    ):
        progress.on_task(update)
    assert out.getvalue().splitlines() == [
        "task nightly.bronze RUNNING",
        "task nightly.bronze FAILED in 2.5 s: no [such] file",
    ]


def test_the_live_view_shows_tasks_datasets_rows_and_progress() -> None:
    console = Console(file=io.StringIO(), width=120, height=40, force_terminal=True, color_system=None)
    view = LiveView(console)
    view.say("Starting Spark")
    view.on_task(TaskUpdate("nightly", "refinery", "RUNNING"))
    view.on_event(flow_event("QUEUED", dataset="c.s.gold_sales"))
    view.on_event(batch(1234))
    view.say("Starting Spark")
    console.print(view)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "nightly.refinery" in text
    assert "refinery (0 of 2)" in text
    assert "1,234" in text
    assert "gold_sales" in text
    assert "Starting Spark" in text


def test_a_small_screen_prefers_running_to_waiting_datasets() -> None:
    console = Console(file=io.StringIO(), width=120, height=12, force_terminal=True, color_system=None)
    view = LiveView(console)
    for number in range(30):
        view.on_event(flow_event("QUEUED", dataset=f"c.s.waiting_{number}"))
    view.on_event(flow_event("RUNNING", dataset="c.s.busy"))
    console.print(view)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "refinery (0 of 31)" in text
    assert "busy" in text
    assert "waiting" not in text


def test_an_event_without_a_dataset_changes_no_dataset() -> None:
    state = RunState()
    event = Event(
        "e", 1, datetime(2024, 1, 1, tzinfo=UTC), "INFO", "update_progress", "", {"pipeline_name": "p"},
        {"update_progress": {"state": "RUNNING"}},
    )  # fmt: skip
    assert state.event(event) is None
    assert {name: update.datasets for name, update in state.pipelines.items()} == {"p": {}}


def test_json_output_is_not_mixed_with_progress() -> None:
    out = io.StringIO()
    with progress_on(Console(file=out, force_terminal=True), silent=True) as progress:
        progress.say("Starting Spark")
        progress.on_event(flow_event("FAILED"))
        progress.on_task(TaskUpdate("j", "t", "RUNNING"))
    assert out.getvalue() == ""


def update(*datasets: DatasetResult, state: Any = "COMPLETED", error: str | None = None) -> UpdateResult:
    return UpdateResult("refinery", "u1", state, datasets, 12.34, error)


ORDERS = DatasetResult(
    SILVER,
    "streaming table",
    "COMPLETED",
    rows_written=9500,
    rows_dropped=420,
    seconds=3.21,
    expectations=(
        ExpectationResult("valid_price", "DROP", 9600, 400),
        ExpectationResult("reasonable_order_value", "ALLOW", 9979, 21),
        ExpectationResult("valid_order_id", "DROP", 10000, 0),
    ),
)


def test_the_summary_counts_rows_and_each_broken_expectation() -> None:
    text = summary(update(ORDERS))
    (line,) = [line for line in text.splitlines() if "silver_orders" in line]
    assert line.split()[:3] == ["silver_orders", "9,500", "420"]
    assert "valid_price dropped 400" in line
    assert "reasonable_order_value warned 21" in text
    assert "1 held" in text
    assert "valid_order_id" not in text
    assert text.splitlines()[-1] == "refinery COMPLETED in 12.3 s"


def test_rows_dropped_into_a_quarantine_table_are_called_quarantined() -> None:
    text = summary(update(ORDERS, DatasetResult("c.s.quarantine_orders", "streaming table", "SKIPPED")))
    assert "valid_price quarantined 400" in text
    assert "reasonable_order_value warned 21" in text


def test_datasets_without_new_data_are_one_line() -> None:
    current = SkipReason.UP_TO_DATE
    text = summary(
        update(
            ORDERS,
            DatasetResult(
                "c.s.gold_a", "materialized view", "SKIPPED", note="up to date", skip_reason=current
            ),
            DatasetResult("c.s.gold_b", "view", "SKIPPED", skip_reason=current),
        )
    )
    assert "up to date: gold_a, gold_b" in text.splitlines()


def test_datasets_skipped_after_a_failure_have_a_reason() -> None:
    failed = DatasetResult(SILVER, "streaming table", "FAILED", note="expectation 'x' failed")
    after = DatasetResult(
        "c.s.gold",
        "materialized view",
        "SKIPPED",
        note="silver_orders failed",
        skip_reason=SkipReason.UPSTREAM_FAILED,
    )
    result = update(failed, after, state="FAILED", error="silver_orders: expectation 'x' failed")
    text = summary(result)
    assert "silver_orders FAILED" in text
    assert "gold SKIPPED" in text
    assert "silver_orders failed" in text
    assert not succeeded(result)
    assert reason(result) == "silver_orders: expectation 'x' failed"


def test_a_jobs_summary_includes_the_updates_of_nested_jobs() -> None:
    nested = JobResult(
        "inner", "2", "SUCCESS", (TaskResult("m", "SUCCESS", 1.0, update=update(ORDERS)),), 1.0
    )
    job = JobResult("outer", "1", "SUCCESS", (TaskResult("n", "SUCCESS", 1.0, job=nested),), 2.0)
    assert "silver_orders" in summary(job)
    assert succeeded(job)
    assert summary(job).splitlines()[-1] == "outer SUCCESS in 2.0 s"


def test_a_failed_jobs_reason_names_the_task() -> None:
    tasks = (
        TaskResult("a", "FAILED", 1.0, error="no such file"),
        TaskResult("b", "UPSTREAM_FAILED", 0.0, "a failed"),
    )
    assert reason(JobResult("j", "1", "FAILED", tasks, 1.0)) == "task 'a': no such file"

"""The progress of datasets from an update's events, with expected values computed by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lakerun.pipelines.progress import DatasetProgress, UpdateProgress
from lakerun.pipelines.results import DatasetResult, ExpectationResult

ORDERS = "c.s.orders"
START = datetime(2024, 3, 1, 3, 0, tzinfo=UTC)


def after(*events: tuple[Any, ...]) -> DatasetProgress:
    """The dataset after events of its flows, one per second: flow, status, more details."""
    update = UpdateProgress()
    for number, (flow, status, *more) in enumerate(events):
        body = {"status": status, **(more[0] if more else {})}
        origin = {"dataset_name": ORDERS, "flow_name": flow}
        update.add("flow_progress", START + timedelta(seconds=number), origin, {"flow_progress": body})
    return update.datasets[ORDERS]


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ([("a", "COMPLETED"), ("b", "FAILED")], "FAILED"),
        ([("a", "COMPLETED"), ("b", "STOPPED")], "STOPPED"),
        ([("a", "FAILED"), ("b", "STOPPED")], "FAILED"),
        ([("a", "SKIPPED"), ("b", "COMPLETED")], "COMPLETED"),
        ([("a", "SKIPPED"), ("b", "EXCLUDED")], "EXCLUDED"),
        ([("a", "QUEUED"), ("b", "COMPLETED")], "QUEUED"),
        ([("a", "STARTING"), ("a", "COMPLETED"), ("b", "QUEUED")], "RUNNING"),
        ([("a", "RUNNING"), ("b", "STARTING")], "RUNNING"),
        ([("a", "PLANNING"), ("b", "QUEUED")], "PLANNING"),
        ([("a", "RUNNING"), ("a", "COMPLETED")], "COMPLETED"),
    ],
)
def test_a_datasets_status_is_that_of_its_worst_flow(events: list[tuple[str, str]], status: str) -> None:
    assert after(*events).status == status


def test_a_dataset_lasts_from_its_first_flows_start_to_its_last_flows_end() -> None:
    flows = [("a", "QUEUED"), ("b", "QUEUED"), ("a", "STARTING"), ("a", "COMPLETED")]
    between = after(*flows)
    assert (between.is_over, between.ended) == (False, None)
    done = after(*flows, ("b", "STARTING"), ("b", "COMPLETED"))
    assert (done.is_over, done.seconds) == (True, 3.0)  # from the third event to the sixth
    assert after(("a", "QUEUED")).seconds is None


def test_rows_and_counts_add_up_and_a_result_replaces_them() -> None:
    def batch(rows: int, passed: int, failed: int) -> dict[str, Any]:
        rule = {"name": "valid", "passed_records": passed, "failed_records": failed}
        return {
            "metrics": {"num_output_rows": rows},
            "data_quality": {"dropped_records": failed, "expectations": [rule]},
        }

    dataset = after(("a", "RUNNING", batch(90, 90, 10)), ("a", "RUNNING", batch(45, 45, 5)))
    assert (dataset.rows, dataset.dropped, dataset.failed) == (135, 15, 15)
    (rule,) = dataset.expectations.values()
    assert (rule.name, rule.passed, rule.failed, rule.action) == ("valid", 135, 15, None)
    result = DatasetResult(
        ORDERS, "streaming table", "FAILED", 140, 16, 2.5,
        (ExpectationResult("valid", "DROP", 140, 16), ExpectationResult("valid", "ALLOW", 1, 0)), "no disk",
    )  # fmt: skip
    dataset.conclude(result)
    assert (dataset.status, dataset.rows, dataset.dropped, dataset.seconds) == ("FAILED", 140, 16, 2.5)
    assert [(each.failed, each.action) for each in dataset.expectations.values()] == [
        (16, "DROP"),
        (0, "ALLOW"),
    ]
    assert dataset.message == "no disk"


def test_adding_an_event_returns_the_dataset_that_it_ended() -> None:
    update = UpdateProgress()
    origin = {"dataset_name": ORDERS, "flow_name": "a"}
    ended = [
        update.add("flow_progress", START, origin, {"flow_progress": {"status": status}})
        for status in ("QUEUED", "STARTING", "COMPLETED", "COMPLETED")
    ]
    assert ended == [None, None, update.datasets[ORDERS], None]


def test_flows_still_running_at_the_end_of_an_update_are_stopped() -> None:
    update = UpdateProgress()
    for table, status in (("a", "RUNNING"), ("b", "QUEUED"), ("c", "COMPLETED")):
        origin = {"dataset_name": f"c.s.{table}", "flow_name": table}
        update.add("flow_progress", START, origin, {"flow_progress": {"status": status}})
    update.end(START + timedelta(seconds=7))
    found = {each.table: (each.status, each.seconds) for each in update.datasets.values()}
    assert found == {"a": ("STOPPED", 7.0), "b": ("STOPPED", None), "c": ("COMPLETED", None)}

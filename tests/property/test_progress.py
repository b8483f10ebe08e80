"""The runtime and the metrics export read the same progress from events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ecommerce_lakehouse.observability.metrics_export.events import Event, metrics_of
from lakerun.pipelines.progress import UpdateProgress

START = datetime(2024, 3, 1, 3, 0, tzinfo=UTC)
STATES = ("QUEUED", "PLANNING", "IDLE", "STARTING", "RUNNING", "COMPLETED", "FAILED", "SKIPPED", "STOPPED")
COUNTS = st.integers(0, 50)
EXPECTATIONS = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(("valid_price", "valid_quantity")),
            "passed_records": COUNTS,
            "failed_records": COUNTS,
        },
        optional={"dataset": st.sampled_from(("checked_orders", "c.s.silver_orders"))},
    ),
    max_size=2,
)
BODIES = st.fixed_dictionaries(
    {"status": st.sampled_from((*STATES, "EXCLUDED"))},
    optional={
        "metrics": st.fixed_dictionaries({"num_output_rows": COUNTS}),
        "data_quality": st.fixed_dictionaries({"dropped_records": COUNTS, "expectations": EXPECTATIONS}),
    },
)
FLOWS = st.tuples(st.sampled_from(("silver_orders", "gold_sales")), st.sampled_from(("one", "two")), BODIES)


@settings(max_examples=300)
@given(st.lists(FLOWS, min_size=1, max_size=12))
def test_the_runtime_and_the_export_read_the_same_events_alike(
    flows: list[tuple[str, str, dict[str, Any]]],
) -> None:
    update, events = UpdateProgress(), []
    for second, (table, flow, body) in enumerate(flows):
        at, name, details = START + timedelta(seconds=second), f"c.s.{table}", {"flow_progress": body}
        update.add("flow_progress", at, {"dataset_name": name, "flow_name": flow}, details)
        events.append(Event(at, "flow_progress", "INFO", "", details, dataset_name=name, flow_name=flow))
    exported = metrics_of("u1", "prod.shop", "prod.shop.event_log_p", events)
    assert {
        name: (found.status, found.rows or 0, found.dropped, found.started, found.ended)
        for name, found in update.datasets.items()
    } == {
        row["dataset_name"]: (
            row["status"],
            row["rows_written"],
            row["rows_dropped"],
            row["started_at"],
            row["ended_at"],
        )
        for row in exported.datasets
    }
    counts: dict[tuple[str, str], tuple[int, int]] = {}
    for found in update.datasets.values():
        for (dataset, name), each in found.expectations.items():
            passed, failed = counts.get((dataset, name), (0, 0))
            counts[dataset, name] = passed + each.passed, failed + each.failed
    assert counts == {
        (row["dataset_name"], row["expectation_name"]): (row["passed_records"], row["failed_records"])
        for row in exported.expectations
    }

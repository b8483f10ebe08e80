"""Which notifications a run and an update leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lakerun.workspace.services.jobs.notifications import notify_of_run, notify_of_update
from lakerun.workspace.store import Store

EMAILS = {"on_success": ["ana@example.com"], "on_failure": ["ben@example.com"]}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state.db")


def told(store: Store) -> list[tuple[str, str]]:
    return [(note["to"], note["event"]) for note in store.list("notification")]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"email_notifications": EMAILS}, [("ben@example.com", "on_failure")]),
        ({"email_notifications": {**EMAILS, "no_alert_for_skipped_runs": True}}, []),
        (
            {"email_notifications": EMAILS, "notification_settings": {"no_alert_for_skipped_runs": True}},
            [],
        ),
        (
            {
                "email_notifications": {**EMAILS, "no_alert_for_skipped_runs": True},
                "webhook_notifications": {"on_failure": [{"id": "hook"}]},
            },
            [("hook", "on_failure")],
        ),
    ],
)
def test_a_skipped_run_is_told_unless_its_settings_say_otherwise(
    store: Store, settings: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    run = {"job_id": 1, "run_id": 2, "run_name": "nightly", "run_page_url": "", "state": {}}
    run["state"] = {"life_cycle_state": "SKIPPED", "result_state": "FAILED"}
    notify_of_run(store, settings, run)
    assert told(store) == expected


@pytest.mark.parametrize(
    ("state", "status", "expected"),
    [
        ("COMPLETED", "COMPLETED", ["on-update-success"]),
        ("FAILED", "FAILED", ["on-update-failure", "on-update-fatal-failure", "on-flow-failure"]),
        ("FAILED", "COMPLETED", ["on-update-failure", "on-update-fatal-failure"]),
        ("CANCELED", "STOPPED", []),
    ],
)
def test_an_update_tells_what_it_is_asked_for(
    store: Store, state: str, status: str, expected: list[str]
) -> None:
    every = ["on-update-success", "on-update-failure", "on-update-fatal-failure", "on-flow-failure"]
    config = {"name": "sales", "notifications": [{"alerts": every, "email_recipients": ["ana@example.com"]}]}
    datasets = [{"name": "main.shop.orders", "status": status}]
    update = {"pipeline_id": "p", "update_id": "u", "state": state, "config": config}
    notify_of_update(store, {**update, "result": {"datasets": datasets}})
    assert told(store) == [("ana@example.com", event) for event in expected]

"""Records the notifications that jobs and pipelines ask for, as documents of kind "notification"."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from typing import Any

from lakerun.workspace.services.checks import now_ms
from lakerun.workspace.store import Document, Store

logger = logging.getLogger(__name__)


def notify_of_run(
    store: Store, settings: Mapping[str, Any], run: Mapping[str, Any], event: str | None = None
) -> None:
    """Record the notifications about a run's start, or about its end."""
    event = event or ("on_success" if run["state"].get("result_state") == "SUCCESS" else "on_failure")
    options = settings.get("notification_settings") or {}
    result = run["state"].get("result_state")
    if options.get("no_alert_for_canceled_runs") and result == "CANCELED":
        return
    is_skipped = run["state"]["life_cycle_state"] == "SKIPPED"
    if options.get("no_alert_for_skipped_runs") and is_skipped:
        return
    for channel in ("email", "webhook"):
        wanted = settings.get(f"{channel}_notifications") or {}
        if wanted.get("no_alert_for_skipped_runs") and is_skipped:
            continue
        for to in wanted.get(event) or []:
            body: Document = {
                "channel": channel,
                "to": to["id"] if isinstance(to, Mapping) else to,
                "event": event,
                "job_id": run["job_id"],
                "run_id": run["run_id"],
                "subject": f"{run['run_name']}: {event.removeprefix('on_')}",
                "message": run["state"].get("state_message", ""),
                "url": run["run_page_url"],
            }
            _note(store, body, str(run["run_id"]))


def notify_of_update(store: Store, update: Mapping[str, Any]) -> None:
    """Record the notifications about the end of a pipeline's update."""
    # Nothing tries a failed update again, so that every failure is final.
    alerts = {"COMPLETED": ["on-update-success"], "FAILED": ["on-update-failure", "on-update-fatal-failure"]}
    events = alerts.get(update["state"], [])
    datasets = (update.get("result") or {}).get("datasets", ())
    if any(dataset["status"] == "FAILED" for dataset in datasets):
        events = [*events, "on-flow-failure"]
    for wanted in update["config"].get("notifications") or []:
        for event in [event for event in events if event in (wanted.get("alerts") or [])]:
            for to in wanted.get("email_recipients") or []:
                body: Document = {
                    "channel": "email",
                    "to": to,
                    "event": event,
                    "pipeline_id": update["pipeline_id"],
                    "update_id": update["update_id"],
                    "subject": f"{update['config'].get('name', '')}: {event}",
                }
                _note(store, body, update["update_id"])


def _note(store: Store, body: Document, parent: str) -> None:
    notification_id = str(uuid.uuid4())
    store.put("notification", notification_id, {"id": notification_id, "time": now_ms(), **body}, parent)
    logger.info("notification for %s: %s", body["to"], body["subject"])

"""Runs and their tasks in the format of `GET /api/2.2/jobs/runs/get`: built once, then changed by updates.

Older clients read `state`, newer ones `status`; both have the same content.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lakerun.bundles.model import JobSpec
from lakerun.jobs.results import JobResult, TaskState, TaskUpdate
from lakerun.jobs.tasks import TaskOutcome
from lakerun.workspace.store import Document

ENDED = ("TERMINATED", "SKIPPED", "INTERNAL_ERROR")  # life cycle states
# Settings of a task that its runs do not have.
NOT_IN_RUN = ("email_notifications", "webhook_notifications", "notification_settings", "health")

# State of the runner: result state, termination code, termination type.
_ENDS: dict[str, tuple[str, str, str]] = {
    "SUCCESS": ("SUCCESS", "SUCCESS", "SUCCESS"),
    "SUCCESS_WITH_FAILURES": ("SUCCESS_WITH_FAILURES", "SUCCESS_WITH_FAILURES", "SUCCESS"),
    "FAILED": ("FAILED", "RUN_EXECUTION_ERROR", "CLIENT_ERROR"),
    "TIMEDOUT": ("TIMEDOUT", "CANCELED", "CLIENT_ERROR"),
    "CANCELED": ("CANCELED", "USER_CANCELED", "CLIENT_ERROR"),
    "EXCLUDED": ("EXCLUDED", "SKIPPED", "SUCCESS"),
    "DISABLED": ("DISABLED", "DISABLED", "SUCCESS"),
    "UPSTREAM_FAILED": ("UPSTREAM_FAILED", "SKIPPED", "CLIENT_ERROR"),
    "UPSTREAM_CANCELED": ("UPSTREAM_CANCELED", "SKIPPED", "CLIENT_ERROR"),
}


def new_run(
    *,
    run_id: int,
    job_id: int,
    settings: Mapping[str, Any],
    spec: JobSpec,
    given: Mapping[str, str],
    overriding: Mapping[str, Any],
    user: str,
    page_url: str,
    now: int,
    trigger: str,
    run_type: str,
    parent_task_run_id: int | None,
) -> Document:
    """A run that has not started; `given` are the job parameters that override defaults."""
    run: Document = {
        "job_id": job_id,
        "run_id": run_id,
        "number_in_job": run_id,
        "original_attempt_run_id": run_id,
        "job_run_id": run_id,
        "creator_user_name": user,
        "run_name": spec.name,
        "run_page_url": page_url,
        "run_type": run_type,
        "format": "MULTI_TASK",
        "trigger": trigger,
        "start_time": now,
        "setup_duration": 0,
        "execution_duration": 0,
        "cleanup_duration": 0,
        "run_duration": 0,
        "end_time": 0,
        "tasks": [],
        **waiting("PENDING"),
    }
    if spec.parameters:
        run["job_parameters"] = [
            {"name": name, "default": default, **({"value": given[name]} if name in given else {})}
            for name, default in spec.parameters.items()
        ]
    if overriding:
        run["overriding_parameters"] = dict(overriding)
    if settings.get("schedule") and trigger == "PERIODIC":
        run["schedule"] = settings["schedule"]
    if parent_task_run_id is not None:
        run["trigger_info"] = {"run_id": parent_task_run_id}
    return run


def waiting(state: str, message: str = "", queue: Mapping[str, str] | None = None) -> Document:
    """The `state` and `status` of an active run: PENDING, BLOCKED, QUEUED, RUNNING, TERMINATING."""
    status: Document = {"state": state}
    if queue:
        status["queue_details"] = dict(queue)
    return {
        "state": {
            "life_cycle_state": state,
            "state_message": message,
            "user_cancelled_or_timedout": False,
        },
        "status": status,
    }


def ended(
    state: str, message: str = "", *, life_cycle: str = "TERMINATED", code: str | None = None
) -> Document:
    """The `state` and `status` of a run that ended in the runner's `state`."""
    result, usual_code, kind = _ENDS[state]
    return {
        "state": {
            "life_cycle_state": life_cycle,
            "result_state": result,
            "state_message": message,
            "user_cancelled_or_timedout": state in ("CANCELED", "TIMEDOUT"),
        },
        "status": {
            "state": "TERMINATED",
            "termination_details": {
                "code": code or usual_code,
                "type": "INTERNAL_ERROR" if code == "INTERNAL_ERROR" else kind,
                "message": message,
            },
        },
    }


def skipped(message: str) -> Document:
    """The `state` and `status` of a run that does not start, as too many runs are active."""
    return {
        "state": {
            "life_cycle_state": "SKIPPED",
            "result_state": "MAXIMUM_CONCURRENT_RUNS_REACHED",
            "state_message": message,
            "user_cancelled_or_timedout": False,
        },
        "status": {
            "state": "TERMINATED",
            "termination_details": {
                "code": "MAX_CONCURRENT_RUNS_EXCEEDED",
                "type": "CLIENT_ERROR",
                "message": message,
            },
        },
    }


def interrupted(message: str) -> Document:
    """The `state` and `status` of a run that the workspace itself could not finish."""
    return ended("FAILED", message, life_cycle="INTERNAL_ERROR", code="INTERNAL_ERROR")


def end_of_run(result: JobResult) -> Document:
    """The end of a run; a failed run is an INTERNAL_ERROR with the first failure, as in the Jobs API."""
    if result.state == "FAILED":
        failed = next((task for task in result.tasks if task.state in ("FAILED", "TIMEDOUT")), None)
        message = result.error or ""
        if failed is not None:
            message = f"Task {failed.key} failed with message: {failed.error or failed.state}"
        return ended("FAILED", message, life_cycle="INTERNAL_ERROR")
    return ended(result.state, f"Run ended: {result.error}." if result.error else "")


def is_active(run: Mapping[str, Any]) -> bool:
    """Whether a run, or a task's run, has not ended."""
    return (run.get("state") or {}).get("life_cycle_state") not in ENDED


def apply_task_update(
    run: Document, update: TaskUpdate, settings: Mapping[str, Mapping[str, Any]], page_url: str
) -> Document:
    """Change or add the entry of a task's attempt in `run`, and return it; `settings` are tasks by key.

    An iteration is part of its for-each task's entry.
    """
    if update.parent is not None:
        parent = next(t for t in reversed(run["tasks"]) if t["task_key"] == update.parent)
        entries = parent.setdefault("iterations", [])
        written = settings.get(update.parent, {}).get("for_each_task", {}).get("task", {})
    else:
        entries, written = run["tasks"], settings.get(update.key, {})
    run_id = int(update.task_run_id)
    entry = next((task for task in entries if task["run_id"] == run_id), None)
    if entry is None:
        entry = {
            **{name: value for name, value in written.items() if name not in NOT_IN_RUN},
            "run_id": run_id,
            "task_key": update.key,
            "run_page_url": page_url,
            "run_if": written.get("run_if", "ALL_SUCCESS"),
            "attempt_number": update.attempt,
            "start_time": 0,
            "setup_duration": 0,
            "execution_duration": 0,
            "cleanup_duration": 0,
            "end_time": 0,
        }
        entries.append(entry)
    if update.started:
        entry["start_time"] = _ms(update.started)
    if update.nested_run_id and "run_job_task" in entry:
        entry["run_job_task"] = {**entry["run_job_task"], "run_id": int(update.nested_run_id)}
    if update.state in ("PENDING", "RUNNING"):
        blocked = update.state == "PENDING" and entry.get("depends_on")
        entry |= waiting("BLOCKED" if blocked else update.state)
        return entry
    entry["end_time"] = _ms(update.ended) if update.ended else entry["start_time"]
    entry["execution_duration"] = max(0, entry["end_time"] - (entry["start_time"] or entry["end_time"]))
    entry |= ended(update.state, "" if update.state == "SUCCESS" else update.message)
    if update.outcome and "condition_task" in entry:
        entry["condition_task"] = {**entry["condition_task"], "outcome": update.outcome.result}
    return entry


def task_output(
    task: Mapping[str, Any], outcome: TaskOutcome | None, state: TaskState, message: str
) -> Document:
    """The answer of `GET runs/get-output` for a task's attempt, without its metadata."""
    output: Document = {}
    if outcome is None:
        return output
    if outcome.logs:
        output |= {"logs": outcome.logs, "logs_truncated": False}
    if "notebook_task" in task:
        output["notebook_output"] = {"result": outcome.result or "", "truncated": False}
    if "run_job_task" in task and "run_id" in task["run_job_task"]:
        output["run_job_output"] = {"run_id": task["run_job_task"]["run_id"]}
    if state != "SUCCESS":
        output["error"] = outcome.error or message
        if outcome.trace:
            output["error_trace"] = outcome.trace
    return output


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)

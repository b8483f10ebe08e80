"""Shows the states of runs, tasks, updates and flows with a word, a tone and a shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lakerun.workspace.services.jobs.run_documents import is_active

Tone = Literal["good", "bad", "busy", "wait", "skip", "warn"]

TONES: dict[str, Tone] = {
    **dict.fromkeys(("SUCCESS", "COMPLETED"), "good"),
    **dict.fromkeys(("FAILED", "TIMEDOUT", "INTERNAL_ERROR", "UPSTREAM_FAILED"), "bad"),
    **dict.fromkeys(
        ("RUNNING", "TERMINATING", "STARTING", "INITIALIZING", "SETTING_UP_TABLES", "RESETTING", "STOPPING"),
        "busy",
    ),
    **dict.fromkeys(
        ("PENDING", "QUEUED", "BLOCKED", "WAITING_FOR_RETRY", "CREATED", "IDLE", "PLANNING"), "wait"
    ),
    "WAITING_FOR_RESOURCES": "wait",
    **dict.fromkeys(("SKIPPED", "EXCLUDED", "STOPPED", "DISABLED"), "skip"),
    **dict.fromkeys(("CANCELED", "UPSTREAM_CANCELED", "SUCCESS_WITH_FAILURES"), "warn"),
    "MAXIMUM_CONCURRENT_RUNS_REACHED": "skip",
}
WORDS = {
    "SUCCESS": "Succeeded",
    "TIMEDOUT": "Timed out",
    "INTERNAL_ERROR": "Internal error",
    "SETTING_UP_TABLES": "Setting up tables",
    "WAITING_FOR_RETRY": "Waiting for retry",
    "MAXIMUM_CONCURRENT_RUNS_REACHED": "Skipped: too many runs at once",
}


@dataclass(frozen=True)
class State:
    """A state on a page: Databricks' code, a word for it, and the tone that styles it."""

    code: str
    word: str
    tone: Tone


def state_of(code: str | None) -> State:
    """The state with this code; an unknown code is shown as it is."""
    code = code or "PENDING"
    word = WORDS.get(code) or code.replace("_", " ").capitalize()
    return State(code, word, TONES.get(code, "wait"))


def run_state(run: Mapping[str, Any]) -> State:
    """The state of a run or of a task in it."""
    state = run.get("state") or {}
    life = state.get("life_cycle_state")
    return state_of(life if is_active(run) else state.get("result_state") or life)


def message_of(run: Mapping[str, Any]) -> str:
    """The reason why the run failed or waits."""
    state, status = run.get("state") or {}, run.get("status") or {}
    details = status.get("termination_details") or status.get("queue_details") or {}
    return str(state.get("state_message") or details.get("message") or "")

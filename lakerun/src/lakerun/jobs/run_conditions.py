"""Decides whether a task runs after its dependencies, how a job ends, and a condition task's outcome.

`run_if` and the states follow Databricks' documentation ("Configure task dependencies", "View job runs").
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal, InvalidOperation
from operator import ge, gt, le, lt

from lakerun.bundles.model import TaskSpec
from lakerun.errors import LakerunError
from lakerun.jobs.results import TaskState

FAILURES = ("FAILED", "TIMEDOUT", "UPSTREAM_FAILED", "CANCELED", "UPSTREAM_CANCELED")
CANCELLATIONS = ("CANCELED", "UPSTREAM_CANCELED")


def state_before(
    task: TaskSpec, states: Mapping[str, TaskState], outcomes: Mapping[str, str]
) -> tuple[TaskState | None, str]:
    """The state of a task that does not run, and the reason; (None, "") if it runs.

    `states` are the final states of the run's tasks, `outcomes` the outcomes of its condition tasks. A
    dependency that is disabled, or was not chosen for this run, does not count. Canceled counts as failed.
    A dependency on the other outcome of a condition counts as excluded. If every dependency is excluded, so
    is the task, whatever its `run_if` says.
    """
    found: dict[str, TaskState] = {}
    for key in task.depends_on:
        if key not in states or states[key] == "DISABLED":
            continue
        found[key] = states[key]
        wanted = task.outcomes.get(key)
        if wanted and states[key] == "SUCCESS" and outcomes.get(key) != wanted:
            found[key] = "EXCLUDED"
    if not found:
        return None, ""
    excluded = [key for key, state in found.items() if state == "EXCLUDED"]
    failed = [key for key, state in found.items() if state in FAILURES]
    succeeded = len(found) - len(excluded) - len(failed)
    if len(excluded) == len(found):
        return "EXCLUDED", f"task '{excluded[0]}' did not take this branch"
    match task.run_if:
        case "ALL_SUCCESS" if not failed and excluded:
            return "EXCLUDED", f"task '{excluded[0]}' did not take this branch"
        case "ALL_SUCCESS" | "NONE_FAILED" if failed:
            return _blocked(found, failed)
        case "AT_LEAST_ONE_SUCCESS" if not succeeded:
            return _blocked(found, failed)
        case "AT_LEAST_ONE_FAILED" if not failed:
            return "EXCLUDED", "no task that it depends on failed"
        case "ALL_FAILED" if len(failed) < len(found):
            return "EXCLUDED", "not every task that it depends on failed"
    return None, ""


def job_state(leaves: Collection[TaskState], others: Collection[TaskState]) -> TaskState:
    """The state of a job from the states of its leaf tasks, which no task depends on, and of the others."""
    failed = [state for state in leaves if state in FAILURES]
    if any(state not in CANCELLATIONS for state in failed):
        return "FAILED"
    if failed:
        return "CANCELED"
    return "SUCCESS_WITH_FAILURES" if any(state in FAILURES for state in others) else "SUCCESS"


def condition_holds(op: str, left: str, right: str) -> bool:
    """The outcome of a condition task: EQUAL_TO and NOT_EQUAL compare text, the other operators numbers.

    Raises LakerunError for an operand of a comparison that is not a number.
    """
    if op == "EQUAL_TO":
        return left == right
    if op == "NOT_EQUAL":
        return left != right
    compare = {"GREATER_THAN": gt, "GREATER_THAN_OR_EQUAL": ge, "LESS_THAN": lt, "LESS_THAN_OR_EQUAL": le}[op]
    return bool(compare(_number("left", left, op), _number("right", right, op)))


def _number(side: str, text: str, op: str) -> Decimal:
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite():
        raise LakerunError(f"condition_task.{side}: {op} compares numbers, and '{text}' is not a number.")
    return number


def _blocked(found: Mapping[str, TaskState], failed: list[str]) -> tuple[TaskState, str]:
    only_canceled = all(found[key] in CANCELLATIONS for key in failed)
    verb = "was canceled" if only_canceled else "did not succeed"
    first = failed[0] if only_canceled else next(key for key in failed if found[key] not in CANCELLATIONS)
    return "UPSTREAM_CANCELED" if only_canceled else "UPSTREAM_FAILED", f"task '{first}' {verb}"

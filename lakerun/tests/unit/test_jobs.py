"""Runs of jobs: order, conditions, branches, parts of a job, nested jobs."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakerun.bundles.model import JobSpec
from lakerun.errors import UnknownNameError
from lakerun.jobs.results import TaskState, TaskUpdate
from lakerun.jobs.run_conditions import job_state
from unit.job_lab import JobLab, error_of, states, task

FAIL = "raise RuntimeError('broken')"
FAILURES = ("FAILED", "TIMEDOUT", "CANCELED", "UPSTREAM_FAILED", "UPSTREAM_CANCELED")
LOOP = "import time\nwhile True: time.sleep(0.01)"


@pytest.fixture
def lab(tmp_path: Path) -> JobLab:
    return JobLab(tmp_path)


# Order ------------------------------------------------------------------------------------------------


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[str, list[str]], list[str], set[str]]:
    """The dependencies of each task, the order in which the job lists them, and the tasks that fail."""
    size = draw(st.integers(min_value=1, max_value=6))
    graph = {
        f"t{number}": [f"t{other}" for other in draw(st.sets(st.integers(0, number - 1), max_size=3))]
        if number
        else []
        for number in range(size)
    }
    failing = draw(st.sets(st.sampled_from(sorted(graph)), max_size=2))
    return graph, draw(st.permutations(sorted(graph))), failing


@given(graphs())
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_task_starts_after_all_its_dependencies_have_succeeded(
    tmp_path: Path, graph: tuple[dict[str, list[str]], list[str], set[str]]
) -> None:
    upstream, order, failing = graph
    lab = JobLab(tmp_path)
    tasks = [lab.script(key, FAIL if key in failing else "", after=upstream[key]) for key in order]
    result = lab.run(lab.job(*tasks))

    # Computed only from the graph, in which every task depends on earlier ones.
    expected: dict[str, str] = {}
    for key in sorted(upstream):
        blocked = any(expected[other] != "SUCCESS" for other in upstream[key])
        expected[key] = "UPSTREAM_FAILED" if blocked else "FAILED" if key in failing else "SUCCESS"
    assert states(result) == expected
    assert list(states(result)) == order
    ended: set[str] = set()
    for update in lab.updates:
        if update.state == "RUNNING":
            assert set(upstream[update.key]) <= ended
        elif update.ended:
            assert update.key not in ended
            ended.add(update.key)


def test_every_task_is_announced_before_the_first_one_runs(lab: JobLab) -> None:
    lab.run(lab.job(lab.script("b", "", after="a"), lab.script("a", "")))
    assert [(u.key, u.state) for u in lab.updates] == [
        ("b", "PENDING"),
        ("a", "PENDING"),
        ("a", "RUNNING"),
        ("a", "SUCCESS"),
        ("b", "RUNNING"),
        ("b", "SUCCESS"),
    ]
    ids = [{u.task_run_id for u in lab.updates if u.key == key} for key in ("a", "b")]
    assert [len(found) for found in ids] == [1, 1]
    assert ids[0] != ids[1]


def test_independent_tasks_run_in_parallel(lab: JobLab) -> None:
    clock = time.monotonic()
    result = lab.run(lab.job(*(lab.script(key, "import time; time.sleep(1)") for key in ("a", "b"))))
    assert result.state == "SUCCESS"
    assert 1.0 <= time.monotonic() - clock < 1.9


def test_a_listener_that_fails_does_not_change_the_run(lab: JobLab) -> None:
    heard: list[str] = []

    class Broken(list[TaskUpdate]):
        def append(self, update: TaskUpdate) -> None:
            heard.append(update.state)
            raise OSError("disk full")

    lab.updates = Broken()
    assert lab.run(lab.job(lab.script("a", ""))).state == "SUCCESS"
    assert heard == ["PENDING", "RUNNING", "SUCCESS"]


# Conditions -------------------------------------------------------------------------------------------

# From "Configure task dependencies": the result of each condition after two tasks that succeeded (S), failed
# (F) or were excluded (E), in any order. R: the task runs. U: upstream failed. E: excluded.
RUN_IF = {
    "ALL_SUCCESS": {"SS": "R", "SF": "U", "SE": "E", "FF": "U", "FE": "U", "EE": "E"},
    "AT_LEAST_ONE_SUCCESS": {"SS": "R", "SF": "R", "SE": "R", "FF": "U", "FE": "U", "EE": "E"},
    "NONE_FAILED": {"SS": "R", "SF": "U", "SE": "R", "FF": "U", "FE": "U", "EE": "E"},
    "ALL_DONE": {"SS": "R", "SF": "R", "SE": "R", "FF": "R", "FE": "R", "EE": "E"},
    "AT_LEAST_ONE_FAILED": {"SS": "E", "SF": "R", "SE": "E", "FF": "R", "FE": "R", "EE": "E"},
    "ALL_FAILED": {"SS": "E", "SF": "E", "SE": "E", "FF": "R", "FE": "E", "EE": "E"},
}
CASES = [(run_if, pair, outcome) for run_if, row in RUN_IF.items() for pair, outcome in row.items()]


@pytest.mark.parametrize(("run_if", "pair", "outcome"), CASES)
def test_run_if_decides_by_the_states_of_dependencies(
    lab: JobLab, run_if: str, pair: str, outcome: str
) -> None:
    tasks = [
        # It handles the failure of a task that succeeds, so it is excluded.
        lab.script("ok", ""),
        *(
            lab.script(
                key,
                FAIL if kind == "F" else "",
                **({"after": "ok", "run_if": "ALL_FAILED"} if kind == "E" else {}),
            )
            for key, kind in zip(("a", "b"), pair, strict=True)
        ),
        lab.script("last", "print('ran')", after=["b", "a"], run_if=run_if),
    ]
    result = lab.run(lab.job(*tasks))
    before: dict[str, TaskState] = {"S": "SUCCESS", "F": "FAILED", "E": "EXCLUDED"}
    assert [states(result)[key] for key in ("a", "b")] == [before[kind] for kind in pair]
    expected: dict[str, TaskState] = {"R": "SUCCESS", "U": "UPSTREAM_FAILED", "E": "EXCLUDED"}
    assert states(result)["last"] == expected[outcome]
    assert (lab.last("last").outcome is not None) == (outcome == "R")


@pytest.mark.parametrize(
    ("run_if", "runs"), [("ALL_DONE", True), ("AT_LEAST_ONE_FAILED", True), ("ALL_SUCCESS", False)]
)
def test_a_clean_up_task_runs_after_a_failure_two_tasks_upstream(
    lab: JobLab, run_if: str, runs: bool
) -> None:
    result = lab.run(
        lab.job(
            lab.script("load", FAIL),
            lab.script("report", "", after="load"),
            lab.script("clean_up", "", after="report", run_if=run_if),
        )
    )
    assert states(result) == {
        "load": "FAILED",
        "report": "UPSTREAM_FAILED",
        "clean_up": "SUCCESS" if runs else "UPSTREAM_FAILED",
    }
    # "Succeeded with failures: some tasks failed, but all leaf tasks were successful."
    assert result.state == ("SUCCESS_WITH_FAILURES" if runs else "FAILED")


@pytest.mark.parametrize(
    ("leaves", "others", "state"),
    [
        (["SUCCESS", "SUCCESS"], ["SUCCESS"], "SUCCESS"),
        (["SUCCESS", "EXCLUDED", "DISABLED"], [], "SUCCESS"),
        (["SUCCESS"], ["FAILED"], "SUCCESS_WITH_FAILURES"),
        (["SUCCESS", "TIMEDOUT"], ["SUCCESS"], "FAILED"),
        (["UPSTREAM_FAILED"], ["FAILED"], "FAILED"),
        (["UPSTREAM_CANCELED"], ["CANCELED"], "CANCELED"),
        (["CANCELED", "FAILED"], [], "FAILED"),
    ],
)
def test_leaf_tasks_decide_the_state_of_a_job(
    leaves: list[TaskState], others: list[TaskState], state: TaskState
) -> None:
    assert job_state(leaves, others) == state


def test_a_disabled_task_does_not_run_or_block_others(lab: JobLab) -> None:
    result = lab.run(lab.job(lab.script("a", FAIL, disabled=True), lab.script("b", "", after="a")))
    assert states(result) == {"a": "DISABLED", "b": "SUCCESS"}
    assert result.state == "SUCCESS"


# Branches ---------------------------------------------------------------------------------------------


def condition(left: str, op: str, right: str, **more: Any) -> dict[str, Any]:
    return task("check", "condition", {"left": left, "op": op, "right": right}, **more)


@pytest.mark.parametrize(
    ("left", "op", "right", "holds"),
    [
        ("12.0", "EQUAL_TO", "12", False),
        ("12", "EQUAL_TO", "12", True),
        ("12.0", "NOT_EQUAL", "12", True),
        ("12.0", "GREATER_THAN_OR_EQUAL", "12", True),
        ("10.0", "GREATER_THAN_OR_EQUAL", "12", False),
        ("9", "GREATER_THAN", "10", False),
        ("9", "LESS_THAN", "10", True),
        ("-1e3", "LESS_THAN_OR_EQUAL", "-1000", True),
        ("true", "EQUAL_TO", "{{tasks.set.values.flag}}", True),
        ("{{tasks.set.values.bad_rows}}", "GREATER_THAN", "0", True),
    ],
)
def test_a_condition_chooses_the_branch(lab: JobLab, left: str, op: str, right: str, holds: bool) -> None:
    values = "for k, v in {'flag': True, 'bad_rows': 3}.items(): dbutils.jobs.taskValues.set(k, v)"
    result = lab.run(
        lab.job(
            lab.notebook("set", values),
            condition(left, op, right, after="set"),
            lab.script("yes", "", after="check=true"),
            lab.script("no", "", after="check=false"),
            lab.script("after_no", "", after="no"),
            lab.script("join", "", after=["yes", "no"], run_if="NONE_FAILED"),
        )
    )
    found = states(result)
    assert (found["yes"], found["no"]) == (("SUCCESS", "EXCLUDED") if holds else ("EXCLUDED", "SUCCESS"))
    assert found["after_no"] == found["no"]
    assert (found["join"], result.state) == ("SUCCESS", "SUCCESS")
    outcome = lab.last("check").outcome
    assert outcome is not None
    assert outcome.result == str(holds).lower()


@pytest.mark.parametrize(
    ("left", "error"),
    [
        ("many", "condition_task.left: GREATER_THAN compares numbers, and 'many' is not a number."),
        ("nan", "condition_task.left: GREATER_THAN compares numbers, and 'nan' is not a number."),
        (
            "{{tasks.set.values.rows}}",
            "{{tasks.set.values.rows}} is not a number, text or boolean and cannot be compared.",
        ),
    ],
)
def test_a_condition_that_cannot_be_evaluated_fails(lab: JobLab, left: str, error: str) -> None:
    result = lab.run(
        lab.job(
            lab.notebook("set", "dbutils.jobs.taskValues.set('rows', [1])"),
            condition(left, "GREATER_THAN", "1", after="set", max_retries=2),
            lab.script("yes", "", after="check=true"),
        )
    )
    assert states(result) == {"set": "SUCCESS", "check": "FAILED", "yes": "UPSTREAM_FAILED"}
    assert error_of(result, "check") == error
    assert [u.attempt for u in lab.updates if u.key == "check" and u.ended] == [0]  # it is never retried


# Parts of a job ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("only", "ran"),
    [
        (["c"], "c"),
        (["c", "a"], "ac"),
        (["+c"], "abc"),
        (["b+"], "bcd"),
        (["+b+"], "abcd"),
        ([], "abcdx"),
    ],
)
def test_a_run_may_be_limited_to_some_tasks(lab: JobLab, only: list[str], ran: str) -> None:
    spec = lab.job(
        lab.script("a", ""),
        lab.script("b", "", after="a"),
        lab.script("c", "", after="b"),
        lab.script("d", "", after="c"),
        lab.script("x", ""),
    )
    assert states(lab.run(spec, only=only)) == dict.fromkeys(ran, "SUCCESS")
    assert {u.key for u in lab.updates} == set(ran)


def test_an_unknown_task_to_run_is_named(lab: JobLab) -> None:
    with pytest.raises(UnknownNameError, match=r"Unknown task 'laod'\. Did you mean 'load'"):
        lab.run(lab.job(lab.script("load", "")), only=["+laod"])
    assert lab.updates == []


def test_a_task_is_repeated_for_each_input(lab: JobLab) -> None:
    each = lab.script("one", "import sys; print(*sys.argv[1:])", "{{input.country}}", "{{input}}")
    spec = lab.job(
        lab.notebook("list", "dbutils.jobs.taskValues.set('found', [{'country': 'FR'}, {'country': 'DE'}])"),
        task(
            "every",
            "for_each",
            {"inputs": "{{tasks.list.values.found}}", "concurrency": 2, "task": each},
            after="list",
        ),
    )
    assert lab.run(spec).state == "SUCCESS"
    assert [lab.last(f"every[{n}]").message for n in (0, 1)] == [
        'FR {"country": "FR"}',
        'DE {"country": "DE"}',
    ]
    assert lab.last("every").message == "2 of 2 iterations succeeded"
    assert {(u.parent, u.iteration) for u in lab.updates if "[" in u.key} == {("every", 0), ("every", 1)}


def test_a_failed_iteration_fails_the_task_after_the_others_ran(lab: JobLab) -> None:
    each = lab.script("one", "import sys; print(1 / int(sys.argv[1]))", "{{input}}")
    spec = lab.job(task("every", "for_each", {"inputs": "[1, 0, 2]", "task": each}))
    result = lab.run(spec)
    assert (
        error_of(result, "every")
        == "2 of 3 iterations succeeded: iteration 1: ZeroDivisionError: division by zero"
    )
    assert [lab.last(f"every[{n}]").state for n in range(3)] == ["SUCCESS", "FAILED", "SUCCESS"]


def test_inputs_that_are_not_a_list_fail_the_task(lab: JobLab) -> None:
    spec = lab.job(task("every", "for_each", {"inputs": '{"a": 1}', "task": lab.script("one", "")}))
    assert error_of(lab.run(spec), "every").startswith("for_each_task.inputs: a JSON array is expected")


# Nested jobs ------------------------------------------------------------------------------------------


def nested(key: str, job: str, **more: Any) -> dict[str, Any]:
    parameters = more.pop("parameters", {})
    return task(key, "run_job", {"job_id": job, "job_parameters": parameters}, **more)


def test_a_nested_job_runs_with_its_own_parameters(lab: JobLab) -> None:
    body = "import sys; print(sys.argv[1])"
    text = "{{job.parameters.day}} in {{job.name}} by {{job.trigger.type}}"
    lab.job(lab.script("go", body, text), key="load", parameters={"day": "monday"})
    outer = lab.job(
        nested("first", "load", parameters={"day": "{{job.parameters.when}}"}),
        lab.script("then", "", after="first"),
        key="outer",
        parameters={"when": "sunday"},
    )
    result = lab.run(outer)
    assert [(u.job, u.key, u.message) for u in lab.updates if u.state == "SUCCESS"] == [
        ("load", "go", "sunday in load by run_job_task"),
        ("outer", "first", ""),
        ("outer", "then", ""),
    ]
    inner = result.tasks[0].job
    assert inner is not None
    assert (inner.job, inner.state) == ("load", "SUCCESS")
    assert lab.last("first").nested_run_id == inner.run_id == lab.last("go").run_id
    assert inner.run_id != result.run_id


def test_a_jobs_parameters_are_passed_to_nested_jobs_that_have_them(lab: JobLab) -> None:
    go = lab.script("go", "import sys; print(sys.argv[1])", "{{job.parameters.day}} {{job.parameters.size}}")
    lab.job(go, key="load", parameters={"day": "monday", "size": "small"})
    outer = lab.job(
        nested("first", "load", parameters={"size": "big", "day": "never"}),
        key="outer",
        parameters={"day": "sunday", "other": "x"},
    )
    lab.run(outer)
    assert lab.last("go").message == "sunday big"


def test_a_failure_in_a_nested_job_fails_its_task_and_says_where(lab: JobLab) -> None:
    lab.job(lab.script("go", "import sys; sys.exit('disk full')"), key="load")
    result = lab.run(lab.job(nested("first", "load"), lab.script("then", "", after="first"), key="outer"))
    assert [(r.state, r.error) for r in result.tasks] == [
        ("FAILED", "load.go: disk full"),
        ("UPSTREAM_FAILED", "task 'first' did not succeed"),
    ]


def test_canceling_a_job_cancels_the_job_that_it_runs(lab: JobLab) -> None:
    lab.job(lab.script("go", LOOP), key="load")
    threading.Timer(0.4, lab.canceled.set).start()
    result = lab.run(lab.job(nested("first", "load"), key="outer"))
    assert states(result) == {"first": "CANCELED"}
    assert lab.last("go").state == "CANCELED"
    assert lab.last("first").outcome is not None


def test_jobs_that_run_each_other_are_refused(lab: JobLab) -> None:
    lab.job(nested("back", "outer"), key="inner")
    result = lab.run(lab.job(nested("in", "inner"), key="outer"))
    assert error_of(result, "in") == "inner.back: Jobs run each other in a cycle: outer -> inner -> outer."


@pytest.mark.parametrize(("depth", "state"), [(3, "SUCCESS"), (4, "FAILED")])
def test_jobs_nest_three_deep(lab: JobLab, depth: int, state: str) -> None:
    spec: JobSpec = lab.job(lab.script("go", ""), key="j0")
    for level in range(1, depth + 1):
        spec = lab.job(nested("down", f"j{level - 1}"), key=f"j{level}")
    result = lab.run(spec)
    assert result.state == state
    if state == "FAILED":
        assert error_of(result, "down").endswith("Jobs nest more than 3 deep: j4 -> j3 -> j2 -> j1 -> j0.")


def test_a_job_that_does_not_exist_is_named(lab: JobLab) -> None:
    result = lab.run(lab.job(nested("first", "laod"), key="load"))
    assert error_of(result, "first") == "Unknown job 'laod'. Did you mean 'load'? Valid: load."

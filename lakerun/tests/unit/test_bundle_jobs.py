"""Wrong settings of a bundle's jobs: each is refused with the file and line that has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakerun.bundles.load import load_bundle
from lakerun.errors import BundleError

SCRIPT = "spark_python_task: {python_file: run.py}"

# Each has one line that ends with `#`, which the error must name.
WRONG = {
    "a key of a task with a space": (
        f"tasks:\n- task_key: a b #\n  {SCRIPT}",
        "task_key: letters, digits, - and _ are expected, 100 at most, not 'a b'",
    ),
    "two tasks of one key": (
        f"tasks:\n- task_key: a #\n  {SCRIPT}\n- task_key: a\n  {SCRIPT}",
        "task_key: there is more than one task 'a'",
    ),
    "a task without a type": (
        "tasks:\n- task_key: a #",
        "task_key: task 'a' needs exactly one type, such as pipeline_task; it has none",
    ),
    "a task of two types": (
        f"tasks:\n- task_key: a #\n  {SCRIPT}\n  run_job_task: {{job_id: other}}",
        "task_key: task 'a' needs exactly one type, such as pipeline_task; "
        "it has spark_python_task, run_job_task",
    ),
    "text for a number": (
        f"tasks:\n- task_key: a\n  {SCRIPT}\n  max_retries: often #",
        "max_retries: a whole number is expected, not 'often'",
    ),
    "fewer retries than none": (
        f"tasks:\n- task_key: a\n  {SCRIPT}\n  max_retries: -2 #",
        "max_retries: a whole number of at least -1 is expected, not -2",
    ),
    "a negative timeout": (
        "timeout_seconds: -1 #",
        "timeout_seconds: a whole number of at least 0 is expected, not -1",
    ),
    "too many runs at once": (
        "max_concurrent_runs: 1001 #",
        "max_concurrent_runs: at most 1000 is expected",
    ),
    "too many iterations at once": (
        "tasks:\n- task_key: a\n  for_each_task:\n    inputs: '[1]'\n    concurrency: 101 #\n"
        f"    task:\n      task_key: b\n      {SCRIPT}",
        "concurrency: at most 100 is expected",
    ),
    "a loop in a loop": (
        "tasks:\n- task_key: a\n  for_each_task:\n    inputs: '[1]'\n    task:\n      task_key: b\n"
        f"      for_each_task: #\n        inputs: '[1]'\n        task: {{task_key: c, {SCRIPT}}}",
        "for_each_task: a for_each_task cannot repeat another",
    ),
    "an unknown run_if": (
        f"tasks:\n- task_key: a\n  {SCRIPT}\n  run_if: ALWAYS #",
        "run_if: one of ALL_SUCCESS, AT_LEAST_ONE_SUCCESS,",
    ),
    "an unknown operator": (
        "tasks:\n- task_key: a\n  condition_task:\n    op: '==' #\n    left: '1'\n    right: '1'",
        "op: one of EQUAL_TO, NOT_EQUAL,",
    ),
    "an outcome of a task that is not a condition": (
        f"tasks:\n- task_key: a\n  {SCRIPT}\n- task_key: b\n  {SCRIPT}\n  depends_on:\n  - task_key: a\n"
        "    outcome: 'true' #",
        "outcome: task 'a' is not a condition_task and has no outcome",
    ),
    "an unknown task": (
        f"tasks:\n- task_key: load\n  {SCRIPT}\n  depends_on:\n  - task_key: laod #",
        "task_key: Unknown task 'laod'. Did you mean 'load'?",
    ),
    "a cycle of tasks": (
        f"tasks: #\n- task_key: a\n  {SCRIPT}\n  depends_on: [{{task_key: a}}]",
        "tasks: tasks depend on each other in a cycle: a -> a",
    ),
    "an unknown environment": (
        f"environments:\n- environment_key: default\ntasks:\n- task_key: a\n  {SCRIPT}\n"
        "  environment_key: defualt #",
        "environment_key: Unknown environment 'defualt'. Did you mean 'default'?",
    ),
    "two environments of one key": (
        "environments:\n- environment_key: default #\n- environment_key: default",
        "environment_key: there is more than one environment 'default'",
    ),
    "a name of a parameter with a space": (
        "parameters:\n- name: a b #\n  default: ''",
        "name: letters, digits, -, _ and . are expected, not 'a b'",
    ),
    "two parameters of one name": (
        "parameters:\n- name: day #\n  default: ''\n- name: day\n  default: ''",
        "name: there is more than one parameter 'day'",
    ),
    "a wrong pause status": (
        "schedule:\n  quartz_cron_expression: 0 0 3 * * ?\n  timezone_id: UTC\n  pause_status: ASLEEP #",
        "pause_status: one of PAUSED, UNPAUSED is expected, not 'ASLEEP'",
    ),
    "a tag that is a list": (
        "tags:\n  owner: [ana] #",
        "owner: text is expected, not a list",
    ),
}


@pytest.mark.parametrize(("settings", "problem"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_setting_is_refused_with_its_file_and_line(
    tmp_path: Path, settings: str, problem: str
) -> None:
    (tmp_path / "databricks.yml").write_text("bundle: {name: tiny}\ninclude: [jobs.yml]\n")
    (tmp_path / "run.py").touch()
    text = "resources:\n  jobs:\n    nightly:\n" + "".join(
        f"      {line}\n" for line in settings.splitlines()
    )
    (tmp_path / "jobs.yml").write_text(text)
    (line,) = [number for number, written in enumerate(text.splitlines(), 1) if written.endswith("#")]
    with pytest.raises(BundleError) as error:
        load_bundle(tmp_path)
    assert str(error.value.location).endswith(f"jobs.yml:{line}"), error.value
    assert problem in error.value.message

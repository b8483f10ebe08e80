"""Runs of deployed jobs: order, failures, output, and cancellation."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from databricks.sdk.errors import InvalidParameterValue, OperationFailed
from databricks.sdk.service.jobs import RunResultState

from workspace.run_lab import Lab, life, result, results, serving


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with serving(tmp_path_factory.mktemp("runs")) as running:
        yield running


def test_tasks_that_do_not_depend_on_each_other_run_in_parallel(lab: Lab) -> None:
    # Each waits for the other's file: one at a time, they would wait forever.
    meet = (
        "import pathlib, time\nhere, there = {0!r}, {1!r}\npathlib.Path(here).touch()\n"
        "while not pathlib.Path(there).exists(): time.sleep(0.02)\nprint('met')\n"
    )
    one, two = (str(lab.services.storage.home / name) for name in ("one", "two"))
    job_id = lab.job(
        lab.script("orders", meet.format(one, two)),
        lab.script("customers", meet.format(two, one)),
        lab.script("gold", "print('done')", depends_on=[{"task_key": "orders"}, {"task_key": "customers"}]),
    )
    run = lab.ended(lab.start(job_id))
    assert (life(run), result(run)) == ("TERMINATED", "SUCCESS")
    assert results(run) == dict.fromkeys(("orders", "customers", "gold"), "SUCCESS")
    assert run["status"]["termination_details"]["code"] == "SUCCESS"
    assert lab.output(run, "orders")["logs"] == "met\n"
    ends = {task["task_key"]: task["end_time"] for task in run["tasks"]}
    starts = {task["task_key"]: task["start_time"] for task in run["tasks"]}
    assert starts["gold"] >= max(ends["orders"], ends["customers"])
    assert run["run_page_url"] == f"{lab.url}/jobs/{job_id}/runs/{run['run_id']}"


def test_a_failing_task_has_its_error_and_trace_and_its_dependents_do_not_run(lab: Lab) -> None:
    broken = "def price(text):\n    return float(text)\n\nprint('reading')\nprice('abc')\n"
    job_id = lab.job(
        lab.script("parse", broken), lab.script("publish", "print(1)", depends_on=[{"task_key": "parse"}])
    )
    run = lab.ended(lab.start(job_id))
    assert (life(run), result(run)) == ("INTERNAL_ERROR", "FAILED")
    assert "Task parse failed with message: ValueError" in run["state"]["state_message"]
    assert results(run) == {"parse": "FAILED", "publish": "UPSTREAM_FAILED"}
    assert run["status"]["termination_details"]["code"] == "RUN_EXECUTION_ERROR"
    output = lab.output(run, "parse")
    assert output["error"] == "ValueError: could not convert string to float: 'abc'"
    assert "in price" in output["error_trace"]
    assert output["logs"].startswith("reading\n")


def test_a_failing_notebook_names_the_line_and_an_exiting_one_has_a_result(lab: Lab) -> None:
    header = "# Databricks notebook source\n"
    path = lab.file(
        "count", f"{header}n = int(dbutils.widgets.get('n'))\ndbutils.notebook.exit(str(n * 2))\n"
    )
    notebook = {"task_key": "count", "notebook_task": {"notebook_path": path, "base_parameters": {"n": "21"}}}
    bad = {
        "task_key": "bad",
        "notebook_task": {"notebook_path": lab.file("bad", f"{header}1 / 0\n")},
    }
    run = lab.ended(lab.start(lab.job(notebook, bad)))
    assert results(run) == {"count": "SUCCESS", "bad": "FAILED"}
    assert lab.output(run, "count")["notebook_output"] == {"result": "42", "truncated": False}
    assert lab.output(run, "bad")["error"] == "ZeroDivisionError: division by zero"


def test_the_sdk_waits_for_a_run_and_raises_if_it_failed(lab: Lab) -> None:
    good = lab.job(lab.script("good", "print('fine')"))
    run = lab.client.jobs.run_now(good).result()
    assert run.state is not None
    assert run.state.result_state == RunResultState.SUCCESS
    with pytest.raises(OperationFailed, match="exit code 3"):
        lab.client.jobs.run_now(lab.job(lab.script("bad", "raise SystemExit(3)"))).result()


def test_a_job_runs_the_code_of_the_wheel_that_was_deployed(lab: Lab) -> None:
    def deploy(version: str, price: int) -> list[dict[str, object]]:
        path = lab.wheel(f"def main():\n    print('price', {price})\n", version)
        return [{"environment_key": "default", "spec": {"client": "1", "dependencies": [path]}}]

    task = {
        "task_key": "price",
        "environment_key": "default",
        "python_wheel_task": {"package_name": "shop_prices", "entry_point": "main"},
    }
    job_id = lab.job(task, environments=deploy("1.0", 10))
    first = lab.ended(lab.start(job_id))
    assert lab.output(first, "price")["logs"] == "price 10\n"
    old = {worker["pid"] for worker in lab.services.compute.workers()}

    settings = {"name": "nightly prices", "tasks": [task], "environments": deploy("1.1", 20)}
    lab.call("POST", "/api/2.2/jobs/reset", job_id=job_id, new_settings=settings)
    second = lab.ended(lab.start(job_id))
    assert lab.output(second, "price")["logs"] == "price 20\n"

    # The same code with a new version uses the same worker, whose session stays warm.
    between = {worker["pid"] for worker in lab.services.compute.workers()}
    settings["environments"] = deploy("1.2", 20)
    lab.call("POST", "/api/2.2/jobs/reset", job_id=job_id, new_settings=settings)
    assert result(lab.ended(lab.start(job_id))) == "SUCCESS"
    assert {worker["pid"] for worker in lab.services.compute.workers()} == between != old


def test_a_missing_wheel_fails_the_task_and_names_its_environment(lab: Lab) -> None:
    task = lab.script("price", "print(1)", environment_key="pricing")
    spec = {"dependencies": ["/Workspace/Shared/shop/dist/gone-1.0-py3-none-any.whl"]}
    run = lab.ended(lab.start(lab.job(task, environments=[{"environment_key": "pricing", "spec": spec}])))
    assert result(run) == "FAILED"
    error = lab.output(run, "price")["error"]
    assert "gone-1.0-py3-none-any.whl" in error
    assert "environment 'pricing' (environment_key)" in error


def test_job_parameters_reach_the_task_and_an_unknown_one_is_refused(lab: Lab) -> None:
    task = lab.script("echo", "import sys; print(sys.argv[1:])")
    task["spark_python_task"]["parameters"] = ["{{job.parameters.day}}", "{{job.run_id}}"]
    job_id = lab.job(task, parameters=[{"name": "day", "default": "monday"}])
    run = lab.ended(lab.start(job_id, job_parameters={"day": "friday"}))
    assert lab.output(run, "echo")["logs"] == f"['friday', '{run['run_id']}']\n"
    assert run["job_parameters"] == [{"name": "day", "default": "monday", "value": "friday"}]
    with pytest.raises(InvalidParameterValue, match="no parameter 'days'"):
        lab.start(job_id, job_parameters={"days": "friday"})
    with pytest.raises(InvalidParameterValue, match=r"job_parameters\.day"):
        lab.start(job_id, job_parameters={"day": 5})


def test_only_the_chosen_tasks_run(lab: Lab) -> None:
    job_id = lab.job(lab.script("a", "print(1)"), lab.script("b", "print(2)", depends_on=[{"task_key": "a"}]))
    run = lab.ended(lab.start(job_id, only=["b"]))
    assert results(run) == {"b": "SUCCESS"}
    with pytest.raises(InvalidParameterValue, match="Unknown task 'c'"):
        lab.start(job_id, only=["c"])


def test_a_run_job_task_starts_its_own_run(lab: Lab) -> None:
    inner = lab.job(lab.script("inner", "print('in')"), parameters=[{"name": "day", "default": "monday"}])
    task = {"task_key": "outer", "run_job_task": {"job_id": inner, "job_parameters": {"day": "friday"}}}
    run = lab.ended(lab.start(lab.job(task)))
    assert result(run) == "SUCCESS"
    nested = lab.run(lab.output(run, "outer")["run_job_output"]["run_id"])
    assert (nested["job_id"], nested["trigger"], result(nested)) == (inner, "RUN_JOB_TASK", "SUCCESS")
    assert nested["trigger_info"] == {"run_id": run["tasks"][0]["run_id"]}
    assert nested["job_parameters"][0]["value"] == "friday"


def test_a_canceled_run_stops_and_its_tasks_are_canceled(lab: Lab) -> None:
    forever = lab.script("wait", "import time\nprint('started', flush=True)\nwhile True: time.sleep(0.05)\n")
    later = lab.script("later", "print(1)", depends_on=[{"task_key": "wait"}])
    run_id = lab.start(lab.job(forever, later))
    lab.wait(lambda: lab.output(lab.run(run_id), "wait"), lambda out: out.get("logs") == "started\n")
    assert [r["run_id"] for r in _listed(lab, active_only=True)] == [run_id]
    lab.call("POST", "/api/2.2/jobs/runs/cancel", run_id=run_id)
    run = lab.ended(run_id)
    assert (life(run), result(run)) == ("TERMINATED", "CANCELED")
    assert run["state"]["user_cancelled_or_timedout"] is True
    assert results(run)["wait"] == "CANCELED"
    assert results(run)["later"] in ("CANCELED", "UPSTREAM_CANCELED")
    assert run["status"]["termination_details"]["code"] == "USER_CANCELED"


def test_a_task_over_its_time_is_timed_out_and_fails_the_run(lab: Lab) -> None:
    slow = lab.script("slow", "import time\nwhile True: time.sleep(0.05)\n", timeout_seconds=1)
    run = lab.ended(lab.start(lab.job(slow)))
    assert results(run) == {"slow": "TIMEDOUT"}
    assert "timeout of 1 s" in lab.output(run, "slow")["error"]


def test_a_killed_worker_fails_its_task_with_the_reason_and_the_next_run_gets_a_new_one(lab: Lab) -> None:
    task = lab.script("die", "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(60)\n")
    run_id = lab.start(lab.job(task))
    out = lab.wait(lambda: lab.output(lab.run(run_id), "die"), lambda out: out.get("logs"))
    os.kill(int(out["logs"]), signal.SIGKILL)
    run = lab.ended(run_id)
    assert result(run) == "FAILED"
    assert "killed while the task ran" in lab.output(run, "die")["error"]
    assert result(lab.ended(lab.start(lab.job(lab.script("next", "print(1)"))))) == "SUCCESS"


def test_a_run_beyond_the_limit_waits_in_the_queue_or_is_skipped(lab: Lab) -> None:
    gate = lab.services.storage.home / "gate"
    wait = f"import pathlib, time\nwhile not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.02)\n"
    queued_job = lab.job(lab.script("wait", wait), queue={"enabled": True})
    strict_job = lab.job(lab.script("wait", wait))
    first, second = lab.start(queued_job), lab.start(queued_job)
    lab.start(strict_job)
    skipped = lab.ended(lab.start(strict_job))
    assert (life(skipped), result(skipped)) == ("SKIPPED", "MAXIMUM_CONCURRENT_RUNS_REACHED")
    assert skipped["status"]["termination_details"]["code"] == "MAX_CONCURRENT_RUNS_EXCEEDED"
    waiting = lab.run(second)
    assert life(waiting) == "QUEUED"
    assert waiting["status"]["queue_details"]["code"] == "MAX_CONCURRENT_RUNS_REACHED"
    gate.touch()
    assert result(lab.ended(first)) == result(lab.ended(second)) == "SUCCESS"
    assert lab.run(second)["tasks"][0]["start_time"] >= lab.run(first)["end_time"]


def test_an_idempotency_token_starts_only_one_run(lab: Lab) -> None:
    job_id = lab.job(lab.script("once", "print(1)"))
    ids = {lab.start(job_id, idempotency_token="night-1") for _ in range(3)}
    assert len(ids) == 1
    lab.ended(ids.pop())
    assert len(_listed(lab, job_id=job_id)) == 1


def test_many_callers_at_once_start_each_run_once_and_one_at_a_time(lab: Lab) -> None:
    job_id = lab.job(lab.script("quick", "import time; time.sleep(0.05)"), queue={"enabled": True})
    with ThreadPoolExecutor(8) as callers:
        ids = list(callers.map(lambda n: lab.start(job_id, idempotency_token=f"call-{n % 6}"), range(24)))
    assert len(set(ids)) == 6
    runs = sorted((lab.ended(run_id) for run_id in set(ids)), key=lambda run: run["tasks"][0]["start_time"])
    assert {result(run) for run in runs} == {"SUCCESS"}
    for earlier, later in pairwise(runs):
        assert later["tasks"][0]["start_time"] >= earlier["tasks"][0]["end_time"]


def test_runs_are_listed_newest_first_page_by_page(lab: Lab) -> None:
    job_id = lab.job(lab.script("quick", "print(1)"), max_concurrent_runs=5)
    ids = [lab.start(job_id) for _ in range(5)]
    for run_id in ids:
        lab.ended(run_id)
    found = [run.run_id for run in lab.client.jobs.list_runs(job_id=job_id, limit=2)]
    assert found == ids[::-1]
    assert _listed(lab, job_id=job_id, active_only=True) == []
    lab.client.jobs.delete_run(ids[0])
    assert len(_listed(lab, job_id=job_id, completed_only=True)) == 4
    with pytest.raises(Exception, match=f"Run {ids[0]} does not exist"):
        lab.run(ids[0])


def test_a_schedule_starts_runs_until_it_is_paused(lab: Lab) -> None:
    schedule = {"quartz_cron_expression": "* * * * * ?", "timezone_id": "UTC", "pause_status": "UNPAUSED"}
    job_id = lab.job(lab.script("tick", "print(1)"), schedule=schedule, max_concurrent_runs=10)
    runs = lab.wait(lambda: _listed(lab, job_id=job_id), lambda found: len(found) >= 2, 10)
    assert {run["trigger"] for run in runs} == {"PERIODIC"}
    lab.call(
        "POST",
        "/api/2.2/jobs/update",
        job_id=job_id,
        new_settings={"schedule": {**schedule, "pause_status": "PAUSED"}},
    )
    count = len(_listed(lab, job_id=job_id))
    time.sleep(2.2)
    assert len(_listed(lab, job_id=job_id)) == count


def test_a_secret_reaches_the_task_but_no_log(lab: Lab) -> None:
    lab.client.secrets.create_scope("shop")
    lab.client.secrets.put_secret("shop", "api", string_value="s3cr3t-value")
    task = lab.script(
        "use",
        "from pyspark.dbutils import DBUtils\nvalue = DBUtils().secrets.get('shop', 'api')\n"
        "print(len(value), value)\nraise ValueError(f'refused: {value}')\n",
    )
    run = lab.ended(lab.start(lab.job(task)))
    output = lab.output(run, "use")
    assert output["logs"].startswith("12 [REDACTED]\n")
    assert output["error"] == "ValueError: refused: [REDACTED]"
    assert "s3cr3t" not in str(lab.services.store.list("run")) + str(lab.services.store.list("task_output"))
    for log in lab.services.storage.logs_root.iterdir():
        assert "s3cr3t" not in log.read_text()


def test_the_data_folder_is_locked_only_during_runs(lab: Lab) -> None:
    gate = lab.services.storage.home / "gate2"
    wait = f"import pathlib, time\nwhile not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.02)\n"
    with lab.services.storage.exclusive("lakerun run refinery"):
        run = lab.ended(lab.start(lab.job(lab.script("a", "print(1)"))))
    assert life(run) == "INTERNAL_ERROR"
    assert "lakerun run refinery" in run["state"]["state_message"]
    run_id = lab.start(lab.job(lab.script("wait", wait)))
    lab.wait(lambda: lab.run(run_id), lambda r: r["tasks"] and life(r["tasks"][0]) == "RUNNING")
    with (
        pytest.raises(Exception, match="job nightly prices in the local workspace"),
        lab.services.storage.exclusive("lakerun run"),
    ):
        pass
    gate.touch()
    assert result(lab.ended(run_id)) == "SUCCESS"
    with lab.services.storage.exclusive("lakerun run"):
        pass


def test_notifications_of_failures_are_recorded(lab: Lab) -> None:
    to = {"on_failure": ["shop@example.com"], "on_success": ["other@example.com"]}
    run = lab.ended(lab.start(lab.job(lab.script("bad", "1 / 0"), email_notifications=to)))
    noted = lab.services.store.list("notification", run["run_id"])
    assert [(n["to"], n["event"]) for n in noted] == [("shop@example.com", "on_failure")]
    assert "ZeroDivisionError" in noted[0]["message"]


def _listed(lab: Lab, **query: object) -> list[dict[str, object]]:
    found: list[dict[str, object]] = lab.call("GET", "/api/2.2/jobs/runs/list", **query).get("runs", [])
    return found


def test_what_is_not_supported_here_can_be_deployed_and_is_refused_when_it_runs(lab: Lab) -> None:
    task = {"task_key": "models", "dbt_task": {"commands": ["dbt run"]}}
    job_id = lab.job(task, lab.script("load", "print(1)"))
    with pytest.raises(InvalidParameterValue, match=r"tasks\[0\]\.dbt_task: it is not supported here"):
        lab.start(job_id)
    plain = lab.job(lab.script("load", "print(1)"))
    with pytest.raises(InvalidParameterValue, match="jar_params is for tasks that are not supported here"):
        lab.start(plain, jar_params=["a"])

    source = lab.file("sales.py", "")
    settings = {"name": "sales", "catalog": "main", "schema": "shop", "filters": {"include": ["a"]}}
    libraries = [{"file": {"path": source}}]
    pipelines = "/api/2.0/pipelines"
    pipeline = lab.call("POST", pipelines, libraries=libraries, **settings)["pipeline_id"]
    update = lab.call("POST", f"{pipelines}/{pipeline}/updates")["update_id"]
    path = f"{pipelines}/{pipeline}/updates/{update}"
    ended = lab.wait(lambda: lab.call("GET", path)["update"], lambda found: found["state"] == "FAILED")
    assert ended["cause"] == "API_CALL"
    (event,) = lab.call("GET", f"{pipelines}/{pipeline}/events")["events"]
    assert "filters: it is not supported here." in event["message"]

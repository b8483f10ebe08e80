"""Jobs as the SDK defines, changes, finds and deletes them."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue, ResourceDoesNotExist
from databricks.sdk.service.jobs import (
    CronSchedule,
    JobParameterDefinition,
    JobSettings,
    NotebookTask,
    RunIf,
    Task,
    TaskDependency,
)


def notebook(key: str, *after: str) -> Task:
    return Task(
        task_key=key,
        notebook_task=NotebookTask(notebook_path="/Users/developer@example.com/report"),
        depends_on=[TaskDependency(task_key=name) for name in after],
    )


def create(client: WorkspaceClient, name: str, **settings: Any) -> int:
    return int(
        client.jobs.create(name=name, tasks=[notebook("a"), notebook("b", "a")], **settings).job_id or 0
    )


def test_a_job_is_read_back_with_databricks_defaults(client: WorkspaceClient) -> None:
    schedule = CronSchedule(quartz_cron_expression="0 0 3 * * ?", timezone_id="UTC")
    job_id = create(client, "nightly", schedule=schedule, tags={"team": "data"})
    job = client.jobs.get(job_id)
    assert (job.creator_user_name, job.run_as_user_name) == ("developer@example.com",) * 2
    settings = job.settings
    assert settings
    assert settings.tasks
    assert settings.schedule
    assert (settings.name, settings.tags, settings.max_concurrent_runs) == ("nightly", {"team": "data"}, 1)
    assert settings.schedule.quartz_cron_expression == "0 0 3 * * ?"
    assert [(task.task_key, task.run_if) for task in settings.tasks] == [
        ("a", RunIf.ALL_SUCCESS),
        ("b", RunIf.ALL_SUCCESS),
    ]


def test_settings_that_the_workspace_does_not_know_are_kept(http: httpx.Client) -> None:
    query = {"task_key": "q", "sql_task": {"warehouse_id": "1"}, "max_retries": "2", "health": {"rules": []}}
    settings = {"name": "kept", "tasks": [query], "performance_target": "STANDARD", "edit_mode": "EDITABLE"}
    job_id = http.post("/api/2.2/jobs/create", json=settings).json()["job_id"]
    kept = http.get("/api/2.2/jobs/get", params={"job_id": job_id}).json()["settings"]
    assert query.items() <= kept["tasks"][0].items()
    assert (kept["performance_target"], kept["edit_mode"]) == ("STANDARD", "EDITABLE")


def test_a_reset_replaces_all_settings_and_keeps_run_as(client: WorkspaceClient, http: httpx.Client) -> None:
    body = {"name": "before", "tags": {"a": "b"}, "run_as": {"service_principal_name": "robot"}}
    job_id = http.post("/api/2.2/jobs/create", json=body).json()["job_id"]
    client.jobs.reset(job_id, JobSettings(name="after", tasks=[notebook("only")]))
    job = client.jobs.get(job_id)
    assert job.settings
    assert (job.settings.name, job.settings.tags, job.run_as_user_name) == ("after", None, "robot")


def test_an_update_changes_only_the_given_settings(client: WorkspaceClient) -> None:
    job_id = create(client, "partly", tags={"a": "b"}, description="old")
    changed = JobSettings(description="new", tasks=[notebook("b"), notebook("c", "b")])
    client.jobs.update(job_id, new_settings=changed, fields_to_remove=["tags", "tasks/a"])
    settings = client.jobs.get(job_id).settings
    assert settings
    assert settings.tasks
    assert (settings.name, settings.description, settings.tags) == ("partly", "new", None)
    assert [item.task_key for item in settings.tasks] == ["b", "c"]


def test_an_update_that_breaks_the_graph_changes_nothing(client: WorkspaceClient) -> None:
    job_id = create(client, "whole", tags={"a": "b"})
    with pytest.raises(
        InvalidParameterValue, match=r"new_settings\.tasks\.0\.depends_on\.0\.task_key: Unknown task 'a'"
    ):
        client.jobs.update(job_id, fields_to_remove=["tags", "tasks/a"])
    settings = client.jobs.get(job_id).settings
    assert settings
    assert settings.tasks
    assert (settings.tags, len(settings.tasks)) == ({"a": "b"}, 2)


def test_jobs_are_listed_by_page_and_by_name(client: WorkspaceClient, http: httpx.Client) -> None:
    created = [create(client, f"listed-{number}") for number in range(7)]
    everything = [job.job_id for job in client.jobs.list(limit=2)]
    assert [job_id for job_id in everything if job_id in created] == created[::-1]
    assert len(everything) == len(set(everything))
    assert [job.job_id for job in client.jobs.list(name="LISTED-3")] == [created[3]]
    page = http.get("/api/2.2/jobs/list", params={"limit": 2}).json()
    assert (len(page["jobs"]), page["has_more"]) == (2, True)
    assert "tasks" not in page["jobs"][0]["settings"]
    assert http.get("/api/2.1/jobs/list", params={"limit": 101}).status_code == 400
    assert http.get("/api/2.2/jobs/list", params={"page_token": "x"}).status_code == 400


def test_a_deleted_job_does_not_exist(client: WorkspaceClient) -> None:
    job_id = create(client, "gone")
    client.jobs.delete(job_id)
    for call in (client.jobs.get, client.jobs.delete):
        with pytest.raises(ResourceDoesNotExist, match=f"Job {job_id} does not exist"):
            call(job_id)
    with pytest.raises(ResourceDoesNotExist):
        client.jobs.reset(job_id, JobSettings(name="x"))
    with pytest.raises(ResourceDoesNotExist):
        client.permissions.get("jobs", str(job_id))


def task(**fields: Any) -> dict[str, Any]:
    return {"task_key": "a", "notebook_task": {"notebook_path": "/a"}, **fields}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tasks": [task(task_key="a b")]}, "tasks.0.task_key"),
        (
            {"tasks": [{"task_key": "a"}]},
            "tasks.0.task_key: task 'a' needs exactly one type, .*; it has none",
        ),
        ({"tasks": [task(run_job_task={"job_id": 1})]}, "tasks.0.task_key: task 'a' needs exactly one type"),
        ({"tasks": [task(), task()]}, "tasks.0.task_key: there is more than one task 'a'"),
        (
            {"tasks": [task(depends_on=[{"task_key": "b"}])]},
            "tasks.0.depends_on.0.task_key: Unknown task 'b'",
        ),
        ({"tasks": [task(depends_on=[{"task_key": "a"}])]}, "tasks: .* in a cycle: a -> a"),
        (
            {
                "tasks": [
                    task(depends_on=[{"task_key": "b"}]),
                    task(task_key="b", depends_on=[{"task_key": "a"}]),
                ]
            },
            "tasks: tasks depend on each other in a cycle: a -> b -> a",
        ),
        ({"tasks": [task(run_if="SOMETIMES")]}, "tasks.0.run_if"),
        ({"tasks": [task(max_retries=-2)]}, "tasks.0.max_retries"),
        ({"tasks": [task(timeout_seconds="long")]}, "tasks.0.timeout_seconds"),
        ({"tasks": [task(environment_key="none")]}, "tasks.0.environment_key: Unknown environment 'none'"),
        ({"tasks": [{"task_key": "a", "python_wheel_task": {"package_name": "x"}}]}, "entry_point"),
        ({"tasks": [{"task_key": "a", "condition_task": {"op": "LIKE", "left": "1", "right": "2"}}]}, "op"),
        ({"tasks": {}}, "tasks"),
        ({"name": 7}, "name"),
        ({"schedule": {"timezone_id": "UTC"}}, "schedule.quartz_cron_expression"),
        ({"parameters": [{"name": "day", "default": 1}]}, "parameters.0.default"),
        ({"parameters": [{"name": "x", "default": ""}] * 2}, "parameters.0.name: .* parameter 'x'"),
        ({"parameters": [{"name": "a b", "default": ""}]}, "parameters.0.name: .*'a b'"),
        ({"environments": [{"environment_key": "x"}] * 2}, "environments.0.environment_key: .*'x'"),
        ({"tags": {"team": 7}}, "tags.team: text is expected, not a number"),
        (
            {
                "schedule": {
                    "quartz_cron_expression": "0 0 3 * * ?",
                    "timezone_id": "UTC",
                    "pause_status": "ON",
                }
            },
            "schedule.pause_status: one of PAUSED, UNPAUSED is expected, not 'ON'",
        ),
        ({"queue": {"enabled": None}}, "queue.enabled: it is missing"),
        ({"max_concurrent_runs": 1001}, "max_concurrent_runs: at most 1000 is expected"),
        (
            {"tasks": [{"task_key": "a", "run_job_task": {"job_id": "nightly"}}]},
            "tasks.0.run_job_task.job_id",
        ),
        (
            {"tasks": [{"task_key": "a", "spark_python_task": {"python_file": "/a", "parameters": [1]}}]},
            "tasks.0.spark_python_task.parameters.0: text is expected, not a number",
        ),
        (
            {"tasks": [{"task_key": "a", "for_each_task": {"inputs": "[]", "task": {"task_key": "b"}}}]},
            "tasks.0.for_each_task.task.task_key: task 'b' needs exactly one type",
        ),
        ({"max_concurrent_runs": -1}, "max_concurrent_runs"),
        ({"queue": {"enabled": "perhaps"}}, "queue.enabled"),
    ],
)
def test_a_wrong_setting_is_named(http: httpx.Client, settings: dict[str, Any], message: str) -> None:
    answer = http.post("/api/2.2/jobs/create", json={"name": "wrong", **settings})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert re.search(message, answer.json()["message"])


def test_unknown_settings_are_kept(client: WorkspaceClient, http: httpx.Client) -> None:
    body = {"name": "kept", "parameters": [{"name": "day", "default": "1"}], "performance_target": "STANDARD"}
    job_id = http.post("/api/2.2/jobs/create", json=body).json()["job_id"]
    kept = http.get("/api/2.2/jobs/get", params={"job_id": job_id}).json()["settings"]
    assert kept["performance_target"] == "STANDARD"
    settings = client.jobs.get(job_id).settings
    assert settings
    assert settings.parameters == [JobParameterDefinition(name="day", default="1")]

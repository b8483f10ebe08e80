"""Triggers of jobs: an interval, new files, changed tables, and one run after another."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from databricks.sdk.errors import InvalidParameterValue
from deltalake import DeltaTable, write_deltalake

from lakerun.bundles.sections import Section
from lakerun.bundles.triggers import TriggerSpec, read_trigger
from lakerun.errors import SettingsError
from lakerun.tables.storage import Storage, TableName
from lakerun.workspace.services.jobs.scheduler import Scheduler
from lakerun.workspace.services.jobs.watches import Watch, changed_tables, files_in, new_files, versions_of
from workspace.run_lab import Lab, serving

ARRIVAL = {"file_arrival": {"url": "/Volumes/main/raw/incoming/"}}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with serving(tmp_path_factory.mktemp("triggers")) as running:
        running.services.scheduler.close()  # each test has its own, which looks more often
        running.services.jobs.on_change.remove(running.services.scheduler.follow)
        yield running


@contextmanager
def following(lab: Lab) -> Iterator[Scheduler]:
    scheduler = Scheduler(lab.services.store, lab.services.runs, lab.services.scheduler._deployed)
    scheduler.look_every = 0.1
    scheduler.start()
    lab.services.jobs.on_change.append(scheduler.follow)
    try:
        yield scheduler
    finally:
        lab.services.jobs.on_change.remove(scheduler.follow)
        scheduler.close()


def watch(pause: float = 0, quiet: float = 0) -> Watch:
    return Watch(new_files, pause, quiet, {"old": "1"})


# When a watch is due ----------------------------------------------------------------------------------------


def test_a_run_starts_once_for_what_is_new() -> None:
    one = watch()
    assert not one.is_due({"old": "1"}, 0)
    assert one.is_due({"old": "1", "new": "1"}, 5)
    assert not one.is_due({"old": "1", "new": "1"}, 10)


def test_what_is_written_again_or_removed_is_not_new_and_what_comes_again_is() -> None:
    one = watch()
    assert not one.is_due({"old": "2"}, 0)
    assert one.is_due({"old": "2", "new": "1"}, 1)
    assert not one.is_due({"new": "1"}, 2)


def test_a_run_waits_until_nothing_more_arrives() -> None:
    one = watch(quiet=60)
    assert not one.is_due({"a": "1"}, 0)
    assert not one.is_due({"a": "1", "b": "1"}, 50)
    assert not one.is_due({"a": "1", "b": "2"}, 100)  # it still grows
    assert not one.is_due({"a": "1", "b": "2"}, 159)
    assert one.is_due({"a": "1", "b": "2"}, 160)


def test_two_starts_are_apart() -> None:
    one = watch(pause=60)
    assert one.is_due({"a": "1"}, 0)
    assert not one.is_due({"a": "1", "b": "1"}, 30)
    assert one.is_due({"a": "1", "b": "1"}, 60)


# What is watched --------------------------------------------------------------------------------------------


def test_files_are_found_on_every_level_and_a_missing_folder_is_empty(tmp_path: Path) -> None:
    assert files_in(tmp_path / "later") == {}
    (tmp_path / "2024" / "06").mkdir(parents=True)
    (tmp_path / "2024" / "06" / "orders.json").write_text("{}", encoding="utf-8")
    assert list(files_in(tmp_path)) == ["2024/06/orders.json"]


def test_a_table_has_changed_when_its_rows_have(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    names = ("main.shop.orders", "main.shop.later")
    path = storage.table_path(TableName("main", "shop", "orders"))
    for number in (1, 2):
        write_deltalake(str(path), pa.table({"id": [number]}), mode="append")
    seen = versions_of(storage, names)
    assert list(seen) == ["main.shop.orders"]

    DeltaTable(str(path)).optimize.compact()
    there = versions_of(storage, names)
    assert there != seen
    assert changed_tables(storage, seen, there) == set()
    write_deltalake(str(path), pa.table({"id": [3]}), mode="append")
    assert changed_tables(storage, seen, versions_of(storage, names)) == {"main.shop.orders"}


# Settings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, None),
        ({"trigger": {"pause_status": "PAUSED", **ARRIVAL}}, None),
        ({"trigger": {"periodic": {"interval": 2, "unit": "DAYS"}}}, TriggerSpec(kind="interval", hours=48)),
        (
            {"trigger": {"file_arrival": {"url": "/Volumes/a/b/c/", "wait_after_last_change_seconds": 60}}},
            TriggerSpec(kind="files", folder="/Volumes/a/b/c/", quiet_seconds=60),
        ),
        (
            {"trigger": {"table_update": {"table_names": ["a.b.c"], "condition": "ALL_UPDATED"}}},
            TriggerSpec(kind="tables", tables=("a.b.c",), all_tables=True),
        ),
        ({"continuous": {"pause_status": "UNPAUSED"}}, TriggerSpec(kind="continuous")),
        ({"continuous": {"pause_status": "PAUSED"}}, None),
    ],
)
def test_a_trigger_is_read(settings: dict[str, Any], expected: TriggerSpec | None) -> None:
    assert read_trigger(Section(settings)) == expected


@pytest.mark.parametrize(
    ("trigger", "field"),
    [
        ({"periodic": {"interval": 0, "unit": "DAYS"}}, "trigger.periodic.interval"),
        ({"periodic": {"interval": 1, "unit": "MINUTES"}}, "trigger.periodic.unit"),
        ({"file_arrival": {}}, "trigger.file_arrival.url"),
        ({"table_update": {"table_names": ["a.b.c"], "condition": "SOME"}}, "trigger.table_update.condition"),
    ],
)
def test_a_wrong_trigger_is_refused(trigger: dict[str, Any], field: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_trigger(Section({"trigger": trigger}))
    assert caught.value.field == field


# In the workspace -------------------------------------------------------------------------------------------


def runs_of(lab: Lab, job_id: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = lab.call("GET", "/api/2.2/jobs/runs/list", job_id=job_id).get("runs", [])
    return found


def arrive(lab: Lab, name: str) -> None:
    folder = lab.services.storage.volumes_root / "main" / "raw" / "incoming"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("{}", encoding="utf-8")


def test_new_files_start_a_run_also_those_that_came_while_the_workspace_was_down(lab: Lab) -> None:
    arrive(lab, "before.json")
    with following(lab):
        job_id = lab.job(lab.script("load", "print('loaded')"), name="load", trigger=ARRIVAL)
        time.sleep(0.3)
        assert runs_of(lab, job_id) == []
        arrive(lab, "one.json")
        (run,) = lab.wait(lambda: runs_of(lab, job_id), len)
        assert run["trigger"] == "FILE_ARRIVAL"
        lab.ended(run["run_id"])
    arrive(lab, "two.json")
    with following(lab):
        lab.wait(lambda: runs_of(lab, job_id), lambda runs: len(runs) == 2)
        lab.services.jobs.delete(job_id)
    assert lab.services.store.get("watch", job_id) is None


def test_a_commit_starts_a_run(lab: Lab) -> None:
    trigger = {"table_update": {"table_names": ["main.shop.prices"]}}
    with following(lab):
        job_id = lab.job(lab.script("publish", "print(1)"), name="publish", trigger=trigger)
        path = lab.services.storage.table_path(TableName("main", "shop", "prices"))
        write_deltalake(str(path), pa.table({"id": [1]}))
        (run,) = lab.wait(lambda: runs_of(lab, job_id), len)
        assert run["trigger"] == "TABLE"
        lab.ended(run["run_id"])


def test_a_continuous_job_runs_again_after_each_run_until_it_is_paused(lab: Lab) -> None:
    with following(lab):
        script = lab.script("go", "print(1)")
        job_id = lab.job(script, name="on and on", continuous={"pause_status": "UNPAUSED"})
        runs = lab.wait(lambda: runs_of(lab, job_id), lambda runs: len(runs) >= 3)
        assert {run["trigger"] for run in runs} == {"CONTINUOUS"}
        ended = [run for run in runs if run.get("end_time")]
        assert len(ended) >= len(runs) - 1  # one at a time

        lab.services.jobs.update(job_id, {"continuous": {"pause_status": "PAUSED"}}, [])
        lab.wait(lambda: lab.services.runs.is_active(job_id), lambda active: not active)
        count = len(runs_of(lab, job_id))
        time.sleep(0.3)
        assert len(runs_of(lab, job_id)) == count


def test_a_continuous_job_that_fails_waits_before_it_runs_again(lab: Lab) -> None:
    with following(lab):
        script = lab.script("fail", "raise ValueError")
        job_id = lab.job(script, name="fails", continuous={"pause_status": "UNPAUSED"})
        (run,) = lab.wait(lambda: runs_of(lab, job_id), len)
        lab.ended(run["run_id"])
        time.sleep(0.3)
        assert len(runs_of(lab, job_id)) == 1


def test_an_interval_counts_from_the_jobs_creation_however_often_the_workspace_starts(lab: Lab) -> None:
    periodic = {"periodic": {"interval": 1, "unit": "WEEKS"}}
    job_id = lab.job(lab.script("weekly", "print(1)"), name="weekly", trigger=periodic)
    created = datetime.fromtimestamp(lab.services.jobs.get(job_id)["created_time"] / 1000, UTC)
    with following(lab) as scheduler:
        due = scheduler._scheduler.get_job(str(job_id)).next_run_time
    assert abs(due - created - timedelta(weeks=1)) < timedelta(seconds=1)


def test_what_cannot_be_watched_is_refused_by_name(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    bucket = {"file_arrival": {"url": "s3://bucket/in/"}}
    with following(lab):
        lab.job(lab.script("cloud", "print(1)"), name="cloud", trigger=bucket)
    assert "trigger.file_arrival.url: 's3://bucket/in/' is not a folder of a volume" in caplog.text
    with pytest.raises(InvalidParameterValue, match=r"trigger\.periodic\.unit"):
        lab.job(lab.script("cloud", "print(1)"), trigger={"periodic": {"interval": 1, "unit": "MINUTES"}})

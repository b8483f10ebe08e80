"""Every notebook of Customer.io runs from top to bottom on local Spark, against a real local server.

What arrived at the server is compared with what the notebooks are written to send. Rounds of all notebooks in
permissive mode and with faults are marked slow; the suite has some of them.
"""

from __future__ import annotations

import logging
import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from workspace.run_lab import TOKEN, serving

from ecommerce_lakehouse.activation.errors import StillDueError
from ecommerce_lakehouse.activation.notebooks import (
    RejectedRowsError,
    SendRows,
    message_id,
)
from lakerun.bundles.job_specs import job_from_settings
from lakerun.jobs.local_task_runner import LocalTaskRunner
from lakerun.jobs.notebook_cells import read_notebook
from lakerun.jobs.results import JobResult, TaskUpdate
from lakerun.jobs.runner import run_job
from lakerun.tables.storage import Storage
from tests.customerio_server import APP_KEY, KEY, CustomerIOServer, Fault, Request
from tests.integration.customerio_arrivals import EXPECTED
from tests.unit.customerio import settings

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "src" / "notebooks" / "customer_io"
NOTEBOOKS = sorted(file.stem for file in FOLDER.glob("[0-9]*.py"))
IN_THE_SUITE = ("02_people_management", "07_ecommerce_events", "09_batch_operations")
SYNCS = "10_data_pipelines_integration"
APP_CALLS = ("/v1/send", "/v1/campaigns")
SECTIONS = ["Imports and setup", "Models", "Manager", "Examples", "Summary"]


@dataclass
class Notebooks:
    """Runs notebooks as a job does, on an empty lakehouse."""

    home: Path
    spark: SparkSession
    pipelines: dict[str, Any] = field(default_factory=dict)
    jobs: dict[str, Any] = field(default_factory=dict)
    heard: list[TaskUpdate] = field(default_factory=list)

    def run(self, name: str, **widgets: str) -> JobResult:
        task = {"notebook_path": str(FOLDER / name), "base_parameters": {"environment": "local", **widgets}}
        return run_job(
            job_from_settings({"name": "n", "tasks": [{"task_key": "n", "notebook_task": task}]}, "1"),
            {},
            resources=self,
            task_runner=LocalTaskRunner(Storage(self.home), lambda: self.spark),
            on_task=self.heard.append,
        )

    @property
    def logs(self) -> str:
        return "".join(update.outcome.logs for update in self.heard if update.outcome)


@pytest.fixture
def notebooks(
    home: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[Notebooks]:
    """Afterwards neither key is in an output, a log, a table or another file."""
    monkeypatch.setenv("CUSTOMERIO_KEY", KEY)
    monkeypatch.setenv("CUSTOMERIO_APP_KEY", APP_KEY)
    # Notebook 12 looks for a workspace.
    for variable in [name for name in os.environ if name.startswith("DATABRICKS_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(home / "no-profiles"))
    for name in ("httpx2", "httpcore2", "ecommerce_lakehouse"):
        caplog.set_level(logging.DEBUG, logger=name)
    made = Notebooks(home, spark)
    yield made
    assert made.logs
    for secret in (KEY, APP_KEY):
        assert secret not in made.logs
        assert secret not in caplog.text
        assert [f for f in home.rglob("*") if f.is_file() and secret.encode() in f.read_bytes()] == []


def arrived(server: CustomerIOServer) -> list[str]:
    """What arrived, each message once: its event or type, and whom it is about."""
    found: dict[str, str] = {}
    for message in server.messages:
        who = message.get("userId") or message.get("anonymousId") or message.get("groupId") or "-"
        what = message.get("event") or message.get("type") or "a message"
        found[message.get("messageId") or f"app {len(found)}"] = f"{what}: {who}"
    return list(found.values())


def state(result: JobResult) -> tuple[str, str | None]:
    (task,) = result.tasks
    return task.state, task.error


def test_there_is_an_expectation_for_every_notebook() -> None:
    assert list(EXPECTED) == NOTEBOOKS


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name.startswith("10_") else []) for name in NOTEBOOKS],
)
def test_a_notebook_sends_exactly_what_it_says(
    name: str, notebooks: Notebooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    with CustomerIOServer() as server:
        monkeypatch.setenv("CUSTOMERIO_BASE_URL", server.url)
        assert state(notebooks.run(name)) == ("SUCCESS", None)
    found = arrived(server)
    # Spark decides in which order a sync sends the rows of one run.
    assert found == EXPECTED[name] if name != SYNCS else sorted(found) == sorted(EXPECTED[name])
    assert max(server.arrivals.values(), default=1) == 1
    assert server.dropped == []


def _rounds() -> list[Any]:
    return [pytest.param(name, marks=[] if name in IN_THE_SUITE else pytest.mark.slow) for name in NOTEBOOKS]


@pytest.mark.parametrize("name", _rounds())
def test_in_permissive_mode_it_sends_the_same_and_calls_nothing_verified(
    name: str, notebooks: Notebooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    with CustomerIOServer() as server:
        monkeypatch.setenv("CUSTOMERIO_BASE_URL", server.url)
        assert state(notebooks.run(name, mode="permissive")) == ("SUCCESS", None)
    assert sorted(arrived(server)) == sorted(EXPECTED[name])
    assert {r.headers.get("x-strict-mode") for r in server.requests} == {None}
    assert "verified=True" not in notebooks.logs
    assert not re.search(r"\baccepted \d|'accepted'", notebooks.logs.partition("messaging")[0])


@pytest.mark.parametrize("name", _rounds())
def test_with_faults_every_message_arrives_all_the_same(
    name: str, notebooks: Notebooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = {"Retry-After": "0"}
    kinds = (Fault(429, now), Fault(503, now, accepted=True), Fault(500, now))
    number = count()

    def faults(request: Request) -> Fault | None:
        # The App API's calls are not tried again after a 500, as notebook 04 says.
        turn = next(number)
        return None if turn % 2 or request.path.startswith(APP_CALLS) else kinds[turn // 2 % 3]

    with CustomerIOServer(faults) as server:
        monkeypatch.setenv("CUSTOMERIO_BASE_URL", server.url)
        assert state(notebooks.run(name)) == ("SUCCESS", None)
    assert sorted(arrived(server)) == sorted(EXPECTED[name])


def test_a_key_that_is_not_taken_ends_the_notebook_in_one_line(
    notebooks: Notebooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUSTOMERIO_KEY", "sk_us_of-another-source")
    with CustomerIOServer() as server:
        monkeypatch.setenv("CUSTOMERIO_BASE_URL", server.url)
        found, error = state(notebooks.run("02_people_management"))
    assert found == "FAILED"
    assert error is not None
    assert "answered 401: it does not take this key" in error
    assert "of-another-source" not in notebooks.logs + error
    assert server.messages == []


def test_without_a_key_the_notebook_says_where_to_put_it(
    notebooks: Notebooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUSTOMERIO_KEY")
    found, error = state(notebooks.run("00_setup_and_configuration"))
    assert (found, "set the variable CUSTOMERIO_KEY" in (error or "")) == ("FAILED", True)


def test_the_key_may_come_from_the_secret_that_the_widgets_name(
    notebooks: Notebooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUSTOMERIO_KEY")
    monkeypatch.setenv("SHOP_CIO", KEY)
    with CustomerIOServer() as server:
        monkeypatch.setenv("CUSTOMERIO_BASE_URL", server.url)
        result = notebooks.run("00_setup_and_configuration", secret_scope="shop", secret_key="cio")
    assert state(result) == ("SUCCESS", None)
    assert arrived(server) == EXPECTED["00_setup_and_configuration"]


def test_a_notebook_reads_the_lakehouse_and_sends_nobody_without_consent(
    notebooks: Notebooks, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = Storage(notebooks.home)

    def table(name: str, columns: str, rows: list[tuple[Any, ...]]) -> None:
        from lakerun.tables.storage import TableName

        path = tables.table_path(TableName("local", "data_eng", name))
        spark.createDataFrame(rows, columns).coalesce(1).write.format("delta").save(str(path))

    consents = [("c1", "email"), ("c1", "push"), ("c2", "push"), ("c3", "email"), ("c9", "email")]
    table("gold_marketing_consents", "customer_id string, channel string", consents)
    segments = [(f"c{n}", "Champions", "Active", 0.5, "more") for n in (1, 2, 3, 4)]
    columns = (
        "customer_id string, rfm_segment string, lifecycle_stage string, churn_risk_score double, x string"
    )
    table("gold_customer_segments", columns, segments)
    with CustomerIOServer() as server:
        monkeypatch.setenv("CUSTOMERIO_BASE_URL", server.url)
        assert state(notebooks.run("02_people_management")) == ("SUCCESS", None)
    # The invented customers of the batch give way to those who granted e-mail.
    invented = [f"identify: example-{n}" for n in (101, 102, 103)]
    expected = [line for line in EXPECTED["02_people_management"] if line not in invented]
    assert sorted([*expected, "identify: c1", "identify: c3", "identify: example-101"]) == sorted(
        arrived(server)
    )
    assert "There is no" not in notebooks.logs


def test_the_deployment_is_looked_at_and_a_job_is_run(
    notebooks: Notebooks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tmp_path / "workspace") as lab, CustomerIOServer() as server:
        lab.job(lab.script("send", "print('sent')\n"), name="[dev ann] customerio_sync")
        monkeypatch.setenv("CUSTOMERIO_BASE_URL", server.url)
        monkeypatch.setenv("DATABRICKS_HOST", lab.url)
        monkeypatch.setenv("DATABRICKS_TOKEN", TOKEN)
        result = notebooks.run("12_production_deployment", run_job="customerio_sync")
    assert state(result) == ("SUCCESS", None)
    lines = [line.split() for line in notebooks.logs.splitlines()]
    assert ["e2e_pipeline_job:", "deployed", "False"] in [line[:3] for line in lines]
    assert ["customerio_sync:", "deployed", "False"] in [line[:3] for line in lines]
    assert "result='SUCCESS'" in notebooks.logs
    assert TOKEN not in notebooks.logs


# Streams ------------------------------------------------------------------------------------------------


def test_a_micro_batch_that_is_not_settled_is_sent_again_under_the_same_ids(spark: SparkSession) -> None:
    rows = spark.createDataFrame([("c1", 1), ("c2", 2)], "customer_id string, visits int").coalesce(1)

    def message(row: dict[str, Any]) -> dict[str, Any]:
        user = row["customer_id"]
        return {"type": "identify", "userId": user, "messageId": message_id("visits", user)}

    with CustomerIOServer(lambda request: Fault(500, accepted=True)) as server:
        send = SendRows(settings(server), message)
        with pytest.raises(StillDueError, match="2 messages of micro-batch 7 are still due"):
            send(rows, 7)
        server.faults = lambda request: None
        send(rows, 7)
    assert server.arrivals == {message_id("visits", "c1"): 5, message_id("visits", "c2"): 5}
    assert message_id("a", "bc") != message_id("ab", "c")


def test_a_row_that_is_not_taken_stops_the_stream_or_is_skipped(spark: SparkSession) -> None:
    rows = spark.createDataFrame([("c1",), (None,), ("c3",), ("",)], "customer_id string").coalesce(1)

    def message(row: dict[str, Any]) -> dict[str, Any] | None:
        if row["customer_id"] == "":
            return None
        return {"type": "identify", "userId": row["customer_id"], "messageId": f"m-{row['customer_id']}"}

    with CustomerIOServer() as server:
        with pytest.raises(RejectedRowsError, match="does not take 1 rows of micro-batch 0"):
            SendRows(settings(server), message)(rows, 0)
        SendRows(settings(server), message, rejected="skip")(rows, 0)
    assert server.arrivals == {"m-c1": 2, "m-c3": 2}


# Form ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_has_the_six_sections(name: str) -> None:
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    assert text.startswith("# Databricks notebook source\n# MAGIC %md\n# MAGIC # Customer.io: ")
    assert re.findall(r"^# MAGIC ## (.+)$", text, re.MULTILINE) == SECTIONS
    assert "# MAGIC %run ./start" in text
    first = read_notebook(FOLDER / f"{name}.py")[0]
    assert first.language == "md"


def test_the_packages_that_notebooks_install_are_those_of_the_dependency_group() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    cells = [cell.text for cell in read_notebook(FOLDER / "start.py") if cell.language == "pip"]
    assert re.findall(r'"([^"]+)"', " ".join(cells)) == project["dependency-groups"]["activation"]

"""The real CLI runs the jobs and pipelines of each target, and the tables equal those of `lakehouse run`.

`-m long` runs in dev what a day runs; `-m slow` runs every job and pipeline of every target.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from ecommerce_lakehouse.config import get_config
from lakerun.bundles.load import load_bundle
from lakerun.tables.storage import Storage
from tests.e2e.conftest import SIZES, MainJob, rows_of_tables
from tests.workspace.cli_lab import ROOT, TARGETS, WITHOUT_CLI, CliLab, databricks_cli, state

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(databricks_cli() is None, reason=WITHOUT_CLI),
    pytest.mark.timeout(900),
]
# The first provides data for the others, whose order is free.
FIRST = ("generate_sample_data", "e2e_pipeline_job", "order_analytics_job")
SAMPLE = (*FIRST[:2], "daily_health")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CliLab]:
    started = CliLab(tmp_path_factory.mktemp("cli_runs"))
    started.start()
    yield started
    started.stop()


def jobs_of(target: str) -> list[str]:
    """The jobs to run, in an order in which each finds what it reads."""
    jobs = set(load_bundle(ROOT, target).jobs)
    assert set(FIRST) <= jobs
    return [*FIRST, *sorted(jobs - set(FIRST))]


def run_all(lab: CliLab, target: str, jobs: Iterable[str], pipelines: Iterable[str]) -> None:
    lab.bundle("deploy", "-t", target)
    if get_config(target).source_data == "delivered":
        deliver(lab.home / "volumes")
    for job in jobs:
        sizes = ",".join(f"{name}={size}" for name, size in SIZES.items())
        parameters = ["--params", sizes] if job == FIRST[0] else []
        printed = lab.bundle("run", "-t", target, job, *parameters)
        assert "TERMINATED SUCCESS" in printed.stderr, f"{job}: {printed.stderr}"
    for pipeline in pipelines:
        printed = lab.bundle("run", "-t", target, pipeline)
        assert "COMPLETED" in printed.stdout + printed.stderr, f"{pipeline}: {printed.stderr}"


def deliver(volumes: Path) -> None:
    """Copy what the jobs generated in dev into prod's volume."""
    source = volumes / "juan_dev" / "dev_developer_data_eng" / "data"
    arrivals = volumes / "prod" / "data_eng" / "data"
    for file in (*source.glob("*_raw/*.json"), *source.glob("orders/landing/*.json")):
        arrival = arrivals / file.relative_to(source)
        arrival.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, arrival)


def test_the_jobs_of_a_day_run(lab: CliLab) -> None:
    run_all(lab, "dev", SAMPLE, ["ml_features_pipeline"])


def test_the_tables_equal_those_that_lakehouse_run_makes(lab: CliLab, main_job: MainJob) -> None:
    deployed = rows_of_tables(lab.home, "juan_dev", "dev_developer_data_eng")
    assert len(main_job.first_rows) >= 29
    for name, rows in main_job.first_rows.items():
        assert deployed[name] == rows, name


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_every_job_and_pipeline_of_a_target_runs(lab: CliLab, target: str) -> None:
    run_all(lab, target, jobs_of(target), load_bundle(ROOT, target).pipelines)


def test_the_tests_for_a_real_workspace_pass_on_the_local_one(lab: CliLab) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "tests/workspace_live"]
    done = subprocess.run(command, cwd=ROOT, env=lab.environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    assert re.search(r"\b[0-9]+ passed", done.stdout), done.stdout


def test_a_deployment_is_destroyed_with_its_tables_and_files(lab: CliLab) -> None:
    assert Storage(lab.home).tables()
    for target in TARGETS:
        lab.bundle("destroy", "--auto-approve", "-t", target)
    assert state(lab) == {}
    assert Storage(lab.home).tables() == []
    for folder in (lab.home / "pipelines", lab.home / "volumes", lab.home / "workspace" / "files"):
        assert [path for path in folder.rglob("*") if path.is_file()] == []

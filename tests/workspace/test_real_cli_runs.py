"""The real CLI runs the jobs and pipelines of each target, and the tables equal those of `lakehouse run`.

The code is the same in every target: staging and prod are slow tests.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder

from ecommerce_lakehouse.config import get_config
from lakerun.bundles.load import load_bundle
from lakerun.tables.storage import Storage
from tests.workspace.cli_lab import LAKEHOUSE, ROOT, TARGETS, WITHOUT_CLI, CliLab, databricks_cli, state

pytestmark = [
    pytest.mark.skipif(databricks_cli() is None, reason=WITHOUT_CLI),
    pytest.mark.timeout(900),
]
SIZES = {"orders": 250, "customer_activity": 300, "customers": 50}
# The first gives the others something to read; the order of the rest is theirs to choose.
FIRST = ("generate_sample_data", "e2e_pipeline_job", "order_analytics_job")
# What differs between two runs of the same data: when and where they ran.
WHEN_AND_WHERE = ("ingested_at", "environment", "source_file")
TABLES = ("bronze", "silver", "quarantine", "gold", "feature")


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


@pytest.mark.parametrize(
    "target",
    [target if target == "dev" else pytest.param(target, marks=pytest.mark.slow) for target in TARGETS],
)
def test_the_jobs_and_pipelines_of_a_target_run(lab: CliLab, target: str) -> None:
    lab.bundle("deploy", "-t", target)
    if get_config(target).source_data == "delivered":
        deliver(lab.home / "volumes")
    bundle = load_bundle(ROOT, target)
    for job in jobs_of(target):
        sizes = ",".join(f"{name}={size}" for name, size in SIZES.items())
        parameters = ["--params", sizes] if job == FIRST[0] else []
        printed = lab.bundle("run", "-t", target, job, *parameters)
        assert "TERMINATED SUCCESS" in printed.stderr, f"{job}: {printed.stderr}"
    for pipeline in bundle.pipelines:
        printed = lab.bundle("run", "-t", target, pipeline)
        assert "COMPLETED" in printed.stdout + printed.stderr, f"{pipeline}: {printed.stderr}"


def deliver(volumes: Path) -> None:
    """Put what the jobs generated in dev into prod's volume."""
    source = volumes / "juan_dev" / "dev_developer_data_eng" / "data"
    arrivals = volumes / "prod" / "data_eng" / "data"
    for file in (*source.glob("*_raw/*.json"), *source.glob("orders/landing/*.json")):
        arrival = arrivals / file.relative_to(source)
        arrival.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, arrival)


def test_the_tables_equal_those_that_lakehouse_run_makes(lab: CliLab, tmp_path: Path) -> None:
    environment = {**lab.environment, "LAKEHOUSE_HOME": str(tmp_path)}
    sizes = [part for name, size in SIZES.items() for part in ("--param", f"{name}={size}")]
    for command in ([FIRST[0], *sizes], [FIRST[1]]):
        subprocess.run(
            [LAKEHOUSE, "run", *command, "--env", "dev", "--target", "dev", "--json"],
            cwd=ROOT,
            env=environment,
            check=True,
            capture_output=True,
            timeout=400,
        )
    deployed = tables(lab.home, "juan_dev", "dev_developer_data_eng")
    local = tables(tmp_path, "juan_dev", "data_eng")
    assert len(local) >= 29
    for name, rows in local.items():
        assert deployed[name] == rows, name


def test_the_tests_for_a_real_workspace_pass_on_the_local_one(lab: CliLab) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "tests/workspace_live"]
    done = subprocess.run(command, cwd=ROOT, env=lab.environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    assert re.search(r"\b[0-9]+ passed", done.stdout), done.stdout


def test_what_has_run_is_destroyed_with_its_tables_and_files(lab: CliLab) -> None:
    assert Storage(lab.home).tables()
    for target in TARGETS:
        lab.bundle("destroy", "--auto-approve", "-t", target)
    assert state(lab) == {}
    assert Storage(lab.home).tables() == []
    for folder in (lab.home / "pipelines", lab.home / "volumes", lab.home / "workspace" / "files"):
        assert [path for path in folder.rglob("*") if path.is_file()] == []


def tables(home: Path, catalog: str, schema: str) -> dict[str, Counter[str]]:
    """The rows of every table of the two main pipelines as multisets."""
    found = {}
    for table in Storage(home).tables():
        if (table.catalog, table.schema) != (catalog, schema) or not table.table.startswith(TABLES):
            continue
        if "order_batches" in table.table or table.table.startswith("gold_order_"):
            continue  # their generator takes the time of day
        reader = QueryBuilder().register("t", DeltaTable(str(Storage(home).table_path(table))))
        rows = pa.table(reader.execute("SELECT * FROM t").read_all()).to_pylist()
        found[table.table] = Counter(
            json.dumps({k: v for k, v in row.items() if k not in WHEN_AND_WHERE}, default=str, sort_keys=True)
            for row in rows
        )
    return found

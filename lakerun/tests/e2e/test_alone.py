"""The example bundle in an empty folder, with only this package's wheel installed."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2]
EXAMPLE = PACKAGE / "examples" / "weather"
CLI = os.environ.get("LAKEHOUSE_TEST_CLI") or shutil.which("databricks")
# The script's four readings: one cannot be true, and the other three have these means.
MEANS = [("Bergen", "2024-05-01", 10.5), ("Oslo", "2024-05-01", 14.0)]


@dataclass(frozen=True)
class Machine:
    """A folder with the bundle, and an environment with the wheel."""

    project: Path
    scripts: Path
    environment: dict[str, str]

    def lakerun(self, *arguments: str, code: int = 0) -> str:
        """The stdout of a command."""
        return self.run(str(self.scripts / "lakerun"), *arguments, code=code)

    def bundle(self, *arguments: str) -> str:
        """`databricks bundle ...`."""
        return self.run(str(CLI), "bundle", *arguments)

    def sql(self, query: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.lakerun("sql", query, "--format", "csv"))))

    def run(self, *command: str, code: int = 0) -> str:
        done = subprocess.run(
            command,
            cwd=self.project,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
        printed = f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert done.returncode == code, printed
        assert not re.search(r"\blakehouse\s", printed), "a command is called lakerun here"
        return done.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel and its dependencies, in the versions of uv.lock."""
    path = tmp_path_factory.mktemp("environment")
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not on PATH")
    # uv would use a cached wheel, as the version is the same.
    only = ["--package", "lakerun", "--no-default-groups", "--no-editable", "--reinstall-package", "lakerun"]
    subprocess.run(
        [uv, "sync", "--quiet", "--frozen", *only],
        cwd=PACKAGE,
        env={**os.environ, "UV_PROJECT_ENVIRONMENT": str(path)},
        check=True,
        timeout=300,
    )
    return path


@pytest.fixture
def machine(environment: Path, tmp_path: Path) -> Iterator[Machine]:
    project = tmp_path / "weather"
    shutil.copytree(EXAMPLE, project)
    hidden = ("DATABRICKS_", "LAKEHOUSE_", "LAKERUN_", "PYTHON", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    kept |= {
        "DATABRICKS_CACHE_DIR": str(tmp_path / "cache"),
        "DATABRICKS_CONFIG_FILE": str(tmp_path / "none"),
    }
    # The data folder of a user without settings.
    made = Machine(project, environment / "bin", kept)
    yield made
    shutil.rmtree(tmp_path)


def test_the_environment_has_only_the_wheel_and_its_dependencies(machine: Machine) -> None:
    code = (
        "import lakerun, json; from importlib import metadata as m;"
        "points = [point.name for point in m.entry_points(group='lakerun.plugins')];"
        "print(json.dumps([lakerun.__file__, points]))"
    )
    file, plugins = json.loads(machine.run(str(machine.scripts / "python"), "-c", code))
    assert not Path(file).is_relative_to(PACKAGE)
    assert plugins == []


@pytest.mark.slow  # three JVMs; .ci/run runs it on the newest Python
def test_the_bundle_runs_on_the_command_line(machine: Machine) -> None:
    listed = json.loads(machine.lakerun("list", "--json"))
    assert "daily_weather" in json.dumps(listed)
    # Before anything has arrived.
    assert machine.lakerun("validate").startswith("Nothing is wrong")

    first = json.loads(machine.lakerun("run", "daily_weather", "--json"))
    assert first["state"] == "SUCCESS"
    again = machine.lakerun("run", "daily_weather")
    assert "up to date: readings, daily_means" in again
    assert means(machine, "weather") == MEANS
    assert machine.sql("SELECT count(*) AS n FROM readings") == [{"n": "3"}]

    tables = machine.lakerun("tables")
    assert re.search(r"^readings +3 ", tables, re.M)
    assert re.search(r"^daily_means +2 ", tables, re.M)
    events = machine.lakerun("events", "readings_pipeline", "--json")
    assert "possible" in events


@pytest.mark.long
@pytest.mark.skipif(
    CLI is None, reason="the databricks CLI is neither on PATH nor named by LAKEHOUSE_TEST_CLI"
)
def test_the_real_cli_deploys_runs_and_destroys_the_bundle(machine: Machine) -> None:
    printed = machine.lakerun("workspace", "start", "--port", "0")
    try:
        for line in printed.splitlines():
            name, _, value = line.removeprefix("export ").partition("=")
            machine.environment[name] = value
        assert machine.bundle("validate", "--strict").rstrip().endswith("Validation OK!")
        machine.bundle("deploy")
        uploaded = {path.name for path in machine.project.glob(".lakehouse/workspace/files/**/files/*")}
        assert uploaded == {"README.md", "databricks.yml", "src"}
        assert "4 readings of 2024-05-01" in machine.bundle("run", "daily_weather")
        assert means(machine, "dev_developer_weather") == MEANS
        machine.bundle("destroy", "--auto-approve")
        assert json.loads(machine.lakerun("workspace", "status", "--json"))["resources"]["job"] == 0
        assert machine.lakerun("tables").startswith("There is no table yet")
    finally:
        assert machine.lakerun("workspace", "stop").startswith("Stopped process")


def means(machine: Machine, schema: str) -> list[tuple[str, str, float]]:
    rows = machine.sql(f"SELECT station, day, mean_celsius FROM {schema}.daily_means ORDER BY station")
    return [(row["station"], row["day"], float(row["mean_celsius"])) for row in rows]

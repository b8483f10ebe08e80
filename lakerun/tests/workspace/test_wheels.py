"""Deployed wheels cannot replace the runtime, its dependencies or Python's library."""

from __future__ import annotations

import logging
import threading
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from lakerun.jobs.packages.wheels import Wheels
from lakerun.jobs.tasks import TaskCall, TaskOutcome
from lakerun.tables.storage import Storage
from lakerun.workspace.services.compute.compute import Compute

BROKEN = "raise RuntimeError('this comes from the wheel')\n"
SHADOWS = (
    "lakerun/__init__.py",
    "pyspark/__init__.py",
    "pyarrow.py",
    "deltalake/__init__.py",
    "yaml/__init__.py",
    "json/__init__.py",
    "databricks/__init__.py",
    "google/__init__.py",
    "google/protobuf/__init__.py",
)
OWN = {
    "weather/__init__.py": "VERSION = 'of the wheel'\n",
    "databricks/labs/weather.py": "VERSION = 'of the lab'\n",
    "google/weather.py": "VERSION = 'beside others'\n",
    "weather-2.0.dist-info/METADATA": "Name: weather\nVersion: 2.0\n",
    "weather-2.0.dist-info/entry_points.txt": "[console_scripts]\nmain = weather:main\n",
}
TASK = """
import subprocess, sys
from importlib import metadata
import deltalake, google.protobuf, json, lakerun, pyarrow, yaml
import databricks.labs.weather, databricks.sdk, google.weather, weather

print(weather.VERSION, metadata.version("weather"), google.weather.VERSION, databricks.labs.weather.VERSION)
code = "import json, yaml, pyarrow, weather; print(weather.VERSION)"
print(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
"""
SPARK_TASK = """
from pyspark.sql import SparkSession, functions as F

def version(id):
    import weather
    return weather.VERSION

spark = SparkSession.builder.getOrCreate()
rows = spark.range(1).select(F.udf(version, "string")("id")).collect()
spark.createDataFrame([(1, rows[0][0])], "id INT, version STRING").toPandas()
print(rows[0][0])
"""


@pytest.fixture
def compute(tmp_path: Path) -> Iterator[Compute]:
    """A worker in whose environment another version of the wheel's package is installed."""
    installed = tmp_path / "installed"
    (installed / "weather-1.0.dist-info").mkdir(parents=True)
    (installed / "weather-1.0.dist-info" / "METADATA").write_text("Name: weather\nVersion: 1.0\n")
    (installed / "weather").mkdir()
    (installed / "weather" / "__init__.py").write_text("VERSION = 'installed'\n")
    found = Compute(
        Storage(tmp_path),
        read_secret=lambda scope, key: "",
        environment={"PYTHONPATH": str(installed)},
        grace_seconds=1,
    )
    yield found
    found.close()


def test_a_wheel_brings_its_own_package_and_replaces_nothing_of_the_runtime(
    compute: Compute, tmp_path: Path
) -> None:
    outcome = _run(compute, tmp_path, TASK)
    assert outcome.error is None, outcome.trace
    assert outcome.logs.split("\n")[:2] == ["of the wheel 2.0 beside others of the lab", "of the wheel"]


def test_a_task_in_spark_is_not_broken_by_a_wheel(compute: Compute, tmp_path: Path) -> None:
    outcome = _run(compute, tmp_path, SPARK_TASK)
    assert outcome.error is None, outcome.trace
    assert outcome.logs == "of the wheel\n"


def test_the_log_names_what_a_wheel_cannot_replace(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    wheels = Wheels(tmp_path / "wheels")
    file = _wheel(tmp_path, dict.fromkeys(SHADOWS, BROKEN) | OWN)
    with caplog.at_level(logging.WARNING):
        found = wheels.unpack([file])
        wheels.unpack([file])
    (folder,) = found.folders
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == set(OWN)
    assert [record.getMessage() for record in caplog.records] == [
        "weather-2.0-py3-none-any.whl: databricks, deltalake, google, google.protobuf, json, lakerun, "
        "pyarrow, pyspark, yaml are not taken from the wheel: the runtime needs its own."
    ]


def test_a_wheel_of_a_dependency_leaves_the_installed_one(tmp_path: Path) -> None:
    content = {"yaml/__init__.py": BROKEN, "PyYAML-0.1.dist-info/METADATA": "Name: PyYAML\nVersion: 0.1\n"}
    found = Wheels(tmp_path / "wheels").unpack([_wheel(tmp_path, content, "PyYAML-0.1")])
    assert [path for folder in found.folders for path in folder.rglob("*")] == []


def _wheel(folder: Path, content: Mapping[str, str], name: str = "weather-2.0") -> Path:
    file = folder / f"{name}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as wheel:
        for member, text in content.items():
            wheel.writestr(member, text)
    return file


def _run(compute: Compute, folder: Path, code: str) -> TaskOutcome:
    file = folder / "task.py"
    file.write_text(code)
    wheel = str(_wheel(folder, dict.fromkeys(SHADOWS, BROKEN) | OWN))
    call = TaskCall("1", "2", "task", 0, "spark_python", {"python_file": str(file)}, dependencies=(wheel,))
    return compute.execute(call, lambda event: None, threading.Event())

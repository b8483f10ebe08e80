"""The README is correct: its commands parse, its names exist in the example, its code works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from pyspark.sql import SparkSession

from lakerun.bundles.load import load_bundle
from lakerun.bundles.settings import TASK_TYPES
from lakerun.cli.main import command_line
from lakerun.plugins import Loaded
from lakerun.program import VARIABLE

PACKAGE = Path(__file__).parents[2]
README = (PACKAGE / "README.md").read_text(encoding="utf-8")
EXAMPLE = PACKAGE / "examples" / "weather"
TABLES = {"readings", "daily_means"}


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)


def commands() -> list[str]:
    """Every `lakerun` command line of the README and of the example's own."""
    texts = [README, (EXAMPLE / "README.md").read_text(encoding="utf-8")]
    lines = [line for text in texts for block in blocks("bash", text) for line in block.splitlines()]
    inner = [match[1] if (match := re.search(r"\$\((.*)\)", line)) else line for line in lines]
    return sorted({line for line in inner if line.startswith("lakerun ")})


@pytest.mark.parametrize("command", commands())
def test_a_command_parses_as_written(command: str) -> None:
    _, name, *arguments = shlex.split(command)
    group: Any = typer.main.get_command(command_line("lakerun", Loaded((), ())))
    if name == "workspace":
        group, name, arguments = group.commands[name], arguments[0], arguments[1:]
    given = group.commands[name].make_context(name, list(arguments)).params
    bundle = load_bundle(EXAMPLE)
    if name in ("run", "events"):
        assert arguments[0] in (*bundle.jobs, *bundle.pipelines)
    for table in [given["table"]] if name == "show" else given.get("full_refresh") or []:
        assert table in TABLES
    if name == "sql":
        assert set(re.findall(r"FROM (\w+)", given["statement"])) <= TABLES


def test_the_examples_tables_are_the_pipelines() -> None:
    source = (EXAMPLE / "src" / "pipeline" / "readings.py").read_text(encoding="utf-8")
    assert set(re.findall(r"@dp\.(?:table|materialized_view).*?\ndef (\w+)", source, re.S)) == TABLES


def test_the_listed_task_types_are_those_that_run() -> None:
    (line,) = re.findall(r"- Jobs: (.*?), with ", README, re.S)
    assert set(re.findall(r"`(\w+)_task`", line)) == set(TASK_TYPES)


def test_the_listed_settings_are_those_that_the_code_reads() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (PACKAGE / "src").rglob("*.py"))
    read = set(re.findall(r"\"((?:LAKEHOUSE|LAKERUN)_[A-Z_]+|JAVA_HOME)\"", sources)) - {VARIABLE}
    assert set(re.findall(r"^\| `(\w+)` \|", README, re.M)) == read


def test_a_path_exists() -> None:
    paths = set(re.findall(r"`(lakerun/[\w/.]+)`", README))
    assert "lakerun/examples/weather" in paths
    assert [path for path in paths if not (PACKAGE.parent / path).exists()] == []


def test_the_code_works(spark: SparkSession) -> None:
    (code,) = blocks("python")
    defined: dict[str, Any] = {}
    exec(code, defined)
    defined["test_the_mean_of_two_readings"](spark)

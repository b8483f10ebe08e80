"""The `lakehouse` command: the runtime's commands with what the shop adds, and the shop's settings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ecommerce_lakehouse import __version__
from ecommerce_lakehouse.cli.main import command_line
from ecommerce_lakehouse.cli.plugin import EXAMPLES
from lakerun.tables.storage import Storage
from tests.unit.command_line import lakehouse
from tests.unit.shop_data import lakehouse_tables

OWN = ("config", "generate", "health", "metrics", "quality", "quarantine")
BUNDLE = """
bundle:
  name: ecommerce_lakehouse
variables:
  environment: {default: dev}
  catalog: {default: c}
  schema: {default: data_eng}
  volume: {default: data}
targets:
  dev: {mode: development, default: true}
  prod: {mode: production}
resources:
  jobs:
    nightly:
      parameters:
        - {name: environment, default: "${var.environment}"}
      tasks:
        - task_key: load
          notebook_task: {notebook_path: ./load}
  pipelines:
    refinery:
      catalog: ${var.catalog}
      schema: ${var.schema}
      libraries:
        - file: {path: ./load.py}
"""

# The command itself ---------------------------------------------------------------------------------


def test_the_version_is_the_packages() -> None:
    assert lakehouse("--version").stdout == f"lakehouse {__version__}\n"


def test_help_names_the_runtimes_commands_and_the_shops() -> None:
    for arguments in ((), ("--help",)):
        result = lakehouse(*arguments)
        assert result.exit_code == 0
        assert [name for name in ("run", "sql", "workspace", *OWN) if name not in result.stdout] == []
        assert "Start with: lakehouse run e2e_pipeline_job" in result.stdout


@pytest.mark.parametrize("command", [*EXAMPLES, "config", "health", "quality list", "quarantine fix"])
def test_a_commands_help_has_examples_of_the_shop(command: str) -> None:
    text = lakehouse(*command.split(), "--help").stdout.split("Examples:")[1]
    for example in EXAMPLES.get(command, (command,)):
        assert f"lakehouse {example.split(' --')[0]}" in " ".join(text.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("config", "--env", "production"),
            "Unknown environment 'production'. Valid environments: local,",
        ),
        (("sql", "SELECT 1", "--env", "live"), "Unknown environment 'live'"),
    ],
)
def test_an_unknown_environment_is_one_line_and_exit_code_2(
    home: Path, arguments: tuple[str, ...], message: str
) -> None:
    assert message in lakehouse.error(2, *arguments)


@pytest.mark.parametrize("command", ["config", "sql"])
def test_the_shell_completes_environments(home: Path, command: str) -> None:
    words = f"lakehouse {command} --env s"
    variables = {"_LAKEHOUSE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "3"}
    result = CliRunner().invoke(command_line(), [], prog_name="lakehouse", env=variables)
    assert result.stdout.split() == ["staging"]


def test_help_loads_nothing_heavy_and_config_no_spark(home: Path) -> None:
    code = """
import sys
from typer.testing import CliRunner
from ecommerce_lakehouse.cli.main import command_line

def loaded(names):
    return sorted(name for name in names.split() if name in sys.modules)

assert CliRunner().invoke(command_line(), ["--help"]).exit_code == 0
print(loaded("pyspark pandas numpy pyarrow deltalake duckdb sqlglot pydantic yaml psutil "
             "httpx2 orjson structlog tenacity"))
assert CliRunner().invoke(command_line(), ["config"]).exit_code == 0
print(loaded("pyspark pandas py4j psutil"))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.split("\n") == ["[]", "[]", ""]


# What the shop adds to the runtime's commands ---------------------------------------------------------


def test_an_environment_gives_the_bundles_variables_their_values(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "databricks.yml").write_text(BUNDLE, encoding="utf-8")
    (tmp_path / "load.py").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    found = lakehouse.json("list", "--env", "staging", "--target", "prod")
    assert (found["bundle"], found["target"]) == ("ecommerce_lakehouse", "prod")
    assert found["jobs"][0]["parameters"] == {"environment": "staging"}
    assert found["pipelines"][0]["catalog"] == "staging"
    assert lakehouse.json("list")["pipelines"][0]["catalog"] == "local"


def test_tables_are_listed_by_layer(home: Path) -> None:
    lakehouse_tables(Storage(home))
    assert [table["layer"] for table in lakehouse.json("tables")] == ["event log", "silver"]
    text = lakehouse("tables").stdout
    assert text.index("silver_orders") < text.index("event_log_medallion")


def test_without_tables_the_main_job_is_named(home: Path) -> None:
    assert "lakehouse run e2e_pipeline_job" in lakehouse("tables").stdout


# config -----------------------------------------------------------------------------------------------


def test_config_shows_an_environments_settings(home: Path) -> None:
    prod = lakehouse.json("config", "--env", "prod")
    assert (prod["environment"], prod["max_files_per_trigger"]) == ("prod", 1000)
    local = lakehouse.json("config")
    assert local["environment"] == "local"
    assert local["data_folder"] == str(home)
    assert "max_files_per_trigger" in lakehouse("config").stdout


def test_a_name_in_the_environment_overrides_the_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEMA_NAME", "dev_ana_data_eng")
    assert lakehouse.json("config")["schema"] == "dev_ana_data_eng"

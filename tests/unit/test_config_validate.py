"""`lakehouse config validate`: every problem at once, each with its field and file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ecommerce_lakehouse.cli.main import command_line
from ecommerce_lakehouse.config import ENVIRONMENTS, validate
from ecommerce_lakehouse.config.settings import settings_file
from ecommerce_lakehouse.config.validate import problems_of


def write_settings(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    """Replace every environment's settings by this text."""
    (folder / "dev_config.json").write_text(text, encoding="utf-8")
    monkeypatch.setattr(validate, "settings_file", lambda _: folder / "dev_config.json")


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_packages_own_settings_are_valid(environment: str) -> None:
    assert problems_of(environment) == []


def test_every_problem_is_listed_with_its_field_and_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    values = json.loads(settings_file("dev").read_text(encoding="utf-8"))
    values |= {"max_price": -1, "catalog": "no catalog", "maximum": 3}
    values["rows_generated"]["orders"] = "many"
    del values["volume"]
    write_settings(monkeypatch, tmp_path, json.dumps(values))
    found = problems_of("dev")
    assert {problem.field for problem in found} == {
        "max_price",
        "catalog",
        "maximum",
        "rows_generated.orders",
        "volume",
    }
    assert {problem.source for problem in found} == {"dev_config.json"}
    assert "dev_config.json: max_price: Input should be greater than 0 (given: -1)" in map(str, found)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is not JSON: Expecting property name"), ("[1]", "must hold one JSON object")],
)
def test_a_file_that_is_not_an_object_is_one_problem(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, message: str
) -> None:
    write_settings(monkeypatch, tmp_path, text)
    (problem,) = problems_of("dev")
    assert str(problem).startswith(f"dev_config.json: file: {message}")


def test_a_bad_override_is_listed_by_the_variables_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEMA_NAME", "no schema")
    (problem,) = problems_of("staging")
    assert (problem.source, problem.field) == ("SCHEMA_NAME", "schema")


def test_the_command_exits_1_when_something_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    fine = CliRunner().invoke(command_line(), ["config", "validate", "--all"])
    assert (fine.exit_code, fine.stdout.count("_config.json")) == (0, len(ENVIRONMENTS))
    monkeypatch.setenv("VOLUME_NAME", "a b")
    wrong = CliRunner().invoke(command_line(), ["config", "validate", "--env", "prod", "--json"])
    assert wrong.exit_code == 1
    assert [item["field"] for item in json.loads(wrong.stdout)] == ["volume"]


def test_the_module_does_the_same() -> None:
    command = [sys.executable, "-m", "ecommerce_lakehouse.config", "--validate", "--env", "dev"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stdout) == (0, "valid: dev_config.json\n")

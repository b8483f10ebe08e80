"""databricks.yml and every resource file against the bundle's JSON schema, and their references."""

from __future__ import annotations

import copy
import gzip
import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import regex
import yaml
from fixtures.bundle_schema.derive import FILE, schema_of
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from lakerun.bundles.load import load_bundle

ROOT = Path(__file__).parents[2]
FILES = [ROOT / "databricks.yml", *sorted((ROOT / "resources").glob("*.yml"))]
EXAMPLE = ROOT / "lakerun" / "examples" / "weather" / "databricks.yml"
VERSION = "1.12.1"
# The schema that Databricks publishes, with descriptions for an editor.
SCHEMA_URL = f"https://raw.githubusercontent.com/databricks/cli/v{VERSION}/bundle/schema/jsonschema.json"
PATH_KEYS = {"notebook_path", "python_file", "file_path", "path", "include", "root_path"}


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    r"""The schema's patterns use \p{L}, which Python's own `re` refuses."""
    if isinstance(instance, str) and not regex.search(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = json.loads(gzip.decompress(FILE.read_bytes()))
    return extend(Draft202012Validator, {"pattern": _pattern})(schema)


def problems(validator: Any, document: Any) -> list[str]:
    """The innermost causes of the errors, each with its location."""
    found = []
    for error in validator.iter_errors(document):
        while error.context:
            error = max(error.context, key=lambda cause: len(cause.absolute_path))
        found.append(f"{'.'.join(map(str, error.absolute_path))}: {error.message}")
    return found


def read(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)


@pytest.mark.parametrize("path", [*FILES, EXAMPLE], ids=lambda path: path.name)
def test_a_file_names_the_schema_of_the_tested_version_for_editors(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == f"# yaml-language-server: $schema={SCHEMA_URL}"


@pytest.mark.parametrize("path", [*FILES, EXAMPLE], ids=lambda path: path.name)
def test_the_file_follows_the_bundles_schema(validator: Any, path: Path) -> None:
    assert problems(validator, read(path)) == []


@pytest.mark.parametrize(
    ("file", "change", "expected"),
    [
        ("maintenance_job.job.yml", {"timeout_secs": 1}, "timeout_secs"),
        ("maintenance_job.job.yml", {"timeout_seconds": "soon"}, "soon"),
        ("maintenance_job.job.yml", {"tasks": [{"task_key": "a", "depends_on": "b"}]}, "depends_on"),
        ("failed_updates.alert.yml", {"schedule": {"quartz_cron_schedule": ["x"]}}, "quartz_cron_schedule"),
        ("failed_updates.alert.yml", {"evaluation": {"comparison_operator": "ABOVE"}}, "ABOVE"),
        ("ml_features_pipeline.pipeline.yml", {"channel": {}}, "channel"),
    ],
)
def test_a_wrong_field_is_found(validator: Any, file: str, change: dict[str, Any], expected: str) -> None:
    document = copy.deepcopy(read(ROOT / "resources" / file))
    (resources,) = document["resources"].values()
    (resource,) = resources.values()
    resource.update(change)
    (problem,) = problems(validator, document)
    assert expected in problem


def test_the_stored_schema_is_the_clis_own() -> None:
    cli = os.environ.get("LAKEHOUSE_TEST_CLI") or shutil.which("databricks")
    if cli is None:
        pytest.skip("the Databricks CLI is not on PATH; .ci/run builds it where Go is installed")
    version = subprocess.run([cli, "--version"], check=True, capture_output=True, text=True).stdout
    if VERSION not in version:
        pytest.skip(f"the Databricks CLI is {version.strip()}, and the stored schema is that of {VERSION}")
    assert json.loads(gzip.decompress(FILE.read_bytes())) == schema_of(cli)


# References between files ---------------------------------------------------------------------------


def strings(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a document with its key."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from strings(item, str(name))
    elif isinstance(value, list):
        for item in value:
            yield from strings(item, key)
    elif isinstance(value, str):
        yield key, value


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_referenced_variable_and_resource_exists(path: Path) -> None:
    variables = read(ROOT / "databricks.yml")["variables"]
    resources = load_bundle(ROOT).resources
    for _, text in strings(read(path)):
        for name in re.findall(r"\$\{var\.([^}]+)\}", text):
            assert name in variables
        for kind, key, field in re.findall(r"\$\{resources\.(\w+)\.(\w+)\.(\w+)\}", text):
            assert key in resources[kind]
            assert field == "id" or field in resources[kind][key]


def test_every_variable_is_used() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in FILES)
    unused = [name for name in read(FILES[0])["variables"] if f"${{var.{name}}}" not in text]
    assert unused == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_referenced_file_exists(path: Path) -> None:
    for key, text in strings(read(path)):
        relative = text.startswith(("./", "../"))
        if key in PATH_KEYS and relative:
            place = path.parent / text.removesuffix("/**")
            assert place.exists(), f"{key}: {text}"
        elif relative:
            assert text == "../dist/*.whl", f"{key}: {text}"  # the wheel that a deployment builds


def test_every_wheel_task_names_a_script_of_the_package_and_has_its_environment() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = set()
    for job in load_bundle(ROOT).resources["jobs"].values():
        environments = {item["environment_key"] for item in job.get("environments", ())}
        for task in job["tasks"]:
            if wheel := task.get("python_wheel_task"):
                assert wheel["package_name"] == project["name"].replace("-", "_")
                assert wheel["entry_point"] in project["scripts"]
                assert task["environment_key"] in environments
                found.add(wheel["entry_point"])
    assert found >= {"generate_sample_data", "maintain_tables", "check_health"}


@pytest.mark.parametrize("target", ["dev", "staging", "prod"])
def test_every_scheduled_job_and_alert_is_paused_outside_prod_and_notifies_of_failures(target: str) -> None:
    bundle = load_bundle(ROOT, target)
    expected = "UNPAUSED" if target == "prod" else "PAUSED"
    address = bundle.variables["notification_email"]
    scheduled = {key: job for key, job in bundle.resources["jobs"].items() if "schedule" in job}
    assert set(scheduled) >= {"e2e_pipeline_job", "maintenance_job", "daily_health", "monthly_trends"}
    for job in scheduled.values():
        assert job["schedule"]["pause_status"] == expected
        assert job["email_notifications"]["on_failure"] == [address]
        assert job["queue"]["enabled"] is True
        assert job["max_concurrent_runs"] == 1
    for alert in bundle.resources["alerts"].values():
        assert alert["schedule"]["pause_status"] == expected
        assert alert["evaluation"]["notification"]["subscriptions"] == [{"user_email": address}]

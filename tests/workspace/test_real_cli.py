"""The real databricks CLI deploys this bundle, for every target, changes nothing twice, and cleans up."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient

from tests.workspace.cli_lab import TARGETS, WITHOUT_CLI, CliLab, databricks_cli, state

SLOW = pytest.mark.slow
pytestmark = pytest.mark.skipif(databricks_cli() is None, reason=WITHOUT_CLI)
SCHEMA = {"dev": "juan_dev.dev_developer_data_eng", "staging": "staging.data_eng", "prod": "prod.data_eng"}
SERVICE_PRINCIPAL = "00000000-0000-0000-0000-000000000000"
FILES = {"dev": "developer@example.com", "staging": SERVICE_PRINCIPAL, "prod": SERVICE_PRINCIPAL}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CliLab]:
    started = CliLab(tmp_path_factory.mktemp("cli"))
    started.start()
    yield started
    started.stop()
    for command, seconds in started.seconds:  # `-s` shows them; how busy the machine was decides them
        print(f"{seconds:5.2f} s  databricks bundle {command}")


def sdk(lab: CliLab) -> WorkspaceClient:
    environment = lab.environment
    return WorkspaceClient(
        host=environment["DATABRICKS_HOST"], token=environment["DATABRICKS_TOKEN"], auth_type="pat"
    )


def plan(lab: CliLab, target: str) -> dict[str, str]:
    """Every resource of the bundle and what a deployment would do to it."""
    printed = json.loads(lab.bundle("plan", "-t", target, "-o", "json").stdout)
    return {name: entry["action"] for name, entry in printed["plan"].items()}


@pytest.mark.parametrize(
    "target",
    [
        pytest.param(target, marks={"staging": SLOW, "dev": pytest.mark.long}.get(target, ()))
        for target in TARGETS
    ],
)
def test_a_target_goes_through_its_whole_life(lab: CliLab, target: str) -> None:
    validated = lab.bundle("validate", "--strict", "-t", target)
    assert validated.stdout.rstrip().endswith("Validation OK!")
    assert validated.stderr == ""

    assert set(plan(lab, target).values()) == {"create"}
    lab.bundle("deploy", "-t", target)
    check_deployed(lab, target)

    assert set(plan(lab, target).values()) == {"skip"}
    before = state(lab)
    lab.bundle("deploy", "-t", target)
    assert set(plan(lab, target).values()) == {"skip"}
    assert state(lab) == before

    summary = json.loads(lab.bundle("summary", "-t", target, "-o", "json").stdout)
    for kind in ("jobs", "pipelines", "schemas", "volumes", "dashboards"):
        for name, resource in summary["resources"][kind].items():
            assert resource["id"], f"{kind}.{name} is not deployed"
            assert resource["url"].startswith(lab.environment["DATABRICKS_HOST"])

    lab.bundle("destroy", "--auto-approve", "-t", target)
    assert state(lab) == {}
    catalog, schema = SCHEMA[target].split(".")
    assert not (lab.home / "volumes" / catalog / schema).exists()
    files = lab.home / "workspace" / "files"
    assert [path for path in files.rglob("*") if path.is_file()] == []


def load_resources(lab: CliLab, target: str) -> dict[str, dict[str, object]]:
    """The bundle's resources, by type and key."""
    resources: dict[str, dict[str, object]] = json.loads(
        lab.bundle("validate", "-t", target, "-o", "json").stdout
    )["resources"]
    return resources


def granted(client: WorkspaceClient, securable: str, name: str) -> dict[str, set[str]]:
    """Privileges on an object, by principal."""
    assignments = client.grants.get(securable, name).privilege_assignments or []
    return {
        str(each.principal): {privilege.value for privilege in each.privileges or []} for each in assignments
    }


def check_deployed(lab: CliLab, target: str) -> None:
    """Checks a deployment against the bundle, through the SDK."""
    client = sdk(lab)
    prefix = "[dev developer] " if target == "dev" else ""
    jobs = {str(job.settings and job.settings.name): job for job in client.jobs.list(expand_tasks=True)}
    assert f"{prefix}e2e_pipeline_job" in jobs
    pipelines = {
        str(item.name): client.pipelines.get(str(item.pipeline_id))
        for item in client.pipelines.list_pipelines()
    }
    medallion = pipelines[f"{prefix}medallion_dlt_pipeline"]
    catalog, schema = SCHEMA[target].split(".")
    assert medallion.spec
    assert (medallion.spec.catalog, medallion.spec.schema) == (catalog, schema)
    assert medallion.spec.configuration
    assert medallion.spec.configuration["SCHEMA_NAME"] == schema
    assert client.schemas.get(SCHEMA[target]).name == schema
    assert client.volumes.read(f"{SCHEMA[target]}.data").name == "data"
    runs_as = "developer@example.com" if target == "dev" else SERVICE_PRINCIPAL
    assert jobs[f"{prefix}e2e_pipeline_job"].settings
    assert client.jobs.get(int(jobs[f"{prefix}e2e_pipeline_job"].job_id or 0)).run_as_user_name == runs_as
    assert medallion.run_as_user_name == runs_as
    trusted = "developer@example.com" if target == "dev" else "data-engineers"
    assert granted(client, "schema", SCHEMA[target]) == {
        "account users": {"USE_SCHEMA"},
        trusted: {"USE_SCHEMA", "SELECT"},
    }
    assert granted(client, "volume", f"{SCHEMA[target]}.data") == {trusted: {"READ_VOLUME"}}
    root = f"/Workspace/Users/{FILES[target]}/.bundle/ecommerce_lakehouse/{target}"
    pipeline_files = [
        str(item.path) for item in client.workspace.list(f"{root}/files/src/pipelines/medallion")
    ]
    assert f"{root}/files/src/pipelines/medallion/gold.py" in pipeline_files
    wheels = list(client.workspace.list(f"{root}/artifacts/.internal"))
    assert len(wheels) == 1
    assert lab.runtime_wheel.exists()
    dependencies = (medallion.spec.environment and medallion.spec.environment.dependencies) or []
    assert dependencies == [wheels[0].path]


@pytest.mark.parametrize(
    "share",
    [
        pytest.param(0.1, marks=SLOW),
        pytest.param(0.6, marks=pytest.mark.long),
        pytest.param(0.95, marks=SLOW),
    ],
)
def test_a_deployment_succeeds_after_the_server_was_killed_in_one(tmp_path: Path, share: float) -> None:
    lab = CliLab(tmp_path)
    lab.start()
    try:
        begin = lab.requests()
        lab.bundle("deploy", "-t", "dev")
        needed = lab.requests() - begin
        lab.bundle("destroy", "--auto-approve", "-t", "dev")
        begin = lab.requests()
        deployment = lab.start_bundle("deploy", "-t", "dev")
        while lab.requests() < begin + share * needed:
            assert deployment.poll() is None
            time.sleep(0.001)
        lab.kill_server()
        try:
            deployment.wait(timeout=3)
        except subprocess.TimeoutExpired:  # it waits for the server to come back
            deployment.kill()
            deployment.wait()
        lab.start(lab.port)
        lab.bundle("deploy", "-t", "dev", "--force-lock")
        assert set(plan(lab, "dev").values()) == {"skip"}
        check_deployed(lab, "dev")
        counts = {kind: len(bodies) for kind, bodies in state(lab).items()}
        resources = load_resources(lab, "dev")
        kinds = {
            "job": "jobs",
            "pipeline": "pipelines",
            "schema": "schemas",
            "volume": "volumes",
            "alert": "alerts",
            "dashboard": "dashboards",
        }
        assert {kind: counts.get(kind, 0) for kind in kinds} == {
            kind: len(resources.get(name, {})) for kind, name in kinds.items()
        }, "nothing twice, nothing left over"
        lab.bundle("destroy", "--auto-approve", "-t", "dev")
        assert state(lab) == {}
    finally:
        lab.stop()

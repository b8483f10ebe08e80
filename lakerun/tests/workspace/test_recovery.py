"""After a restart: creations whose answer never reached the client, and unfinished uploads."""

from __future__ import annotations

from pathlib import Path

from databricks.sdk.service.catalog import VolumeType

from lakerun.tables.storage import Storage
from lakerun.workspace.services import Services, Settings
from lakerun.workspace.services.catalog.catalog_requests import NewSchema, NewVolume
from lakerun.workspace.services.pipelines.pipeline_requests import PipelineDefinition
from lakerun.workspace.store import Store
from workspace.lab import LocalWorkspace


def services(home: Path) -> Services:
    return Services(Settings("", ""), Storage(home), Store(home / "workspace" / "state.db"))


def test_creations_that_were_never_answered_are_deleted(tmp_path: Path) -> None:
    killed = services(tmp_path)
    table = tmp_path / "tables" / "main" / "sales" / "orders"
    table.mkdir(parents=True)
    job_id = killed.jobs.create({"name": "unheard"})
    pipeline_id = killed.pipelines.create(PipelineDefinition(name="unheard"))
    killed.catalog.create_schema(NewSchema(name="sales", catalog_name="main", comment="unheard"))
    killed.catalog.create_volume(
        NewVolume(name="raw", catalog_name="main", schema_name="sales", volume_type="MANAGED")
    )
    killed.close()
    started = LocalWorkspace.start(tmp_path)
    try:
        client = started.client()
        assert list(client.jobs.list()) == []
        assert list(client.pipelines.list_pipelines()) == []
        assert client.schemas.get("main.sales").comment is None, "found by its table, as before"
        assert list(client.volumes.list("main", "sales")) == []
        assert table.exists(), "a table that was there before stays"
        # The same again, but answered.
        client.jobs.create(name="unheard")
        client.pipelines.create(name="unheard")
        client.schemas.create(name="sales", catalog_name="main")
        client.volumes.create(
            catalog_name="main", schema_name="sales", name="raw", volume_type=VolumeType.MANAGED
        )
    finally:
        started.stop()
    again = LocalWorkspace.start(tmp_path)
    try:
        client = again.client()
        assert [job.job_id for job in client.jobs.list()] != [job_id]
        assert len(list(client.jobs.list())) == 1
        assert [item.pipeline_id for item in client.pipelines.list_pipelines()] != [pipeline_id]
        assert client.volumes.read("main.sales.raw").name == "raw"
    finally:
        again.stop()


def test_an_unfinished_upload_is_deleted(tmp_path: Path) -> None:
    killed = services(tmp_path)
    killed.files.new_upload().write_bytes(b"half")
    killed.close()
    restarted = services(tmp_path)
    assert list((tmp_path / "workspace" / "uploads").iterdir()) == []
    assert restarted.files.list("/Users/developer@example.com") == []
    restarted.close()


def test_a_dashboard_that_a_deployment_never_published_is_deleted(tmp_path: Path) -> None:
    def create(workspace: LocalWorkspace, name: str, agent: str) -> str:
        with workspace.http() as http:
            body = {"display_name": name, "parent_path": "/Users/developer@example.com"}
            created = http.post(
                "/api/2.0/lakeview/dashboards", json=body, headers={"User-Agent": f"cli/1 cmd/{agent}"}
            )
            assert created.status_code == 200, created.text
            return str(created.json()["dashboard_id"])

    killed = LocalWorkspace.start(tmp_path)
    try:
        client = killed.client()
        half = create(killed, "half", "bundle_deploy")
        client.lakeview.publish(create(killed, "whole", "bundle_deploy"))
        client.lakeview.trash(create(killed, "trashed", "bundle_deploy"))
        create(killed, "draft", "lakeview_create")
    finally:
        killed.stop()
    started = LocalWorkspace.start(tmp_path)
    try:
        client = started.client()
        assert sorted(str(each.display_name) for each in client.lakeview.list()) == ["draft", "whole"]
        assert create(started, "half", "bundle_deploy") != half
    finally:
        started.stop()

"""Pipelines as the SDK defines, changes, finds and deletes them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue, ResourceConflict, ResourceDoesNotExist
from databricks.sdk.service.pipelines import FileLibrary, PipelineLibrary, PipelineState

from lakerun.tables.storage import TableName
from workspace.lab import LocalWorkspace


def create(client: WorkspaceClient, name: str, **fields: Any) -> str:
    libraries = [PipelineLibrary(file=FileLibrary(path="/Workspace/Users/developer@example.com/bronze.py"))]
    created = client.pipelines.create(
        name=name, catalog="dev", schema="curated", libraries=libraries, **fields
    )
    return str(created.pipeline_id)


def test_a_pipeline_is_read_back_and_edited(client: WorkspaceClient) -> None:
    pipeline_id = create(client, "sales", configuration={"STAGE": "dev"}, serverless=True)
    pipeline = client.pipelines.get(pipeline_id)
    assert (pipeline.name, pipeline.state) == ("sales", PipelineState.IDLE)
    assert pipeline.creator_user_name == "developer@example.com"
    assert pipeline.spec
    assert pipeline.spec.id == pipeline_id
    assert (pipeline.spec.schema, pipeline.spec.serverless) == ("curated", True)
    assert pipeline.spec.configuration == {"STAGE": "dev"}
    client.pipelines.update(pipeline_id, name="sales two", catalog="dev")
    edited = client.pipelines.get(pipeline_id)
    assert edited.spec
    assert (edited.name, edited.spec.configuration) == ("sales two", None)
    client.pipelines.delete(pipeline_id)
    for call in (client.pipelines.get, client.pipelines.delete):
        with pytest.raises(ResourceDoesNotExist, match=pipeline_id):
            call(pipeline_id)


@pytest.mark.parametrize("cascade", [True, False])
def test_a_pipeline_is_deleted_with_its_checkpoints_and_tables(
    workspace: LocalWorkspace, client: WorkspaceClient, cascade: bool
) -> None:
    pipeline_id = create(client, f"with tables {cascade}")
    storage, store = workspace.services.storage, workspace.services.store
    own, other = (TableName("dev", f"cascade_{cascade}", name) for name in ("own", "other"))
    folders = [storage.pipeline_path(pipeline_id), storage.table_path(own), storage.table_path(other)]
    for folder in folders:
        folder.mkdir(parents=True)
    datasets = [
        {"name": str(own), "kind": "streaming table"},
        {"name": str(other), "kind": "view"},
        {"name": "valid_orders", "kind": "view"},
    ]
    update = {"update_id": f"u-{cascade}", "state": "COMPLETED", "result": {"datasets": datasets}}
    store.put("update", update["update_id"], update, pipeline_id)
    client.pipelines.delete(pipeline_id, cascade=cascade)
    assert [folder.exists() for folder in folders] == [False, not cascade, True]


def test_a_pipelines_name_is_unique_unless_duplicates_are_allowed(client: WorkspaceClient) -> None:
    first = create(client, "shared")
    with pytest.raises(ResourceConflict, match="allow_duplicate_names"):
        create(client, "shared")
    second = create(client, "shared", allow_duplicate_names=True)
    assert second != first
    other = create(client, "not shared")
    with pytest.raises(ResourceConflict):
        client.pipelines.update(other, name="shared")


def test_a_stale_edit_is_refused(client: WorkspaceClient) -> None:
    pipeline_id = create(client, "contended")
    modified = client.pipelines.get(pipeline_id).last_modified
    client.pipelines.update(pipeline_id, name="contended", expected_last_modified=modified)
    with pytest.raises(ResourceConflict, match="expected_last_modified"):
        client.pipelines.update(pipeline_id, name="contended", expected_last_modified=1)


def test_pipelines_are_listed_by_page_and_by_name(client: WorkspaceClient) -> None:
    for number in range(5):
        create(client, f"page-{number}")
    listed = [
        item.name for item in client.pipelines.list_pipelines(filter="name LIKE 'page-%'", max_results=2)
    ]
    assert listed == [f"page-{number}" for number in range(5)]
    assert [i.name for i in client.pipelines.list_pipelines(filter="name LIKE '%ge-3'")] == ["page-3"]
    with pytest.raises(InvalidParameterValue, match="filter"):
        list(client.pipelines.list_pipelines(filter="notebook='x'"))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x", "catalog": "a.b"}, "catalog"),
        ({"name": "x", "target": "a.b"}, "target"),
        ({"name": "x", "configuration": {"a": 1}}, "configuration.a"),
        ({"name": "x", "libraries": "all"}, "libraries"),
        ({"name": "x", "continuous": "often"}, "continuous"),
    ],
)
def test_a_wrong_field_is_named(http: httpx.Client, body: dict[str, Any], field: str) -> None:
    answer = http.post("/api/2.0/pipelines", json=body)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert answer.json()["message"].startswith(f"{field}: ")

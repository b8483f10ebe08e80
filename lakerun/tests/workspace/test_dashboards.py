"""Dashboards: drafts and published revisions, which deployments compare; SQL warehouses."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import (
    BadRequest,
    DatabricksError,
    InvalidParameterValue,
    ResourceAlreadyExists,
    ResourceConflict,
    ResourceDoesNotExist,
)
from databricks.sdk.service.dashboards import Dashboard, LifecycleState
from databricks.sdk.service.sql import CreateWarehouseRequestWarehouseType, State

from lakerun.workspace.services.sql.warehouses import LOCAL_ID, LOCAL_NAME
from workspace.data_server import Workspace, serve

FOLDER = "/Workspace/Users/developer@example.com/dashboards"
CONTENT = {
    "datasets": [{"name": "sales", "queryLines": ["SELECT 1"]}],
    "pages": [{"name": "p1", "layout": [{"widget": {"name": "w"}, "position": {"x": 0}}]}],
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    home = tmp_path_factory.mktemp("dashboards")
    (home / "workspace/files" / FOLDER.removeprefix("/Workspace/")).mkdir(parents=True)
    with serve(home) as running:
        yield running


@pytest.fixture(scope="module")
def client(workspace: Workspace) -> WorkspaceClient:
    return workspace.client()


def draft(name: str, content: object = CONTENT, folder: str = FOLDER) -> Dashboard:
    text = content if isinstance(content, str) else json.dumps(content)
    return Dashboard(display_name=name, parent_path=folder, warehouse_id=LOCAL_ID, serialized_dashboard=text)


def test_a_dashboard_is_stored_as_on_databricks(client: WorkspaceClient) -> None:
    created = client.lakeview.create(draft("Sales"), dataset_catalog="main", dataset_schema="shop")
    read = client.lakeview.get(created.dashboard_id or "")
    assert read.parent_path == FOLDER.removeprefix("/Workspace")
    assert read.path == f"{read.parent_path}/Sales.lvdash.json"
    assert read.lifecycle_state == LifecycleState.ACTIVE
    assert (read.serialized_dashboard or "").endswith("\n")
    stored = json.loads(read.serialized_dashboard or "")
    assert stored["pages"][0]["pageType"] == "PAGE_TYPE_CANVAS"
    assert stored["datasets"][0] == CONTENT["datasets"][0] | {"catalog": "main", "schema": "shop"}


def test_every_write_has_an_etag_and_an_old_one_is_refused(client: WorkspaceClient) -> None:
    created = client.lakeview.create(draft("Etags"))
    id = created.dashboard_id or ""
    assert client.lakeview.get(id).etag == created.etag
    changed = client.lakeview.update(id, Dashboard(display_name="Renamed", etag=created.etag))
    assert changed.etag != created.etag
    assert changed.path == f"{changed.parent_path}/Renamed.lvdash.json"
    assert changed.serialized_dashboard == created.serialized_dashboard
    with pytest.raises(ResourceConflict, match="etag"):
        client.lakeview.update(id, Dashboard(display_name="Again", etag=created.etag))
    assert client.lakeview.get(id).display_name == "Renamed"


def test_a_published_revision_is_older_than_the_next_draft(client: WorkspaceClient) -> None:
    id = client.lakeview.create(draft("Published")).dashboard_id or ""
    with pytest.raises(ResourceDoesNotExist, match="published"):
        client.lakeview.get_published(id)
    client.lakeview.publish(id, embed_credentials=False, warehouse_id=LOCAL_ID)
    revision = client.lakeview.get_published(id)
    assert (revision.embed_credentials, revision.warehouse_id) == (False, LOCAL_ID)
    assert (revision.revision_create_time or "") >= (client.lakeview.get(id).update_time or "")
    newer = client.lakeview.update(id, Dashboard(display_name="Published 2"))
    assert (newer.update_time or "") > (client.lakeview.get_published(id).revision_create_time or "")
    client.lakeview.unpublish(id)
    with pytest.raises(ResourceDoesNotExist):
        client.lakeview.get_published(id)


def test_trash_hides_a_dashboard_and_frees_its_name(client: WorkspaceClient) -> None:
    id = client.lakeview.create(draft("Brief")).dashboard_id or ""
    client.lakeview.publish(id)
    with pytest.raises(ResourceAlreadyExists, match="Brief"):
        client.lakeview.create(draft("Brief"))
    client.lakeview.trash(id)
    assert client.lakeview.get(id).lifecycle_state == LifecycleState.TRASHED
    assert id not in [d.dashboard_id for d in client.lakeview.list(page_size=1)]
    assert id in [d.dashboard_id for d in client.lakeview.list(show_trashed=True)]
    for call in (client.lakeview.trash, client.lakeview.publish, client.lakeview.get_published):
        with pytest.raises(ResourceDoesNotExist):
            call(id)
    client.lakeview.create(draft("Brief"))


def test_a_list_does_not_have_the_contents(client: WorkspaceClient) -> None:
    client.lakeview.create(draft("Listed"))
    listed = [d for d in client.lakeview.list(page_size=2) if d.display_name == "Listed"]
    assert [(d.serialized_dashboard, d.etag) for d in listed] == [(None, None)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "serialized_dashboard: must be JSON"),
        ([], "serialized_dashboard: must be an object"),
        ({"datasets": {}}, "serialized_dashboard.datasets: must be a list"),
        ({"datasets": [{"query": "SELECT 1"}]}, r"serialized_dashboard.datasets\[0\].name: must be a string"),
        (
            {"datasets": [{"name": "a", "queryLines": "x"}]},
            r"datasets\[0\].queryLines: must be a list of str",
        ),
        ({"pages": [{"name": "p"}, 7]}, r"serialized_dashboard.pages\[1\]: must be an object"),
        ({"pages": [{"name": "p", "layout": [{"widget": 1}]}]}, r"pages\[0\].layout\[0\].widget"),
    ],
)
def test_a_broken_dashboard_is_refused_by_field(
    client: WorkspaceClient, content: object, message: str
) -> None:
    with pytest.raises(InvalidParameterValue, match=message):
        client.lakeview.create(draft("Broken", content))


def test_a_dashboard_needs_a_folder_and_a_name(client: WorkspaceClient) -> None:
    with pytest.raises(ResourceDoesNotExist, match="doesn't exist"):
        client.lakeview.create(draft("Lost", folder="/Workspace/Users/nobody@example.com"))
    for name in ("", "a/b", ".."):
        with pytest.raises(InvalidParameterValue):
            client.lakeview.create(draft(name))
    with pytest.raises(InvalidParameterValue):
        client.lakeview.create(draft("x", folder="/Workspace/../../etc"))
    with pytest.raises(ResourceDoesNotExist):
        client.lakeview.get("unknown")


# Warehouses ---------------------------------------------------------------------------------------------


def test_there_is_always_a_running_warehouse(client: WorkspaceClient) -> None:
    assert (LOCAL_ID, LOCAL_NAME, State.RUNNING) in [
        (w.id, w.name, w.state) for w in client.warehouses.list()
    ]
    for call in (client.warehouses.stop, client.warehouses.delete):
        with pytest.raises(BadRequest, match="is built in"):
            call(LOCAL_ID)
    client.warehouses.start_and_wait(LOCAL_ID)


def test_a_warehouse_is_created_edited_stopped_and_deleted(client: WorkspaceClient) -> None:
    kind = CreateWarehouseRequestWarehouseType.PRO
    created = client.warehouses.create_and_wait(
        name="etl", cluster_size="X-Small", auto_stop_mins=30, max_num_clusters=2, warehouse_type=kind
    )
    id = created.id or ""
    assert (created.state, created.auto_stop_mins, created.max_num_clusters, created.min_num_clusters) == (
        State.RUNNING,
        30,
        2,
        1,
    )
    assert created.creator_name == "developer@example.com"
    assert client.warehouses.stop_and_wait(id).state == State.STOPPED
    edited = client.warehouses.edit_and_wait(id, name="etl", cluster_size="Medium")
    assert (edited.cluster_size, edited.auto_stop_mins) == ("Medium", None)
    with pytest.raises(ResourceAlreadyExists, match="etl"):
        client.warehouses.create(name="etl", cluster_size="Small")
    client.warehouses.delete(id)
    with pytest.raises(ResourceDoesNotExist):
        client.warehouses.get(id)


def test_a_wrong_warehouse_is_refused_by_field(client: WorkspaceClient) -> None:
    with pytest.raises(InvalidParameterValue, match="cluster_size: 'Huge'"):
        client.warehouses.create(name="x", cluster_size="Huge")
    with pytest.raises(InvalidParameterValue, match="name"):
        client.warehouses.create(cluster_size="Small")
    with pytest.raises(DatabricksError, match="auto_stop_mins"):
        client.warehouses.create(name="x", cluster_size="Small", auto_stop_mins=-1)
    assert client.warehouses.get_workspace_warehouse_config().enable_serverless_compute is True


def test_the_command_line_lists_warehouses(workspace: Workspace) -> None:
    assert LOCAL_NAME in workspace.cli("warehouses", "list").stdout

"""Apps that bundles declare: stored, found, changed and deleted, but never started."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import AlreadyExists, InvalidParameterValue, NotFound, NotImplemented
from databricks.sdk.service.apps import (
    App,
    AppAccessControlRequest,
    AppPermissionLevel,
    AppResource,
    AppResourceJob,
    AppResourceJobJobPermission,
    AppUpdateUpdateStatusUpdateState,
    ComputeSize,
    ComputeState,
)

from lakerun.tables.storage import Storage
from lakerun.workspace.services import Services, Settings
from lakerun.workspace.services.compute.app_requests import NewApp
from lakerun.workspace.store import Store

JOB = AppResource(name="job", job=AppResourceJob(id="7", permission=AppResourceJobJobPermission.CAN_VIEW))
# As the CLI sends it with each update.
MASK = (
    "description,budget_policy_id,usage_policy_id,resources,user_api_scopes,compute_size,"
    "compute_min_instances,compute_max_instances,git_repository,telemetry_export_destinations"
)


@pytest.fixture
def viewer(client: WorkspaceClient) -> Iterator[App]:
    app = App("viewer", description="Shows orders", resources=[JOB], url="https://example.com")
    yield client.apps.create(app, no_compute=True).response
    client.apps.delete("viewer")


def test_a_new_app_is_stopped_and_has_a_principal(client: WorkspaceClient, viewer: App) -> None:
    found = client.apps.get("viewer")
    assert found == viewer
    assert (found.description, found.resources, found.compute_size) == (
        "Shows orders",
        [JOB],
        ComputeSize.MEDIUM,
    )
    assert found.compute_status is not None
    assert found.app_status is not None
    assert (found.compute_status.state, found.compute_status.message) == (
        ComputeState.STOPPED,
        "Apps do not run in the local workspace.",
    )
    assert found.app_status.as_dict()["state"] == "UNAVAILABLE"
    assert (found.url, found.active_deployment, found.pending_deployment) == (None, None, None)
    assert found.service_principal_name == "app-viewer"
    assert found.service_principal_id
    assert found.service_principal_client_id
    assert client.apps.stop("viewer").result() == found


def test_starting_is_refused_with_what_to_do(
    client: WorkspaceClient, http: httpx.Client, viewer: App
) -> None:
    with pytest.raises(NotImplemented, match=r"no_compute=true; in a bundle, leave out lifecycle\.started"):
        client.apps.create(App("other"))
    for path in ("start", "deployments"):
        answer = http.post(f"/api/2.0/apps/viewer/{path}", json={"source_code_path": "/Workspace/app"})
        assert (answer.status_code, answer.json()["error_code"]) == (501, "NOT_IMPLEMENTED")
        assert answer.json()["message"] == (
            "Apps do not run in the local workspace. In the folder of its code, `databricks apps run-local` "
            "runs it; in a bundle, leave out lifecycle.started."
        )
    with pytest.raises(NotFound, match="App other does not exist"):
        client.apps.start("other")


@pytest.mark.usefixtures("viewer")
def test_an_update_changes_the_fields_of_its_mask(client: WorkspaceClient) -> None:
    states = AppUpdateUpdateStatusUpdateState
    before = client.apps.get_update("viewer").status
    assert before is not None
    assert before.state == states.NOT_UPDATED
    updated = client.apps.create_update(
        "viewer",
        "description,compute_size",
        app=App("viewer", description="Two", compute_size=ComputeSize.LARGE),
    ).result()
    assert updated.status is not None
    assert (updated.status.state, updated.description) == (states.SUCCEEDED, "Two")
    found = client.apps.get("viewer")
    assert (found.description, found.compute_size, found.resources) == ("Two", ComputeSize.LARGE, [JOB])
    client.apps.create_update("viewer", MASK, app=App("viewer", description="Three")).result()
    found = client.apps.get("viewer")
    assert (found.description, found.compute_size, found.resources) == ("Three", ComputeSize.MEDIUM, [])
    with pytest.raises(InvalidParameterValue, match="update_mask: 'name' is not one of description, "):
        client.apps.create_update("viewer", "name", app=App("renamed"))
    with pytest.raises(
        InvalidParameterValue, match="app: give compute_min_instances and compute_max_instances"
    ):
        client.apps.create_update(
            "viewer", "compute_min_instances", app=App("viewer", compute_min_instances=2)
        )


def test_a_replacement_clears_what_it_does_not_give(client: WorkspaceClient, viewer: App) -> None:
    replaced = client.apps.update("viewer", App("viewer", user_api_scopes=["sql"]))
    assert replaced == client.apps.get("viewer")
    assert (replaced.description, replaced.resources, replaced.user_api_scopes) == (None, [], ["sql"])
    assert (replaced.id, replaced.create_time) == (viewer.id, viewer.create_time)
    with pytest.raises(InvalidParameterValue, match="name: an app cannot be renamed; given: other"):
        client.apps.update("viewer", App("other"))


@pytest.mark.usefixtures("viewer")
def test_a_name_is_unique_and_has_a_form(client: WorkspaceClient) -> None:
    with pytest.raises(AlreadyExists, match="An app with the same name already exists: viewer"):
        client.apps.create(App("viewer"), no_compute=True)
    for name in ("Viewer", "a b", "-a", "", "a" * 31, "a.b"):
        with pytest.raises(InvalidParameterValue, match=r"^name: "):
            client.apps.create(App(name), no_compute=True)


def test_pages_are_sorted_and_may_be_of_one_space(client: WorkspaceClient) -> None:
    names = ["a_3", "a-1", "a2"]
    for name in names:
        client.apps.create(App(name, space="own" if name == "a2" else None), no_compute=True)
    assert [app.name for app in client.apps.list(page_size=1)] == ["a-1", "a2", "a_3"]
    assert [app.name for app in client.apps.list(space="own")] == ["a2"]
    for name in names:
        assert client.apps.delete(name).name == name
    assert list(client.apps.list()) == []


def test_an_app_goes_with_its_permissions_and_updates(client: WorkspaceClient) -> None:
    client.apps.create(App("gone"), no_compute=True)
    access = [
        AppAccessControlRequest(user_name="ana@example.com", permission_level=AppPermissionLevel.CAN_USE)
    ]
    client.apps.set_permissions("gone", access_control_list=access)
    client.apps.create_update("gone", "*", app=App("gone", description="x")).result()
    client.apps.delete("gone")
    with pytest.raises(NotFound):
        client.apps.get_permissions("gone")
    with pytest.raises(NotFound):
        client.apps.delete("gone")
    client.apps.create(App("gone"), no_compute=True)
    granted = client.apps.get_permissions("gone").access_control_list or []
    assert [entry.user_name for entry in granted if entry.user_name] == []
    assert client.apps.get_update("gone").description is None
    client.apps.delete("gone")


def test_an_app_whose_creation_was_not_answered_is_deleted(tmp_path: Path) -> None:
    def services() -> Services:
        return Services(Settings("", ""), Storage(tmp_path), Store(tmp_path / "workspace" / "state.db"))

    killed = services()
    for name in ("answered", "lost"):
        killed.apps.create(NewApp(name=name), no_compute=True)
    killed.creations.answered("app", "answered")
    killed.close()
    restarted = services()
    assert restarted.creations.recover() == ["app lost"]
    assert [app["name"] for app in restarted.apps.page()[0]] == ["answered"]
    restarted.close()

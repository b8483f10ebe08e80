"""Access control lists of jobs, pipelines and folders."""

from __future__ import annotations

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue, ResourceDoesNotExist
from databricks.sdk.service.iam import AccessControlRequest, ObjectPermissions, PermissionLevel

USER = "developer@example.com"
SERVICE = "00000000-0000-0000-0000-000000000000"


def own(permissions: ObjectPermissions) -> dict[str, list[str]]:
    """The permissions set on the object itself, by principal."""
    found = {}
    for entry in permissions.access_control_list or []:
        name = entry.user_name or entry.group_name or entry.service_principal_name
        levels = [p.permission_level for p in entry.all_permissions or [] if not p.inherited]
        if levels:
            found[str(name)] = [str(level and level.value) for level in levels]
    return found


def test_the_creator_owns_a_job_until_the_owner_changes(client: WorkspaceClient) -> None:
    job_id = str(client.jobs.create(name="owned").job_id)
    assert own(client.permissions.get("jobs", job_id)) == {USER: ["IS_OWNER"]}
    owner = AccessControlRequest(service_principal_name=SERVICE, permission_level=PermissionLevel.IS_OWNER)
    team = AccessControlRequest(group_name="engineers", permission_level=PermissionLevel.CAN_MANAGE)
    client.permissions.set("jobs", job_id, access_control_list=[owner, team])
    expected = {SERVICE: ["IS_OWNER"], "engineers": ["CAN_MANAGE"]}
    assert own(client.permissions.get("jobs", job_id)) == expected
    viewer = AccessControlRequest(user_name="boss@example.com", permission_level=PermissionLevel.CAN_VIEW)
    client.permissions.update("jobs", job_id, access_control_list=[viewer])
    expected["boss@example.com"] = ["CAN_VIEW"]
    assert own(client.permissions.get("jobs", job_id)) == expected
    with pytest.raises(InvalidParameterValue, match="exactly one owner"):
        client.permissions.set("jobs", job_id, access_control_list=[team])
    assert own(client.permissions.get("jobs", job_id)) == expected


def test_a_folder_is_managed_by_the_owner_of_its_home(client: WorkspaceClient) -> None:
    for owner, field in ((USER, "user_name"), (SERVICE, "service_principal_name")):
        path = f"/Workspace/Users/{owner}/bundle-folder"
        client.workspace.mkdirs(path)
        folder = client.workspace.get_status(path)
        inherited = [
            getattr(entry, field)
            for entry in client.permissions.get("directories", str(folder.object_id)).access_control_list
            or []
        ]
        assert owner in inherited


def test_missing_objects_have_no_permissions(client: WorkspaceClient) -> None:
    with pytest.raises(ResourceDoesNotExist, match="Job 7"):
        client.permissions.get("jobs", "7")
    with pytest.raises(InvalidParameterValue, match="request_object_type: 'toys'"):
        client.permissions.get("toys", "7")


def test_an_entry_names_one_principal(client: WorkspaceClient) -> None:
    job_id = str(client.jobs.create(name="named").job_id)
    for entry in (
        AccessControlRequest(permission_level=PermissionLevel.CAN_VIEW),
        AccessControlRequest(user_name="a", group_name="b", permission_level=PermissionLevel.CAN_VIEW),
    ):
        with pytest.raises(InvalidParameterValue, match=r"access_control_list\.0: give one of"):
            client.permissions.update("jobs", job_id, access_control_list=[entry])

"""Authentication, the current user, and the errors of wrong calls."""

from __future__ import annotations

import httpx
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue, NotImplemented, Unauthenticated

from workspace.lab import LocalWorkspace

ENDPOINTS = [
    ("GET", "/api/2.0/preview/scim/v2/Me"),
    ("GET", "/api/2.2/jobs/list"),
    ("POST", "/api/2.0/workspace/mkdirs"),
    ("POST", "/api/2.0/workspace-files/import-file/Users/x"),
    ("DELETE", "/api/2.1/unity-catalog/schemas/dev.x"),
    ("GET", "/no/such/endpoint"),
]


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
@pytest.mark.parametrize("header", [None, "Bearer wrong", "Bearer", "Basic YTpi", "a-token-for-tests"])
def test_every_call_needs_the_token(
    workspace: LocalWorkspace, method: str, path: str, header: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = httpx.request(method, workspace.url + path, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error_code"] == "UNAUTHENTICATED"


def test_the_sdk_raises_its_own_exception_for_a_wrong_token(workspace: LocalWorkspace) -> None:
    with pytest.raises(Unauthenticated, match="DATABRICKS_TOKEN"):
        workspace.client("wrong").current_user.me()


def test_health_and_discovery_are_open(workspace: LocalWorkspace) -> None:
    assert httpx.get(f"{workspace.url}/health").json()["status"] == "ok"
    config = httpx.get(f"{workspace.url}/.well-known/databricks-config").json()
    assert config["oidc_endpoint"] == f"{workspace.url}/oidc"


def test_the_user_is_an_engineer(client: WorkspaceClient) -> None:
    me = client.current_user.me()
    assert me.user_name == "developer@example.com"
    assert {group.display for group in me.groups or []} == {"admins", "users", "engineers"}
    assert client.get_workspace_id() == 1000000000000001
    assert [user.id for user in client.users.list(filter='userName eq "developer@example.com"')] == [me.id]
    assert list(client.users.list(filter='userName eq "nobody@example.com"')) == []


def test_groups_and_principals_can_be_created_found_and_deleted(client: WorkspaceClient) -> None:
    group = client.groups.create(display_name="analysts")
    assert [found.id for found in client.groups.list(filter='displayName eq "analysts"')] == [group.id]
    assert client.groups.get(str(group.id)).display_name == "analysts"
    client.groups.delete(str(group.id))
    assert list(client.groups.list(filter='displayName eq "analysts"')) == []
    principal = client.service_principals.create(display_name="deployer")
    found = list(client.service_principals.list(filter=f'applicationId eq "{principal.application_id}"'))
    assert [item.display_name for item in found] == ["deployer"]
    with pytest.raises(InvalidParameterValue, match="filter"):
        list(client.groups.list(filter="everything"))


def test_a_call_that_is_not_implemented_is_named(client: WorkspaceClient, http: httpx.Client) -> None:
    with pytest.raises(NotImplemented, match=r"GET /api/2\.\d/instance-pools/list"):
        list(client.instance_pools.list())
    answer = http.post("/api/2.2/jobs/get")
    assert (answer.status_code, answer.json()["error_code"]) == (501, "NOT_IMPLEMENTED")


@pytest.mark.parametrize(
    "body",
    [b"{", b"", b"\xff\xfe", b'{"path": NaN', b"[" * 2000],
    ids=["open", "empty", "bytes", "nan", "deep"],
)
def test_a_body_that_is_not_json_is_malformed(http: httpx.Client, body: bytes) -> None:
    answer = http.post("/api/2.2/jobs/delete", content=body)
    assert answer.status_code == 400
    assert answer.json()["error_code"] in ("MALFORMED_REQUEST", "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/2.2/jobs/delete", {"job_id": "seven"}, "job_id"),
        ("/api/2.2/jobs/delete", {}, "job_id"),
        ("/api/2.2/jobs/delete", [], "dictionary"),
        ("/api/2.2/jobs/create", [1], "dictionary"),
        ("/api/2.2/jobs/reset", {"job_id": 1, "new_settings": []}, "new_settings"),
        ("/api/2.0/workspace/mkdirs", {"path": 7}, "path"),
        ("/api/2.0/workspace/delete", {"path": "/x", "recursive": "maybe"}, "recursive"),
    ],
)
def test_a_wrong_type_is_named(http: httpx.Client, path: str, body: object, field: str) -> None:
    answer = http.post(path, json=body)
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "INVALID_PARAMETER_VALUE"
    assert field in answer.json()["message"]


def test_a_huge_body_is_refused_whether_or_not_its_size_is_declared(http: httpx.Client) -> None:
    size = 17 * 2**20

    def chunks() -> object:
        for _ in range(size // 2**16):
            yield b" " * 2**16

    for content in (b" " * size, chunks()):
        answer = http.post("/api/2.2/jobs/create", content=content)  # type: ignore[arg-type]
        assert answer.status_code == 413
        assert answer.json()["error_code"] == "REQUEST_TOO_LARGE"

"""Secrets: their owner can read them, and they are in no list, error, log or file."""

from __future__ import annotations

import base64
import logging
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue, ResourceAlreadyExists, ResourceDoesNotExist
from databricks.sdk.service.workspace import AclPermission

from workspace.data_server import Workspace, serve

VALUE = "s3cret-äöü"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    with serve(tmp_path_factory.mktemp("secrets")) as running:
        yield running


@pytest.fixture(scope="module")
def client(workspace: Workspace) -> WorkspaceClient:
    return workspace.client()


def test_a_secret_is_read_back_by_its_owner_in_base64(client: WorkspaceClient, workspace: Workspace) -> None:
    client.secrets.create_scope("shop")
    client.secrets.put_secret("shop", "password", string_value=VALUE)
    client.secrets.put_secret("shop", "key", bytes_value=base64.b64encode(b"\x00\xff").decode())
    answer = client.secrets.get_secret("shop", "password")
    assert base64.b64decode(answer.value or "").decode() == VALUE
    assert workspace.services.secrets.get_value("shop", "key") == b"\x00\xff"
    assert client.dbutils.secrets.get("shop", "password") == VALUE


def test_a_list_names_secrets_without_their_values(client: WorkspaceClient, workspace: Workspace) -> None:
    client.secrets.create_scope("listed")
    client.secrets.put_secret("listed", "b", string_value=VALUE)
    client.secrets.put_secret("listed", "a", string_value=VALUE)
    client.secrets.put_secret("listed", "b", string_value="newer")
    assert [secret.key for secret in client.secrets.list_secrets("listed")] == ["a", "b"]
    assert base64.b64decode(client.secrets.get_secret("listed", "b").value or "") == b"newer"
    assert workspace.services.secrets.keys("listed")[0].keys() == {"key", "last_updated_timestamp"}


def test_a_value_is_in_no_log_and_no_error(client: WorkspaceClient, caplog: pytest.LogCaptureFixture) -> None:
    client.secrets.create_scope("quiet")
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("databricks.sdk").setLevel(logging.WARNING)  # the client's own log
        client.secrets.put_secret("quiet", "k", string_value=VALUE)
        client.secrets.get_secret("quiet", "k")
        with pytest.raises(InvalidParameterValue) as refused:
            client.secrets.put_secret("quiet", "k", bytes_value=VALUE)
        with pytest.raises(InvalidParameterValue) as both:
            client.secrets.put_secret("quiet", "k", string_value=VALUE, bytes_value=VALUE)
    texts = f"{refused.value} {both.value} {caplog.text}"
    assert VALUE not in texts
    assert base64.b64encode(VALUE.encode()).decode() not in texts
    assert "bytes_value" in str(refused.value)


def test_only_the_owner_of_the_files_can_read_the_database(
    client: WorkspaceClient, workspace: Workspace
) -> None:
    client.secrets.create_scope("filed")
    client.secrets.put_secret("filed", "k", string_value="v")
    files = list((workspace.home / "workspace").glob("secrets.db*"))
    assert files
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_scope_is_deleted_with_its_secrets(client: WorkspaceClient) -> None:
    client.secrets.create_scope("brief")
    client.secrets.put_secret("brief", "k", string_value="old")
    client.secrets.delete_scope("brief")
    assert "brief" not in [scope.name for scope in client.secrets.list_scopes()]
    with pytest.raises(ResourceDoesNotExist):
        client.secrets.get_secret("brief", "k")
    client.secrets.create_scope("brief")
    assert list(client.secrets.list_secrets("brief")) == []


def test_access_to_a_scope_is_granted_and_revoked(client: WorkspaceClient) -> None:
    client.secrets.create_scope("acl", initial_manage_principal="users")
    client.secrets.put_acl("acl", "ben@example.com", AclPermission.READ)
    client.secrets.put_acl("acl", "ben@example.com", AclPermission.WRITE)
    assert {acl.principal: acl.permission for acl in client.secrets.list_acls("acl")} == {
        "developer@example.com": AclPermission.MANAGE,
        "users": AclPermission.MANAGE,
        "ben@example.com": AclPermission.WRITE,
    }
    client.secrets.delete_acl("acl", "ben@example.com")
    with pytest.raises(ResourceDoesNotExist):
        client.secrets.get_acl("acl", "ben@example.com")
    with pytest.raises(ResourceDoesNotExist):
        client.secrets.delete_acl("acl", "ben@example.com")


def test_wrong_requests_have_databricks_errors(client: WorkspaceClient) -> None:
    client.secrets.create_scope("twice")
    with pytest.raises(ResourceAlreadyExists):
        client.secrets.create_scope("twice")
    with pytest.raises(ResourceDoesNotExist, match="Scope nowhere"):
        client.secrets.put_secret("nowhere", "k", string_value="v")
    with pytest.raises(ResourceDoesNotExist, match="Secret missing"):
        client.secrets.delete_secret("twice", "missing")
    with pytest.raises(InvalidParameterValue, match="scope"):
        client.secrets.create_scope("a/b")
    with pytest.raises(InvalidParameterValue, match="key"):
        client.secrets.put_secret("twice", "../k", string_value="v")
    with pytest.raises(InvalidParameterValue, match="131072 bytes"):
        client.secrets.put_secret("twice", "k", string_value="x" * 131_073)


def test_secrets_survive_a_restart(tmp_path: Path) -> None:
    with serve(tmp_path) as first:
        first.client().secrets.create_scope("kept")
        first.client().secrets.put_secret("kept", "k", string_value="v")
    with serve(tmp_path) as second:
        assert second.services.secrets.get_value("kept", "k") == b"v"


def test_the_command_line_manages_secrets(workspace: Workspace) -> None:
    workspace.cli("secrets", "create-scope", "from-cli")
    workspace.cli("secrets", "put-secret", "from-cli", "k", "--string-value", "v")
    assert "from-cli" in workspace.cli("secrets", "list-scopes").stdout
    assert workspace.services.secrets.get_value("from-cli", "k") == b"v"
    workspace.cli("secrets", "delete-secret", "from-cli", "k")
    assert workspace.services.secrets.keys("from-cli") == []

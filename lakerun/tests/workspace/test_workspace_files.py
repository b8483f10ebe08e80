"""Files, notebooks and folders of the workspace, through the SDK."""

from __future__ import annotations

import asyncio
import base64
import threading
from pathlib import Path

import httpx
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import (
    BadRequest,
    DatabricksError,
    InvalidParameterValue,
    PermissionDenied,
    ResourceAlreadyExists,
    ResourceDoesNotExist,
)
from databricks.sdk.service.workspace import ExportFormat, ImportFormat, Language, ObjectType
from fastapi import Request

from lakerun.workspace.api.uploads import BodyTooLarge
from lakerun.workspace.api.workspace_files import _from_form
from workspace.lab import LocalWorkspace

HOME = "/Users/developer@example.com"
IMPORT = "/api/2.0/workspace-files/import-file"


@pytest.fixture
def folder(client: WorkspaceClient, request: pytest.FixtureRequest) -> str:
    path = f"{HOME}/{request.node.name}"
    client.workspace.mkdirs(path)
    return path


def upload(http: httpx.Client, path: str, content: bytes, overwrite: bool = False) -> httpx.Response:
    return http.post(IMPORT + path, params={"overwrite": str(overwrite).lower()}, content=content)


def test_a_file_is_read_back_as_it_was_written(client: WorkspaceClient, folder: str) -> None:
    content = bytes(range(256)) * 10
    client.workspace.upload(f"{folder}/data.bin", content, format=ImportFormat.AUTO)
    assert client.workspace.download(f"{folder}/data.bin").read() == content
    exported = client.workspace.export(f"{folder}/data.bin", format=ExportFormat.AUTO)
    assert base64.b64decode(str(exported.content)) == content
    status = client.workspace.get_status(f"{folder}/data.bin")
    assert (status.object_type, status.size, status.path) == (ObjectType.FILE, 2560, f"{folder}/data.bin")


def test_both_names_of_a_folder_are_one_folder(client: WorkspaceClient, folder: str) -> None:
    client.workspace.mkdirs(f"/Workspace{folder}/sub")
    plain = client.workspace.get_status(f"{folder}/sub")
    mounted = client.workspace.get_status(f"/Workspace{folder}/sub")
    assert plain.object_id == mounted.object_id
    assert mounted.path == f"/Workspace{folder}/sub"
    assert [item.path for item in client.workspace.list(f"/Workspace{folder}")] == [f"/Workspace{folder}/sub"]


def test_a_file_needs_its_folder(http: httpx.Client, folder: str) -> None:
    answer = upload(http, f"{folder}/none/a.txt", b"a")
    assert answer.status_code == 404
    assert answer.json()["message"] == f"The parent folder ({folder}/none) does not exist."


def test_a_file_is_overwritten_only_on_request(
    client: WorkspaceClient, http: httpx.Client, folder: str
) -> None:
    path = f"{folder}/deploy.lock"
    assert upload(http, path, b"first").status_code == 200
    before = client.workspace.get_status(path)
    second = upload(http, path, b"second")
    assert (second.status_code, second.json()["error_code"]) == (409, "RESOURCE_ALREADY_EXISTS")
    assert client.workspace.download(path).read() == b"first"
    assert upload(http, path, b"third", overwrite=True).status_code == 200
    assert client.workspace.download(path).read() == b"third"
    assert client.workspace.get_status(path).object_id == before.object_id


def test_only_one_of_many_concurrent_creations_succeeds(workspace: LocalWorkspace, folder: str) -> None:
    codes: list[int] = []

    def take(number: int) -> None:
        with workspace.http() as http:
            codes.append(upload(http, f"{folder}/lock", str(number).encode()).status_code)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [200] + [409] * 15


def test_a_source_file_with_the_header_becomes_a_notebook(
    client: WorkspaceClient, http: httpx.Client, folder: str
) -> None:
    upload(http, f"{folder}/report.py", b"# Databricks notebook source\nprint(1)\n")
    upload(http, f"{folder}/query.sql", b"-- Databricks notebook source\nSELECT 1\n")
    upload(http, f"{folder}/module.py", b"print(2)\n")
    found = {item.path: (item.object_type, item.language) for item in client.workspace.list(folder)}
    assert found == {
        f"{folder}/report": (ObjectType.NOTEBOOK, Language.PYTHON),
        f"{folder}/query": (ObjectType.NOTEBOOK, Language.SQL),
        f"{folder}/module.py": (ObjectType.FILE, None),
    }
    assert client.workspace.download(f"{folder}/report").read().endswith(b"print(1)\n")


def test_a_notebook_is_imported_with_its_language(client: WorkspaceClient, folder: str) -> None:
    client.workspace.import_(
        f"{folder}/plain",
        content=base64.b64encode(b"SELECT 1").decode(),
        format=ImportFormat.SOURCE,
        language=Language.SQL,
    )
    assert client.workspace.get_status(f"{folder}/plain").language == Language.SQL
    with pytest.raises(InvalidParameterValue, match="language"):
        client.workspace.import_(f"{folder}/other", content="", format=ImportFormat.SOURCE)
    with pytest.raises(InvalidParameterValue, match="content: is not base64"):
        client.workspace.import_(f"{folder}/other", content="%%", format=ImportFormat.AUTO)
    with pytest.raises(InvalidParameterValue, match="format"):
        client.workspace.import_(f"{folder}/other", content="", format=ImportFormat.DBC)


def test_a_notebook_that_becomes_a_file_is_a_file(
    client: WorkspaceClient, http: httpx.Client, folder: str
) -> None:
    upload(http, f"{folder}/thing.py", b"# Databricks notebook source\n")
    upload(http, f"{folder}/thing", b"plain", overwrite=True)
    status = client.workspace.get_status(f"{folder}/thing")
    assert (status.object_type, status.language) == (ObjectType.FILE, None)


def test_a_full_folder_is_deleted_only_recursively(client: WorkspaceClient, folder: str) -> None:
    client.workspace.upload(f"{folder}/a/b.txt".replace("/a/", "/"), b"b", format=ImportFormat.AUTO)
    with pytest.raises(BadRequest, match="not empty") as refused:
        client.workspace.delete(folder)
    assert refused.value.error_code == "DIRECTORY_NOT_EMPTY"
    client.workspace.delete(folder, recursive=True)
    with pytest.raises(ResourceDoesNotExist, match=folder):
        client.workspace.get_status(folder)
    with pytest.raises(ResourceDoesNotExist):
        list(client.workspace.list(folder))
    with pytest.raises(ResourceDoesNotExist):
        client.workspace.delete(folder)


def test_a_folder_is_not_a_file_and_a_file_not_a_folder(client: WorkspaceClient, folder: str) -> None:
    client.workspace.upload(f"{folder}/file", b"x", format=ImportFormat.RAW)
    with pytest.raises(ResourceAlreadyExists):
        client.workspace.mkdirs(f"{folder}/file")
    with pytest.raises(ResourceAlreadyExists):
        client.workspace.mkdirs(f"{folder}/file/below")
    with pytest.raises(ResourceDoesNotExist):
        client.workspace.upload(f"{folder}/file/below", b"x", format=ImportFormat.RAW)
    with pytest.raises(InvalidParameterValue, match="folder"):
        client.workspace.download(folder)
    with pytest.raises(ResourceAlreadyExists):
        client.workspace.upload(folder, b"x", format=ImportFormat.RAW, overwrite=True)


def test_the_users_home_cannot_be_deleted(client: WorkspaceClient) -> None:
    for path in ("/", "/Users", HOME, "/Workspace", "/Shared"):
        with pytest.raises(PermissionDenied):
            client.workspace.delete(path, recursive=True)
    assert client.workspace.get_status(HOME).object_type == ObjectType.DIRECTORY


def test_an_upload_above_the_limit_leaves_nothing(
    workspace: LocalWorkspace, client: WorkspaceClient, http: httpx.Client, folder: str
) -> None:
    limit = workspace.services.settings.max_upload_bytes

    def chunks() -> object:
        for _ in range(limit // 2**14 + 1):
            yield b"x" * 2**14

    for content in (b"x" * (limit + 1), chunks()):
        answer = http.post(f"{IMPORT}{folder}/big", content=content)  # type: ignore[arg-type]
        assert (answer.status_code, answer.json()["error_code"]) == (413, "REQUEST_TOO_LARGE")
    for form in (ImportFormat.AUTO, ImportFormat.RAW):
        with pytest.raises(DatabricksError, match="larger than") as refused:
            client.workspace.upload(f"{folder}/big", b"x" * (limit + 1), format=form)
        assert refused.value.error_code == "REQUEST_TOO_LARGE"
    assert list(client.workspace.list(folder)) == []
    assert list((workspace.home / "workspace" / "uploads").iterdir()) == []
    assert upload(http, f"{folder}/most", b"x" * limit).status_code == 200


def test_a_form_above_the_limit_is_refused_while_it_arrives(tmp_path: Path) -> None:
    limit, sent = 2**22, 0
    head = b'--b\r\nContent-Disposition: form-data; name="content"; filename="big"\r\n\r\n'

    async def receive() -> dict[str, object]:
        nonlocal sent
        sent += 2**20
        return {"type": "http.request", "body": head if sent == 2**20 else b"x" * 2**20, "more_body": True}

    headers = [(b"content-type", b"multipart/form-data; boundary=b")]
    request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
    with pytest.raises(BodyTooLarge) as refused:
        asyncio.run(_from_form(request, tmp_path / "upload", limit))
    assert (refused.value.limit, sent) == (limit + 2**20, limit + 2 * 2**20)

"""Files in volumes: uploads are read back completely or not at all, and no path leaves its volume."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import (
    AlreadyExists,
    BadRequest,
    DatabricksError,
    InvalidParameterValue,
    NotFound,
    PermissionDenied,
)

from workspace.data_server import TOKEN, Workspace, serve

ROOT = "/Volumes/main/shop/data"
LIMIT = 3 * 2**20


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    home = tmp_path_factory.mktemp("volumes")
    (home / "volumes/main/shop/data").mkdir(parents=True)
    (home / "outside.txt").write_text("outside")
    with serve(home, max_upload_bytes=LIMIT) as running:
        yield running


@pytest.fixture(scope="module")
def client(workspace: Workspace) -> WorkspaceClient:
    return workspace.client()


@pytest.fixture
def volume(workspace: Workspace) -> Path:
    return workspace.home / "volumes/main/shop/data"


def read(client: WorkspaceClient, path: str) -> bytes:
    contents = client.files.download(path).contents
    assert contents is not None
    return contents.read()


def test_a_file_is_read_back_as_it_was_written(client: WorkspaceClient, volume: Path) -> None:
    content = bytes(range(256)) * 4096
    client.files.upload(f"{ROOT}/a/b c/ä.bin", io.BytesIO(content))
    assert read(client, f"{ROOT}/a/b c/ä.bin") == content
    assert (volume / "a/b c/ä.bin").read_bytes() == content
    described = client.files.get_metadata(f"{ROOT}/a/b c/ä.bin")
    assert described.content_length == len(content)
    assert described.last_modified is not None


def test_a_part_of_a_file_can_be_read(client: WorkspaceClient, workspace: Workspace) -> None:
    client.files.upload(f"{ROOT}/range.txt", io.BytesIO(b"0123456789"))
    url = f"{workspace.url}/api/2.0/fs/files{ROOT}/range.txt"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    part = httpx.get(url, headers=headers | {"Range": "bytes=3-5"})
    assert (part.status_code, part.content) == (206, b"345")
    assert part.headers["Content-Range"] == "bytes 3-5/10"
    old = httpx.get(url, headers=headers | {"If-Unmodified-Since": "Mon, 01 Jan 2001 00:00:00 GMT"})
    assert old.status_code == 412


def test_an_existing_file_is_replaced_only_with_overwrite(client: WorkspaceClient) -> None:
    client.files.upload(f"{ROOT}/once.txt", io.BytesIO(b"first"), overwrite=False)
    with pytest.raises(AlreadyExists):
        client.files.upload(f"{ROOT}/once.txt", io.BytesIO(b"second"), overwrite=False)
    assert read(client, f"{ROOT}/once.txt") == b"first"
    client.files.upload(f"{ROOT}/once.txt", io.BytesIO(b"third"), overwrite=True)
    assert read(client, f"{ROOT}/once.txt") == b"third"


def test_only_one_of_many_concurrent_uploads_succeeds(client: WorkspaceClient, workspace: Workspace) -> None:
    results: list[bool] = []

    def upload(letter: bytes) -> None:
        try:
            workspace.client().files.upload(f"{ROOT}/race.bin", io.BytesIO(letter * 200_000), overwrite=False)
            results.append(True)
        except AlreadyExists:
            results.append(False)

    threads = [threading.Thread(target=upload, args=(bytes([65 + n]),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False] * 7 + [True]
    content = read(client, f"{ROOT}/race.bin")
    assert len(content) == 200_000
    assert len(set(content)) == 1
    assert list((workspace.home / "workspace/uploads").iterdir()) == []


def test_an_uploads_size_is_limited(client: WorkspaceClient, workspace: Workspace, volume: Path) -> None:
    with pytest.raises(DatabricksError, match=f"{LIMIT} bytes"):
        client.files.upload(f"{ROOT}/large.bin", io.BytesIO(b"x" * (LIMIT + 1)))

    def unannounced() -> Iterator[bytes]:
        for _ in range(5):
            yield b"x" * 2**20

    url = f"{workspace.url}/api/2.0/fs/files{ROOT}/large.bin"
    answer = httpx.put(url, content=unannounced(), headers={"Authorization": f"Bearer {TOKEN}"})
    assert (answer.status_code, answer.json()["error_code"]) == (413, "REQUEST_TOO_LARGE")
    assert not (volume / "large.bin").exists()
    assert list((workspace.home / "workspace/uploads").iterdir()) == []


def test_a_folder_is_listed_page_by_page(client: WorkspaceClient) -> None:
    for number in range(5):
        client.files.upload(f"{ROOT}/many/{number}.txt", io.BytesIO(b"x" * number))
    client.files.create_directory(f"{ROOT}/many/sub/deep")
    listed = list(client.files.list_directory_contents(f"{ROOT}/many", page_size=2))
    assert [(e.path, e.is_directory, e.file_size) for e in listed] == [
        *((f"{ROOT}/many/{n}.txt", False, n) for n in range(5)),
        (f"{ROOT}/many/sub", True, None),
    ]
    assert [e.name for e in client.files.list_directory_contents("/Volumes/main/shop")] == ["data"]


def test_a_folder_is_deleted_only_when_it_is_empty(client: WorkspaceClient) -> None:
    client.files.upload(f"{ROOT}/full/x.txt", io.BytesIO(b"x"))
    with pytest.raises(BadRequest) as refused:
        client.files.delete_directory(f"{ROOT}/full")
    assert refused.value.get_error_info()[0].reason == "FILES_API_DIRECTORY_IS_NOT_EMPTY"
    client.files.delete(f"{ROOT}/full/x.txt")
    client.files.delete_directory(f"{ROOT}/full")
    with pytest.raises(NotFound):
        client.files.get_directory_metadata(f"{ROOT}/full")


def test_a_missing_file_or_folder_is_not_found(client: WorkspaceClient) -> None:
    client.files.create_directory(f"{ROOT}/folder")
    client.files.upload(f"{ROOT}/file", io.BytesIO(b""))
    for call in (
        lambda: client.files.download(f"{ROOT}/none"),
        lambda: client.files.download(f"{ROOT}/folder"),
        lambda: client.files.delete(f"{ROOT}/folder"),
        lambda: client.files.get_metadata(f"{ROOT}/none"),
        lambda: client.files.delete_directory(f"{ROOT}/file"),
        lambda: list(client.files.list_directory_contents(f"{ROOT}/none")),
    ):
        with pytest.raises(NotFound):
            call()
    with pytest.raises(NotFound, match=r"Volume 'main\.shop\.dta' does not exist"):
        client.files.upload("/Volumes/main/shop/dta/x.txt", io.BytesIO(b"x"))
    with pytest.raises(AlreadyExists):
        client.files.create_directory(f"{ROOT}/file")
    with pytest.raises(AlreadyExists):
        client.files.upload(f"{ROOT}/folder", io.BytesIO(b"x"))
    with pytest.raises(AlreadyExists):
        client.files.upload(f"{ROOT}/file/below", io.BytesIO(b"x"))
    with pytest.raises(InvalidParameterValue, match="above the folders of a volume"):
        client.files.upload("/Volumes/main/shop/x.txt", io.BytesIO(b"x"))
    with pytest.raises(InvalidParameterValue, match="above the folders of a volume"):
        client.files.delete_directory(ROOT)


ESCAPES = [
    "..%2F..%2F..%2F..%2Foutside.txt",
    "%2e%2e/%2e%2e/%2e%2e/%2e%2e/outside.txt",
    "%252e%252e/%252e%252e/outside.txt",
    "..%252f..%252foutside.txt",
    "..%5c..%5coutside.txt",
    "%00outside.txt",
    "x%2500",
    "a/%2e%2e/%2e%2e/other",
    "%c0%ae%c0%ae/outside.txt",
    "%ff",
    "n" * 256,
    "link/outside.txt",
    "link",
    "d/" * 1100 + "x",
]


@pytest.mark.parametrize("escape", ESCAPES)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
@pytest.mark.parametrize("kind", ["files", "directories"])
def test_no_path_leaves_its_volume(
    workspace: Workspace, volume: Path, escape: str, method: str, kind: str
) -> None:
    if not (volume / "link").is_symlink():
        (volume / "link").symlink_to(workspace.home)
    before = sorted(str(p) for p in workspace.home.rglob("*") if "state.db" not in p.name)
    host = workspace.url.removeprefix("http://")
    # httpx would normalize the path; a raw request keeps it as an attacker would write it.
    with httpx.Client() as client:
        request = client.build_request(
            method, workspace.url, headers={"Authorization": f"Bearer {TOKEN}"}, content=b"evil"
        )
        target = f"/api/2.0/fs/{kind}{ROOT}/{escape}"
        request.url = _Raw(f"http://{host}", target)  # type: ignore[assignment]
        answer = client.send(request)
    assert answer.status_code in (400, 403, 404), (answer.status_code, answer.content)
    if method != "HEAD":
        assert answer.json()["error_code"] in ("INVALID_PARAMETER_VALUE", "PERMISSION_DENIED", "NOT_FOUND")
        assert str(workspace.home) not in answer.text
    assert (workspace.home / "outside.txt").read_text() == "outside"
    assert sorted(str(p) for p in workspace.home.rglob("*") if "state.db" not in p.name) == before


class _Raw(httpx.URL):
    """A URL whose path is sent as it is."""

    def __init__(self, base: str, target: str) -> None:
        super().__init__(base)
        self._target = target

    @property
    def raw_path(self) -> bytes:
        return self._target.encode()


def test_a_link_is_not_listed(client: WorkspaceClient, workspace: Workspace, volume: Path) -> None:
    (volume / "linked").mkdir()
    (volume / "linked/out").symlink_to(workspace.home)
    assert list(client.files.list_directory_contents(f"{ROOT}/linked")) == []


def test_a_large_upload_falls_back_to_the_files_api(client: WorkspaceClient, tmp_path: Path) -> None:
    small = client.config.copy()
    small.files_ext_multipart_upload_min_stream_size = 2**20
    source = tmp_path / "large.bin"
    source.write_bytes(b"0123456789abcdef" * (2 * 2**16))
    WorkspaceClient(config=small).files.upload_from(f"{ROOT}/parts.bin", str(source), overwrite=True)
    assert read(client, f"{ROOT}/parts.bin") == source.read_bytes()


def test_dbfs_is_refused_with_an_alternative(client: WorkspaceClient) -> None:
    with pytest.raises(PermissionDenied, match="dbfs:/Volumes/"):
        list(client.dbfs.list("dbfs:/tmp"))


def test_the_command_line_handles_files(workspace: Workspace, tmp_path: Path) -> None:
    local = tmp_path / "in.txt"
    local.write_text("hello")
    root = f"dbfs:{ROOT}/cli"
    workspace.cli("fs", "mkdir", f"{root}/sub")
    workspace.cli("fs", "cp", str(local), f"{root}/sub/in.txt")
    assert workspace.cli("fs", "cat", f"{root}/sub/in.txt").stdout == "hello"
    assert workspace.cli("fs", "ls", f"{root}/sub").stdout.split() == ["in.txt"]
    workspace.cli("fs", "cp", f"{root}/sub/in.txt", str(tmp_path / "out.txt"))
    assert (tmp_path / "out.txt").read_text() == "hello"
    refused = workspace.cli("fs", "rm", f"{root}/sub", check=False)
    assert refused.returncode == 1
    assert "not empty" in refused.stderr
    workspace.cli("fs", "rm", "-r", root)
    assert "no such directory" in workspace.cli("fs", "ls", root, check=False).stderr
    assert "dbfs:/Volumes/" in workspace.cli("fs", "ls", "dbfs:/tmp", check=False).stderr

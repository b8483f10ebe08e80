"""No path in the API is outside of the workspace's folder."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from workspace.lab import TOKEN, LocalWorkspace

HOME = "/Users/developer@example.com"
ESCAPES = [
    "/../../outside",
    "/Users/../../../outside",
    "/Workspace/../../outside",
    f"{HOME}/../../../../outside",
    "/./Users",
    "/Users/.",
    "/..",
    "/Users\\..\\..\\outside",
    "/Users/a\x00b",
    "/Users/a\nb",
    "/" + "a" * 256,
    "/Users/" + "a/" * 3000,
    "/Users/" + "\u00e9" * 128,
    "Users/relative",
    "",
    "/Users/\ud800",
]


def status_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error_code"]


@pytest.mark.parametrize("path", ESCAPES, ids=range(len(ESCAPES)))
def test_a_path_in_a_body_stays_inside(workspace: LocalWorkspace, http: httpx.Client, path: str) -> None:
    before = everything(workspace.home.parent)
    refused = (400, "INVALID_PARAMETER_VALUE")
    for endpoint in ("mkdirs", "delete", "import"):
        body = {"path": path, "content": "", "format": "RAW", "recursive": True}
        answer = http.post(f"/api/2.0/workspace/{endpoint}", content=json.dumps(body))
        assert status_of(answer) == refused
    assert everything(workspace.home.parent) == before


@pytest.mark.parametrize("path", [path for path in ESCAPES if "\ud800" not in path])
def test_a_path_in_a_query_stays_inside(http: httpx.Client, path: str) -> None:
    for endpoint in ("get-status", "list", "export"):
        answer = http.get(f"/api/2.0/workspace/{endpoint}", params={"path": path})
        assert status_of(answer) == (400, "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize(
    "raw",
    [
        "../../../outside",
        "..%2f..%2f..%2foutside",
        "%2e%2e/%2e%2e/%2e%2e/outside",
        "Users/%2e%2e%2f%2e%2e%2foutside",
        "Users%5c..%5c..%5coutside",
        "Users/a%00b",
        "Users/%c0%ae%c0%ae/outside",
        "Users/%252e%252e/%252e%252e/outside",
        "%2fetc/passwd",
        "Users/" + "a" * 300,
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_encoded_path_in_an_address_stays_inside(workspace: LocalWorkspace, method: str, raw: str) -> None:
    """Sent as raw bytes, as HTTP clients would normalize such an address."""
    before = everything(workspace.home.parent)
    endpoint = "/api/2.0/workspace-files/" + ("import-file/" if method == "POST" else "")
    address = urlsplit(workspace.url)
    request = (
        f"{method} {endpoint}{raw} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
        "Content-Length: 5\r\nConnection: close\r\n\r\nowned"
    )
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(request.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    code = int(answer.split(b" ", 2)[1])
    # %252e is a name with a percent sign in it, and /etc is below the root: valid, but they do not exist.
    assert code in ((404,) if "%25" in raw or raw.startswith(("%2f", "Users/%c0")) else (400, 501))
    assert b"root:" not in answer
    assert everything(workspace.home.parent) == before


def test_a_link_is_refused(workspace: LocalWorkspace, http: httpx.Client, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    folder = workspace.home / "workspace" / "files" / HOME.strip("/")
    (folder / "to-folder").symlink_to(outside)
    (folder / "to-file").symlink_to(outside / "secret.txt")
    try:
        refused = (403, "PERMISSION_DENIED")
        for path in (f"{HOME}/to-folder", f"{HOME}/to-folder/secret.txt", f"{HOME}/to-file"):
            for endpoint in ("get-status", "list", "export"):
                answer = http.get(f"/api/2.0/workspace/{endpoint}", params={"path": path})
                assert status_of(answer) == refused
            for endpoint in ("mkdirs", "delete", "import"):
                body = {"path": path, "content": "", "format": "RAW", "overwrite": True, "recursive": True}
                assert status_of(http.post(f"/api/2.0/workspace/{endpoint}", json=body)) == refused
            imported = http.post(f"/api/2.0/workspace-files/import-file{path}?overwrite=true", content=b"x")
            assert status_of(imported) == refused
            assert status_of(http.get(f"/api/2.0/workspace-files{path}")) == refused
        listed = http.get("/api/2.0/workspace/list", params={"path": HOME}).json()["objects"]
        assert not [item for item in listed if "/to-" in item["path"]]
    finally:
        (folder / "to-folder").unlink()
        (folder / "to-file").unlink()
    assert (outside / "secret.txt").read_text() == "secret"


def test_deleting_a_folder_spares_what_its_links_point_to(
    workspace: LocalWorkspace, http: httpx.Client, tmp_path: Path
) -> None:
    outside = tmp_path / "kept"
    outside.mkdir()
    (outside / "file").write_text("kept")
    http.post("/api/2.0/workspace/mkdirs", json={"path": f"{HOME}/with-link"})
    (workspace.home / "workspace" / "files" / HOME.strip("/") / "with-link" / "link").symlink_to(outside)
    body = {"path": f"{HOME}/with-link", "recursive": True}
    assert http.post("/api/2.0/workspace/delete", json=body).status_code == 200
    assert (outside / "file").read_text() == "kept"


def everything(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if not path.name.startswith("state.db")}

"""Drawn and awkward requests lead to no internal error, no hang, and no file outside of the data folder."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from lakerun.workspace.services.sql.warehouses import LOCAL_ID
from workspace.fuzz import Escapes, Fuzz, together
from workspace.lab import LocalWorkspace

LONG_SECONDS = 600


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzz]:
    home = tmp_path_factory.mktemp("fuzz") / "home"
    home.mkdir()
    workspace = LocalWorkspace.start(home, max_upload_bytes=2**20)
    escapes = Escapes()
    with escapes.watching(home):
        yield Fuzz(workspace, escapes)
    workspace.stop()


def test_a_write_outside_of_the_folder_is_seen(fuzz: Fuzz) -> None:
    found, outside = fuzz.escapes.found, fuzz.workspace.home.parent / "outside"
    (fuzz.workspace.home / "inside").write_text("x")
    assert found == []
    outside.write_text("x")
    outside.unlink()
    assert [entry.split()[0] for entry in found] == ["open", "os.remove"]
    found.clear()


def test_a_sample_of_drawn_requests(fuzz: Fuzz) -> None:
    fuzz.run(30, 20260722, fuzz.operations()[::9])
    assert fuzz.failures == []
    assert fuzz.codes[200] > 5
    assert fuzz.codes[400] > 20


@pytest.mark.slow
def test_many_drawn_requests_of_every_operation(fuzz: Fuzz) -> None:
    operations, until, number = fuzz.operations(), time.monotonic() + LONG_SECONDS, 0
    while time.monotonic() < until:
        chosen = [operations[(number * 11 + position) % len(operations)] for position in range(11)]
        fuzz.run(60, number, chosen, until)
        number += 1
    assert fuzz.failures == []


# Each of these was an internal error, a hang, or a definition that could not be read any more.
AWKWARD: list[tuple[str, str, object]] = [
    ("GET", "/api/2.0/pipelines/{pipeline}/events?order_by=%20%20", None),
    ("GET", "/api/2.0/pipelines/{pipeline}/events?page_token=eyJwYWdlIjoiMSIsImZpbHRlciI6NX0=", None),
    ("GET", "/api/2.0/pipelines/{pipeline}/updates?page_token=" + "9" * 5000, None),
    ("GET", "/api/2.2/jobs/list?page_token=" + "9" * 5000, None),
    ("GET", "/api/2.2/jobs/list?offset=" + "9" * 30, None),
    ("GET", "/api/2.2/jobs/runs/list?offset=-1", None),
    ("GET", "/api/2.1/unity-catalog/catalogs/" + "x" * 300, None),
    ("GET", "/api/2.0/fs/files/Volumes/main/drawn/%25" + "25" * 10_000, None),
    ("POST", "/api/2.1/unity-catalog/schemas", {"name": "\xe9" * 200, "catalog_name": "main"}),
    ("POST", "/api/2.2/jobs/update", {"job_id": "{job}", "new_settings": {"tasks": [{"task_key": []}]}}),
    ("POST", "/api/2.2/jobs/create", {"trigger": {"periodic": {"interval": 2**62, "unit": "WEEKS"}}}),
    ("POST", "/api/2.2/jobs/create", {"run_as": "someone"}),
    ("PATCH", "/api/2.0/alerts/{alert}?update_mask=display_name.x", {"display_name": "x"}),
    ("POST", "/telemetry-ext", {"items": 1}),
]


@pytest.mark.parametrize(("method", "path", "body"), AWKWARD, ids=range(len(AWKWARD)))
def test_an_awkward_request_is_refused_by_name(fuzz: Fuzz, method: str, path: str, body: object) -> None:
    ids = {"pipeline": fuzz.known["pipeline_id"][0], "alert": fuzz.known["id"][2]}
    if isinstance(body, dict) and body.get("job_id"):
        body = {**body, "job_id": fuzz.known["job_id"][0]}
    with fuzz.workspace.http() as http:
        begin = time.monotonic()
        answer = http.request(method, path.format_map(ids), json=body)
        assert answer.status_code in (400, 404), answer.text
        assert answer.json()["error_code"] != "INTERNAL_ERROR"
        assert time.monotonic() - begin < 5


def test_a_pattern_with_many_wildcards_takes_no_time(fuzz: Fuzz) -> None:
    with fuzz.workspace.http() as http:
        created = http.post("/api/2.0/pipelines", json={"name": "a" * 200})
        begin = time.monotonic()
        for filter, found in (("%a" * 30 + "%b", 0), ("%a" * 30 + "%", 1)):
            listed = http.get("/api/2.0/pipelines", params={"filter": f"name LIKE '{filter}'"}).json()
            assert len(listed["statuses"]) == found
        spaces = {"filter": "userName eq " + " " * 20_000 + "x y"}
        assert http.get("/api/2.0/preview/scim/v2/Users", params=spaces).status_code == 200
        assert time.monotonic() - begin < 5
        http.delete(f"/api/2.0/pipelines/{created.json()['pipeline_id']}")


@pytest.mark.parametrize(
    ("content_type", "code"),
    [("text/plain", 400), ("application/xml", 400), ("multipart/form-data", 400), ("application/json", 200)],
)
def test_json_of_another_content_type_is_refused(fuzz: Fuzz, content_type: str, code: int) -> None:
    with fuzz.workspace.http() as http:
        for path, body in (
            ("/api/2.0/workspace/mkdirs", b'{"path": "/Shared/typed"}'),
            (
                "/api/2.0/workspace/import",
                b'{"path": "/Shared/typed.txt", "format": "AUTO", "overwrite": true}',
            ),
        ):
            answer = http.post(path, content=body, headers={"Content-Type": content_type})
            read_by_route = path.endswith("import") and not content_type.startswith("multipart")
            assert answer.status_code == (200 if read_by_route else code), answer.text


RACES: dict[str, list[tuple[str, str, object]]] = {
    "files": [
        ("PUT", "/api/2.0/fs/files/Volumes/main/drawn/raw/race/file", None),
        ("GET", "/api/2.0/fs/files/Volumes/main/drawn/raw/race/file", None),
        ("GET", "/api/2.0/fs/directories/Volumes/main/drawn/raw/race", None),
        ("DELETE", "/api/2.0/fs/files/Volumes/main/drawn/raw/race/file", None),
        ("DELETE", "/api/2.0/fs/directories/Volumes/main/drawn/raw/race", None),
    ],
    "objects": [
        ("POST", "/api/2.0/workspace/mkdirs", {"path": "/Shared/race/deep"}),
        ("POST", "/api/2.0/workspace-files/import-file/Shared/race/a.txt?overwrite=true", None),
        ("GET", "/api/2.0/workspace/list?path=/Shared/race", None),
        ("GET", "/api/2.0/workspace/get-status?path=/Shared/race/a.txt", None),
        ("GET", "/api/2.0/workspace/export?path=/Shared/race/a.txt&direct_download=true", None),
        ("POST", "/api/2.0/workspace/delete", {"path": "/Shared/race", "recursive": True}),
    ],
    "catalog": [
        ("POST", "/api/2.1/unity-catalog/schemas", {"name": "race", "catalog_name": "main"}),
        ("POST", "/api/2.1/unity-catalog/volumes",
         {"name": "v", "catalog_name": "main", "schema_name": "race", "volume_type": "MANAGED"}),
        ("PATCH", "/api/2.1/unity-catalog/volumes/main.race.v", {"new_name": "w"}),
        ("GET", "/api/2.1/unity-catalog/volumes?catalog_name=main&schema_name=race", None),
        ("GET", "/api/2.1/unity-catalog/schemas?catalog_name=main", None),
        ("DELETE", "/api/2.1/unity-catalog/schemas/main.race?force=true", None),
    ],
}  # fmt: skip


@pytest.mark.parametrize("subject", RACES)
def test_creating_and_deleting_at_once_fails_only_by_name(fuzz: Fuzz, subject: str) -> None:
    calls, wrong, lock = RACES[subject], [], threading.Lock()

    def repeat(number: int) -> None:
        with fuzz.workspace.http() as http:
            for turn in range(15):
                method, path, body = calls[(number + turn) % len(calls)]
                content = None if body is not None or method in ("GET", "DELETE") else b"x"
                answer = http.request(method, path, json=body, content=content)
                if answer.status_code >= 500:
                    with lock:
                        wrong.append(f"{method} {path}: {answer.text}")

    together(repeat, 2 * len(calls))
    assert wrong == []
    assert fuzz.escapes.found == []


def test_sql_reads_no_file_outside_of_the_data_folder(fuzz: Fuzz) -> None:
    secret = fuzz.workspace.home.parent / "secret.csv"
    secret.write_text("word\nconfidential\n")
    statements: list[Callable[[str], str]] = [
        lambda path: f"SELECT * FROM '{path}'",
        lambda path: f"SELECT * FROM read_csv('{path}')",
        lambda path: f"SELECT * FROM read_text('{path}')",
        lambda path: f"SELECT * FROM read_files('{path}')",
        lambda path: f"SELECT * FROM csv.`{path}`",
        lambda path: f"SELECT * FROM `{path}`",
        lambda path: f"COPY (SELECT 1) TO '{path}'",
        lambda path: f"ATTACH '{path}'",
    ]
    with fuzz.workspace.http() as http:
        for statement in statements:
            body = {
                "warehouse_id": LOCAL_ID,
                "statement": statement(str(secret)),
                "wait_timeout": "30s",
            }
            answer = http.post("/api/2.0/sql/statements", json=body)
            assert answer.json()["status"]["state"] == "FAILED", answer.text
            assert "confidential" not in answer.text
    assert secret.read_text() == "word\nconfidential\n"

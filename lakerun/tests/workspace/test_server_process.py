"""The server's process: started, queried, stopped, killed and restarted by `lakerun workspace`."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped,unused-ignore]
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound
from databricks.sdk.service.catalog import VolumeType

LAKERUN = Path(sys.executable).with_name("lakerun")


class Process:
    """Runs `lakerun workspace ...` with one data folder."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def run(self, *args: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [LAKERUN, "workspace", *args],
            env={**os.environ, "LAKEHOUSE_HOME": str(self.home)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def start(self, *args: str) -> tuple[str, str]:
        """URL and token, from the two lines that a shell evaluates."""
        lines = self.run("start", *(args or ("--port", "0"))).stdout.splitlines()
        assert [line.partition("=")[0] for line in lines] == [
            "export DATABRICKS_HOST",
            "export DATABRICKS_TOKEN",
        ]
        url, token = (line.partition("=")[2] for line in lines)
        return url, token

    def status(self, code: int = 0) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.run("status", "--json", code=code).stdout)
        return found

    def client(self) -> WorkspaceClient:
        url, token = self.start()
        return WorkspaceClient(host=url, token=token, auth_type="pat")

    def kill(self) -> None:
        pid = int(str(self.status()["pid"]))
        server = psutil.Process(pid)
        server.kill()
        server.wait(timeout=30)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    started = Process(tmp_path / "home")
    yield started
    started.run("stop")


def test_it_starts_prints_its_address_and_stops(process: Process) -> None:
    assert process.status(code=1)["running"] is False
    url, token = process.start()
    assert url.startswith("http://127.0.0.1:")
    state = process.status()
    assert (state["running"], state["healthy"], state["url"]) == (True, True, url)
    token_file = process.home / "workspace" / "token"
    assert stat.S_IMODE(token_file.stat().st_mode) == 0o600
    assert token_file.read_text() == token
    again = process.run("start")
    assert again.stdout.splitlines() == [f"export DATABRICKS_HOST={url}", f"export DATABRICKS_TOKEN={token}"]
    assert "running already" in again.stderr
    assert process.run("stop").stdout.startswith("Stopped process")
    assert process.status(code=1)["running"] is False
    assert process.run("stop").stdout == "The workspace is not running.\n"
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health")
    log = (process.home / "logs" / "workspace.log").read_text()
    assert token not in log
    assert f"Serving {url}" in log


def test_the_server_loads_neither_spark_nor_a_query_engine(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from lakerun.tables.storage import Storage
from lakerun.workspace import server
from lakerun.workspace.app import create_app
from lakerun.workspace.services import Services, Settings
from lakerun.workspace.store import Store
home = Path(sys.argv[1])
create_app(Services(Settings("", ""), Storage(home), Store(home / "workspace" / "state.db")))
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(done.stdout.split())
    assert "fastapi" in loaded
    assert not loaded & {"pyspark", "pandas", "pyarrow", "duckdb", "deltalake"}


def test_it_restarts_on_its_port_with_its_state_and_token(process: Process) -> None:
    client = process.client()
    job_id = client.jobs.create(name="kept").job_id
    client.schemas.create(name="kept", catalog_name="main")
    client.workspace.mkdirs("/Users/developer@example.com/kept")
    folder = client.workspace.get_status("/Users/developer@example.com/kept")
    process.kill()
    url, token = process.start("--port", str(client.config.host).rpartition(":")[2])
    assert (url, token) == (client.config.host, client.config.token)
    process.run("stop")
    assert process.start("--host", "127.0.0.1")[0] == url  # without a port: the last one
    assert client.jobs.get(int(job_id or 0)).settings
    assert client.schemas.get("main.kept").name == "kept"
    assert client.workspace.get_status("/Users/developer@example.com/kept") == folder


def test_a_killed_server_does_not_count_as_running(process: Process) -> None:
    process.start()
    process.kill()
    assert process.status(code=1) == process.status(code=1) | {"running": False, "pid": None, "url": None}
    assert (process.home / "workspace" / "server.json").exists()
    # Its process id may now be another program's, which must not be stopped.
    info = json.loads((process.home / "workspace" / "server.json").read_text())
    (process.home / "workspace" / "server.json").write_text(json.dumps(info | {"pid": os.getpid()}))
    assert process.run("stop").stdout == "The workspace is not running.\n"


def test_a_taken_port_is_named(process: Process) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        failed = process.run("start", "--port", str(port), code=1)
    assert f"Cannot listen on 127.0.0.1:{port}" in failed.stderr
    assert "--port" in failed.stderr
    assert failed.stdout == ""


def test_listening_on_other_addresses_causes_a_warning(process: Process) -> None:
    started = process.run("start", "--port", "0", "--host", "0.0.0.0")
    assert "Warning: it listens on 0.0.0.0" in started.stderr
    assert "export DATABRICKS_HOST=http://127.0.0.1:" in started.stdout
    process.run("stop")
    assert "Warning" not in process.run("start", "--port", "0").stderr


def test_reset_empties_the_workspace(process: Process) -> None:
    assert process.run("reset").stdout == "There is nothing to reset.\n"
    client = process.client()
    client.jobs.create(name="gone")
    client.schemas.create(name="deployed", catalog_name="main")
    client.volumes.create(
        catalog_name="main", schema_name="deployed", name="raw", volume_type=VolumeType.MANAGED
    )
    client.workspace.mkdirs("/Users/developer@example.com/gone")
    others = process.home / "tables" / "local" / "curated" / "orders"
    others.mkdir(parents=True)
    assert process.status()["resources"] == process.status()["resources"] | {  # type: ignore[operator]
        "job": 1,
        "schema": 1,
        "volume": 1,
        "pipeline": 0,
    }
    assert "nothing was done" in process.run("reset", code=1).stderr  # there is no answer
    assert process.status()["running"] is True
    process.run("reset", "--yes")
    assert process.status(code=1)["running"] is False
    assert not (process.home / "volumes" / "main" / "deployed").exists()
    assert others.exists(), "only folders that a deployment created may be deleted"
    fresh = process.client()
    assert list(fresh.jobs.list()) == []
    with pytest.raises(NotFound):
        fresh.schemas.get("main.deployed")
    with pytest.raises(NotFound):
        fresh.workspace.get_status("/Users/developer@example.com/gone")
    assert fresh.config.token == client.config.token

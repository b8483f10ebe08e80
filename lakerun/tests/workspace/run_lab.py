"""A workspace on a free port, and small things to deploy to it: scripts, notebooks, wheels without Spark."""

from __future__ import annotations

import socket
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from databricks.sdk import WorkspaceClient
from databricks.sdk.config import Config

from lakerun.tables.storage import Storage
from lakerun.workspace.app import create_app
from lakerun.workspace.services import Services, Settings
from lakerun.workspace.store import Store

TOKEN = "token-of-the-tests"
FOLDER = "/Workspace/Shared/shop"


@dataclass(frozen=True)
class Lab:
    """A running server and a client of it."""

    url: str
    services: Services
    client: WorkspaceClient

    def call(self, method: str, path: str, **body: Any) -> Any:
        """The API's answer; the SDK raises its own errors."""
        key = "query" if method == "GET" else "body"
        return self.client.api_client.do(method, path, **{key: body})

    def file(self, name: str, text: str) -> str:
        """Write a file to the workspace; returns its path there."""
        path = f"{FOLDER}/{name}"
        local = self.services.files.local_path(path)
        local.parent.mkdir(parents=True, exist_ok=True)
        local.write_text(text, encoding="utf-8")
        return path

    def wheel(self, code: str, version: str = "1.0", package: str = "shop_prices") -> str:
        """Deploy a wheel whose entry point is `main` in `code`; returns its path in the workspace."""
        path = f"{FOLDER}/dist/{package}-{version}-py3-none-any.whl"
        local = self.services.files.local_path(path)
        local.parent.mkdir(parents=True, exist_ok=True)
        information = f"{package}-{version}.dist-info"
        with zipfile.ZipFile(local, "w") as wheel:
            wheel.writestr(f"{package}/__init__.py", code)
            wheel.writestr(f"{information}/METADATA", f"Name: {package}\nVersion: {version}\n")
            wheel.writestr(f"{information}/entry_points.txt", f"[console_scripts]\nmain = {package}:main\n")
        return path

    def job(self, *tasks: Mapping[str, Any], **settings: Any) -> int:
        body = {"name": "nightly prices", "tasks": list(tasks), **settings}
        return int(self.call("POST", "/api/2.2/jobs/create", **body)["job_id"])

    def script(self, key: str, text: str, **settings: Any) -> dict[str, Any]:
        """A task that runs a script with this text."""
        path = self.file(f"{key}.py", text)
        return {"task_key": key, "spark_python_task": {"python_file": path}, **settings}

    def start(self, job_id: int, **request: Any) -> int:
        return int(self.call("POST", "/api/2.2/jobs/run-now", job_id=job_id, **request)["run_id"])

    def run(self, run_id: int) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", "/api/2.2/jobs/runs/get", run_id=run_id)
        return found

    def ended(self, run_id: int, seconds: float = 60) -> dict[str, Any]:
        """The run after its end."""
        final = ("TERMINATED", "SKIPPED", "INTERNAL_ERROR")
        return self.wait(lambda: self.run(run_id), lambda r: life(r) in final, seconds)

    def wait(self, read: Callable[[], Any], true: Callable[[Any], object], seconds: float = 60) -> Any:
        deadline = time.monotonic() + seconds
        while not true(found := read()):
            assert time.monotonic() < deadline, found
            time.sleep(0.05)
        return found

    def output(self, run: Mapping[str, Any], key: str) -> dict[str, Any]:
        """The output of the task's last attempt; empty until the run lists it, a moment after its start."""
        task = next((t for t in reversed(run["tasks"]) if t["task_key"] == key), None)
        if task is None:
            return {}
        found: dict[str, Any] = self.call("GET", "/api/2.2/jobs/runs/get-output", run_id=task["run_id"])
        return found


def life(run: Mapping[str, Any]) -> str:
    return str(run["state"]["life_cycle_state"])


def result(run: Mapping[str, Any]) -> str | None:
    found: str | None = run["state"].get("result_state")
    return found


def results(run: Mapping[str, Any]) -> dict[str, str | None]:
    return {task["task_key"]: result(task) for task in run["tasks"]}


@contextmanager
def serving(home: Path) -> Iterator[Lab]:
    """The workspace of a data folder, in this process."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    services = Services(
        Settings(host_url=url, token=TOKEN), Storage(home), Store(home / "workspace" / "state.db")
    )
    server = uvicorn.Server(uvicorn.Config(create_app(services), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        client = WorkspaceClient(config=Config(host=url, token=TOKEN, retry_timeout_seconds=10))
        yield Lab(url, services, client)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()

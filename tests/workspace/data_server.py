"""A workspace on a free port with a few small tables, for the tests of what answers from data."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn
from databricks.sdk import WorkspaceClient
from databricks.sdk.config import Config

from ecommerce_lakehouse.engine.storage import Storage
from ecommerce_lakehouse.workspace.app import create_app
from ecommerce_lakehouse.workspace.services import Services, Settings
from ecommerce_lakehouse.workspace.store import Store

TOKEN = "token-of-the-tests"


@dataclass(frozen=True)
class Workspace:
    """A running server."""

    url: str
    services: Services

    @property
    def home(self) -> Path:
        return self.services.storage.home

    def client(self) -> WorkspaceClient:
        return WorkspaceClient(config=Config(host=self.url, token=TOKEN, retry_timeout_seconds=10))

    def cli(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """The real `databricks` command against this server."""
        program = os.environ.get("LAKEHOUSE_TEST_CLI") or shutil.which("databricks")
        if not program:
            pytest.skip("the databricks CLI is neither on PATH nor named by LAKEHOUSE_TEST_CLI")
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("DATABRICKS_", "BUNDLE_"))}
        keep |= {"DATABRICKS_HOST": self.url, "DATABRICKS_TOKEN": TOKEN, "HOME": str(self.home)}
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, env=keep)
        assert not check or done.returncode == 0, done.stderr
        return done


@contextmanager
def serve(home: Path, max_upload_bytes: int = 2**20) -> Iterator[Workspace]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        listener = probe.dup()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    settings = Settings(host_url=url, token=TOKEN, max_upload_bytes=max_upload_bytes)
    store = Store(home / "workspace" / "state.db")
    services = Services(settings, Storage(home), store)
    server = uvicorn.Server(uvicorn.Config(create_app(services), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield Workspace(url, services)
    finally:
        server.should_exit = True
        thread.join()
        store.close()

"""A real server over an empty data folder, the SDK and a plain HTTP client for it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from databricks.sdk import WorkspaceClient
from guest import GUEST

from lakerun.tables.storage import Storage
from lakerun.workspace.app import create_app
from lakerun.workspace.server import bound
from lakerun.workspace.services import Services, Settings
from lakerun.workspace.store import Store

TOKEN = "a-token-for-tests"


@dataclass
class LocalWorkspace:
    """A server in a thread of this process; `stop` ends it as SIGTERM would."""

    url: str
    home: Path
    services: Services
    _server: uvicorn.Server
    _thread: threading.Thread

    @classmethod
    def start(cls, home: Path, **settings: Any) -> LocalWorkspace:
        """Serve `home` on a free port."""
        listener = bound("127.0.0.1", 0)
        listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        storage = Storage(home)
        store = Store(home / "workspace" / "state.db")
        services = Services(Settings(url, TOKEN, **settings), storage, store, GUEST)
        server = uvicorn.Server(uvicorn.Config(create_app(services), log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        with httpx.Client(transport=httpx.HTTPTransport(retries=10)) as http:
            assert http.get(f"{url}/health", timeout=20).json()["status"] == "ok"
        return cls(url, home, services, server, thread)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=20)
        assert not self._thread.is_alive()

    def client(self, token: str = TOKEN) -> WorkspaceClient:
        """Databricks' own SDK."""
        return WorkspaceClient(host=self.url, token=token, auth_type="pat")

    def http(self, token: str = TOKEN) -> httpx.Client:
        """Plain HTTP, with the token."""
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=20)

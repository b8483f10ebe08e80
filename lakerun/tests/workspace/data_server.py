"""A workspace on a free port with a few small tables, for tests of the APIs that read data."""

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
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
import uvicorn
from databricks.sdk import WorkspaceClient
from databricks.sdk.config import Config
from deltalake import write_deltalake

from lakerun.tables.storage import Storage
from lakerun.workspace.app import create_app
from lakerun.workspace.services import Services, Settings
from lakerun.workspace.store import Store

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
    # asyncio sets TCP_NODELAY only on sockets whose protocol is TCP.
    with socket.socket(proto=socket.IPPROTO_TCP) as probe:
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
        services.close()
        store.close()


def write_orders(home: Path) -> None:
    """`shop.sales.orders`, three orders; `shop.sales.customers`; `shop.marts.customers`, another table."""
    root = home / "tables" / "shop"
    lines = pa.list_(pa.struct([("sku", pa.string()), ("quantity", pa.int32())]))
    orders = pa.table(
        {
            "id": pa.array([1, 2, 3], pa.int64()),
            "customer": pa.array(["anna", "ben", None]),
            "total": pa.array([Decimal("12.50"), Decimal("0.75"), None], pa.decimal128(10, 2)),
            "rate": pa.array([0.1, 1e10, float("nan")], pa.float64()),
            "paid": pa.array([True, False, None]),
            "day": pa.array([date(2024, 3, 1), date(2024, 3, 2), None]),
            "at": pa.array(
                [datetime(2024, 3, 1, 12, 30, 0, 123456, UTC), datetime(2024, 3, 2, tzinfo=UTC), None],
                pa.timestamp("us", tz="UTC"),
            ),
            "lines": pa.array([[{"sku": "a-1", "quantity": 2}], [], None], lines),
            "tags": pa.array([[("gift", "yes")], None, []], pa.map_(pa.string(), pa.string())),
            "raw": pa.array([b"\x00\xff", b"", None], pa.binary()),
        }
    )
    write_deltalake(
        root / "sales" / "orders",
        orders,
        name="orders",
        description="What was sold",
        configuration={"delta.appendOnly": "false"},
    )
    customers = pa.table({"name": ["anna", "ben"], "age": pa.array([30, 41], pa.int32())})
    write_deltalake(root / "sales" / "customers", customers, partition_by=["name"])
    write_deltalake(root / "marts" / "customers", pa.table({"segment": ["gold"]}))

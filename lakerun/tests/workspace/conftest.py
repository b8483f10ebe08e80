"""One server for the tests of this folder; each test uses its own names."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from databricks.sdk import WorkspaceClient

from workspace.browser import browser
from workspace.lab import LocalWorkspace

__all__ = ["browser"]


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWorkspace]:
    """A workspace with nothing deployed that takes uploads of up to 1 MiB."""
    started = LocalWorkspace.start(tmp_path_factory.mktemp("workspace"), max_upload_bytes=2**20)
    yield started
    started.stop()


@pytest.fixture(scope="session")
def client(workspace: LocalWorkspace) -> WorkspaceClient:
    return workspace.client()


@pytest.fixture(scope="session")
def http(workspace: LocalWorkspace) -> Iterator[httpx.Client]:
    with workspace.http() as opened:
        yield opened

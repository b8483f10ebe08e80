"""Shared by all tests: one Spark session, one throw-away data folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before anything reads it: no test touches the user's data folder.
os.environ["LAKEHOUSE_HOME"] = tempfile.mkdtemp(prefix="lakehouse-tests-")
for _variable in ("PIPELINE_ENV", "CATALOG_NAME", "SCHEMA_NAME", "VOLUME_NAME"):
    os.environ.pop(_variable, None)
for _variable in [name for name in os.environ if name.startswith("POSTGRES_")]:
    del os.environ[_variable]


@pytest.fixture(scope="session")
def spark() -> Iterator[object]:
    """The one Spark session of the whole test run."""
    from ecommerce_lakehouse.engine.session import get_session

    session = get_session()
    yield session
    session.stop()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder that `LAKEHOUSE_HOME` names for one test."""
    path = tmp_path / "lakehouse"
    monkeypatch.setenv("LAKEHOUSE_HOME", str(path))
    return path

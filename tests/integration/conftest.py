from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from integration.lab import Lab
from pyspark.sql import SparkSession

from tests.integration.postgres import Database, PostgresServer


@pytest.fixture
def lab(spark: SparkSession, tmp_path: Path) -> Lab:
    """An empty lakehouse and the warm session that its pipelines run on."""
    return Lab(tmp_path / "lakehouse")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running PostgreSQL server."""
    server = PostgresServer()
    yield server
    server.remove()


@pytest.fixture
def database(postgres: PostgresServer, home: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """An empty database that the settings name, beside an empty data folder."""
    found = postgres.empty_database()
    for name, value in found.environment().items():
        monkeypatch.setenv(name, value)
    return found

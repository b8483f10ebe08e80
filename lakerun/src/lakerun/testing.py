"""A pytest plugin for tests on local Spark, `-p lakerun.testing`: the fixtures `spark` and `home`.

No test touches the user's data folder: from the start of pytest, `LAKEHOUSE_HOME` names a temporary one.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Before anything reads it.
os.environ["LAKEHOUSE_HOME"] = tempfile.mkdtemp(prefix="lakerun-tests-")


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """The one Spark session of the whole test run."""
    from lakerun.spark.session import get_session

    session = get_session()
    yield session
    session.stop()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder for one test, which `LAKEHOUSE_HOME` names."""
    path = tmp_path / "lakehouse"
    monkeypatch.setenv("LAKEHOUSE_HOME", str(path))
    return path

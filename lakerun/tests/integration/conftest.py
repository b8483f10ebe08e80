from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from integration.lab import Lab


@pytest.fixture
def lab(spark: SparkSession, tmp_path: Path) -> Lab:
    """An empty lakehouse, and a running session for its pipelines."""
    return Lab(tmp_path / "lakehouse")

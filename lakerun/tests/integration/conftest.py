from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from integration.lab import Lab


@pytest.fixture
def lab(spark: SparkSession, tmp_path: Path) -> Lab:
    """An empty lakehouse and the warm session that its pipelines run on."""
    return Lab(tmp_path / "lakehouse")

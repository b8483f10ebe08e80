"""Every file of a landing zone is read, at any level."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.domain.entities import ORDERS
from ecommerce_lakehouse.quality.datasets import arriving_lines


def read_lines(spark: SparkSession, folder: Path, checkpoint: Path) -> set[tuple[str, str]]:
    """The lines that have arrived since the last call, each with its file's path in the landing zone."""
    found: set[tuple[str, str]] = set()
    lines = arriving_lines(ORDERS, get_config("local"))
    query = (
        lines.writeStream.foreachBatch(
            lambda batch, _: found.update(
                (bytes(row.raw_line).decode(), row.source_file.split(f"{folder}/")[1])
                for row in batch.select("raw_line", "source_file").collect()
            )
        )
        .option("checkpointLocation", str(checkpoint))
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()
    return found


@pytest.mark.parametrize("nested", ["2024/05/01", "day=2024-05-01", "day=2024-05-01/hour=7"])
def test_files_of_all_levels_are_read_once(
    spark: SparkSession, home: Path, tmp_path: Path, nested: str
) -> None:
    folder = Path(get_config("local").folder_path(ORDERS.folder))
    (folder / nested).mkdir(parents=True)
    (folder / "flat.json").write_text("1\n", encoding="utf-8")
    (folder / nested / "a.json").write_text("2\n3\n", encoding="utf-8")
    assert read_lines(spark, folder, tmp_path / "checkpoint") == {
        ("1", "flat.json"),
        ("2", f"{nested}/a.json"),
        ("3", f"{nested}/a.json"),
    }
    (folder / nested / "b.json").write_text("4\n", encoding="utf-8")
    assert read_lines(spark, folder, tmp_path / "checkpoint") == {("4", f"{nested}/b.json")}

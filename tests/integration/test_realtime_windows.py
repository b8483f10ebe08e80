"""Windowed metrics of a stream of arrivals: each window is appended once, when the watermark passes it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.transforms.sales import realtime_metrics
from tests.unit.shop import HOURS, ORDERS_SCHEMA, REPEATED, in_utc, order

CONFIG = get_config("local")


def test_a_stream_appends_each_window_once_when_the_watermark_passes_it(
    spark: SparkSession, tmp_path: Path
) -> None:
    source, checkpoint = tmp_path / "orders", tmp_path / "checkpoint"
    source.mkdir()
    # 12:09 leaves the window of eleven open: the watermark of ten minutes is at 11:59.
    _arrive(source / "1.json", [*HOURS, order(5, hour=12.15)])
    _run(spark, source, checkpoint)
    _arrive(source / "2.json", [*REPEATED, order(6, hour=13.5), order(6, hour=13.5)])
    _run(spark, source, checkpoint)
    _arrive(source / "3.json", [order(7, hour=10.1), order(8, hour=15.0)])  # order 7 is hours late
    _run(spark, source, checkpoint)
    appended = spark.read.schema("window_start string, orders int, returned_orders int, units int").json(
        str(tmp_path / "out")
    )
    rows = sorted(
        (row.window_start, row.orders, row.returned_orders, row.units) for row in appended.collect()
    )
    assert rows == [
        ("2024-01-01 10:00:00", 1, 0, 2),  # closed by the first arrival, without its repeat and order 7
        ("2024-01-01 11:00:00", 1, 1, 1),  # closed by the second, with the newer record of order 4
        ("2024-01-01 12:00:00", 1, 0, 1),
        ("2024-01-01 13:00:00", 1, 0, 1),  # order 6 came twice
    ]


def _arrive(file: Path, rows: list[dict[str, Any]]) -> None:
    lines = [json.dumps(row, default=_plain) for row in rows]
    file.write_text("\n".join(lines), encoding="utf-8")


def _plain(value: object) -> str:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)


def _run(spark: SparkSession, source: Path, checkpoint: Path) -> None:
    """Take what has arrived since the last run, in append mode, and stop."""
    out = str(source.parent / "out")
    stream = spark.readStream.schema(ORDERS_SCHEMA).json(str(source))
    query = (
        in_utc(realtime_metrics(stream, CONFIG))
        .writeStream.outputMode("append")
        .option("checkpointLocation", str(checkpoint))
        .foreachBatch(lambda batch, _: batch.write.mode("append").json(out))
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()

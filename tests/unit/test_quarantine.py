"""Quarantine on worked examples: NULL breaks a rule, and a row says where it came from."""

from __future__ import annotations

from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.quality.quarantine import kept, quarantined, with_broken_rules
from ecommerce_lakehouse.transforms.ingest import line_hash
from tests.unit.bronze import INGESTED_AT, bronze


def test_null_breaks_a_rule_and_a_broken_rule_keeps_the_line(spark: SparkSession) -> None:
    rows = spark.sql(
        "SELECT * FROM VALUES (CAST(NULL AS INT), 'n'), (1, 'one'), (5, 'five') AS t(amount, raw_line)"
    )
    rules = {
        "has_amount": "amount IS NOT NULL",
        "above_two": "amount > 2",
        "unknown": "amount > NULL OR true",
    }
    checked = with_broken_rules(rows, rules).collect()
    assert [(row.amount, row.raw_line, row.broken_rules) for row in checked] == [
        (None, "n", ["has_amount", "above_two"]),
        (1, "one", ["above_two"]),
        (5, None, []),
    ]


def test_without_rules_everything_is_kept(spark: SparkSession) -> None:
    checked = with_broken_rules(bronze(spark, [b"", b"{"]).withColumn("line_hash", line_hash()), {})
    assert kept(checked).count() == 2
    assert quarantined(checked).count() == 0


def test_a_quarantined_row_says_where_it_came_from(spark: SparkSession) -> None:
    lines = bronze(spark, {"orders_7.json": b'{"caf\xe9'}).withColumn("line_hash", line_hash())
    checked = with_broken_rules(lines, {"never": "false"})
    (row,) = quarantined(checked).withColumn("ingested_at", F.unix_seconds("ingested_at")).collect()
    assert row.asDict() == {
        "line_hash": spark.range(1).select(F.xxhash64(F.lit(bytearray(b'{"caf\xe9')))).collect()[0][0],
        "raw_line": bytearray(b'{"caf\xe9'),
        "raw_text": '{"caf\ufffd',
        "source_file": "orders_7.json",
        "ingested_at": int(INGESTED_AT.timestamp()),
        "environment": "local",
        "broken_rules": ["never"],
    }

"""Good rows and quarantined rows, as exact complements from one set of rules."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.transforms.ingest import PROVENANCE

BROKEN_RULES = "broken_rules"


def with_broken_rules(rows: DataFrame, rules: Mapping[str, str]) -> DataFrame:
    """Adds `broken_rules` ARRAY<STRING>: names of the rules that do not hold, NULL counting as broken."""
    broken = [
        F.when(~F.coalesce(F.expr(constraint).cast("boolean"), F.lit(False)), F.lit(name))
        for name, constraint in rules.items()
    ]
    return rows.withColumn(BROKEN_RULES, F.array_compact(F.array(*broken)))


def kept(checked: DataFrame) -> DataFrame:
    """The rows that break no rule."""
    return checked.where(F.size(BROKEN_RULES) == 0)


def quarantined(checked: DataFrame) -> DataFrame:
    """The rows that break a rule: `raw_line` BINARY, `raw_text` STRING, provenance, `broken_rules`."""
    return checked.where(F.size(BROKEN_RULES) > 0).select(
        "raw_line",
        F.make_valid_utf8(F.col("raw_line").cast("string")).alias("raw_text"),
        *PROVENANCE,
        BROKEN_RULES,
    )


def surplus(valid: DataFrame, key: str, sequence_columns: list[str]) -> DataFrame:
    """Valid rows that are not the one kept for their key, counted from the rows themselves.

    In: valid rows with `key` and the sequence columns. Out: the same columns, one row per surplus record.
    """
    from pyspark.sql import Window

    newest_first = Window.partitionBy(key).orderBy(*[F.desc(column) for column in sequence_columns])
    return valid.withColumn("_rank", F.row_number().over(newest_first)).where("_rank > 1").drop("_rank")

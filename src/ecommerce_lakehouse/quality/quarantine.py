"""Good rows and quarantined rows, as exact complements from one set of rules."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.transforms.ingest import PROVENANCE

BROKEN_RULES = "broken_rules"
JUDGED_BY = "judged_by"


def with_broken_rules(rows: DataFrame, rules: Mapping[str, str]) -> DataFrame:
    """Add `broken_rules` `ARRAY<STRING>`, the names of the rules that do not hold; NULL counts as broken.

    And `judged_by` BIGINT, the fingerprint of these rules, because they may change later. If none is broken,
    `raw_line` becomes NULL: bronze has it, and only quarantine needs it again.
    """
    broken = [
        F.when(~F.coalesce(F.expr(constraint).cast("boolean"), F.lit(False)), F.lit(name))
        for name, constraint in rules.items()
    ]
    checked = rows.withColumn(BROKEN_RULES, F.array_compact(F.array(*broken).cast("array<string>")))
    checked = checked.withColumn(JUDGED_BY, F.lit(fingerprint(rules)).cast("bigint"))
    return checked.withColumn("raw_line", F.when(F.size(BROKEN_RULES) > 0, F.col("raw_line")))


def fingerprint(rules: Mapping[str, str]) -> int:
    """A number of 63 bits that differs for other rules."""
    digest = hashlib.sha256(json.dumps(list(rules.items())).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def kept(checked: DataFrame) -> DataFrame:
    """The rows that break no rule."""
    return checked.where(F.size(BROKEN_RULES) == 0)


def quarantined(checked: DataFrame) -> DataFrame:
    """The rows that break a rule.

    Out: `raw_line` BINARY, `raw_text` STRING, `line_hash` BIGINT, provenance, `broken_rules` `ARRAY<STRING>`.
    """
    return checked.where(F.size(BROKEN_RULES) > 0).select(
        "raw_line",
        F.make_valid_utf8(F.col("raw_line").cast("string")).alias("raw_text"),
        "line_hash",
        *PROVENANCE,
        BROKEN_RULES,
    )

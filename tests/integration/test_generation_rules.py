"""The manifest's consequences of each issue, compared with the pipelines' own parser and rules."""

from __future__ import annotations

from collections import Counter

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.domain.entities import SAMPLED
from ecommerce_lakehouse.generation.issues import CONSEQUENCES, DUPLICATE, KINDS, expected_outcome
from ecommerce_lakehouse.generation.manifest import Parameters
from ecommerce_lakehouse.generation.plan import BatchPlan
from ecommerce_lakehouse.generation.records import lines_of
from ecommerce_lakehouse.quality.quarantine import with_broken_rules
from ecommerce_lakehouse.quality.rules import rules_for
from ecommerce_lakehouse.transforms.ingest import parse


@pytest.mark.parametrize("name", SAMPLED)
def test_each_kind_of_issue_breaks_exactly_the_rules_that_the_manifest_names(
    spark: SparkSession, name: str
) -> None:
    entity, config = SAMPLED[name], get_config("local")
    rules = rules_for(f"silver_{entity.target}", config)
    parameters = Parameters(seed=3, orders=180, customer_activity=180, customers=180, days=90, issue_rate=0.5)
    lines = lines_of(spark, config, BatchPlan(parameters, 0), name)
    # The issue travels through the pipeline's own functions as the name of the source file.
    bronze = lines.select(
        F.col("value").cast("binary").alias("raw_line"),
        F.coalesce("_issue", F.lit("clean")).alias("source_file"),
        F.to_timestamp(F.lit("2024-05-01 00:00:00")).alias("ingested_at"),
        F.lit("local").alias("environment"),
    )
    checked = with_broken_rules(parse(bronze, entity), rules.drop | rules.warn)
    rows = checked.select("source_file", "broken_rules").collect()

    outcome: dict[str, set[frozenset[str]]] = {}
    for kind, broken in rows:
        outcome.setdefault(kind, set()).add(frozenset(broken))
    named = {
        kind: {frozenset(consequence.broken + consequence.warned)}
        for kind, consequence in CONSEQUENCES[name].items()
    }
    assert outcome == named | {"clean": {frozenset()}}
    assert all(set(consequence.broken) <= set(rules.drop) for consequence in CONSEQUENCES[name].values())
    assert all(set(consequence.warned) <= set(rules.warn) for consequence in CONSEQUENCES[name].values())

    issues = Counter(kind for kind, _ in rows if kind != "clean")
    assert issues == dict.fromkeys(KINDS, 10)
    expected = expected_outcome(name, len(rows), issues, updates=0)
    counted = Counter(rule for _, broken in rows for rule in broken)
    assert expected.broken_rules == {rule: n for rule, n in counted.items() if rule in rules.drop}
    assert expected.warnings == {rule: n for rule, n in counted.items() if rule in rules.warn}
    assert expected.quarantined == sum(bool(set(broken) & set(rules.drop)) for _, broken in rows)
    assert expected.duplicates == issues[DUPLICATE]
    assert expected.silver + expected.quarantined + expected.duplicates == 180

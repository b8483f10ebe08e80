"""A rule of any severity on any dataset is enforced or refused, never accepted and ignored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from ecommerce_lakehouse.config import LakehouseConfig, get_config
from ecommerce_lakehouse.quality import rules as registry
from ecommerce_lakehouse.quality.rule import Rule, RuleError, Severity
from ecommerce_lakehouse.quality.rules import datasets_with_rules, rules_for
from lakerun.bundles.load import load_bundle
from lakerun.pipelines.definitions import load_definitions
from lakerun.pipelines.expectations import of_function

ROOT = Path(__file__).parents[2]
CONFIG = get_config("local")
DATASETS = datasets_with_rules(CONFIG)
REASON = "Added by a test to see where it goes"
# Only the lines of an entity have a quarantine.
WITH_QUARANTINE = {
    "silver_orders", "silver_customers", "silver_customer_activity", "silver_order_batches",
    "silver_marketing_consents", "silver_push_devices", "silver_households", "silver_household_members",
}  # fmt: skip


def add(monkeypatch: pytest.MonkeyPatch, severity: Severity, datasets: set[str]) -> None:
    """Add a rule named after its dataset to each of these."""
    original = registry._registry

    def extended(config: LakehouseConfig) -> dict[str, registry.RuleSet]:
        found = original(config)
        for name in datasets:
            added = Rule(f"{severity}_of_{name}", "1 = 1", severity, REASON, owner="tests")
            found[name] = replace(found[name], rules=(*found[name].rules, added))
        return found

    monkeypatch.setattr(registry, "_registry", extended)


def attached(spark: SparkSession) -> set[tuple[str, str]]:
    """Action and name of every expectation that the pipelines declare."""
    bundle = load_bundle(ROOT, None, {"environment": "local"})
    return {
        (item.action, item.name)
        for spec in bundle.pipelines.values()
        for flow in load_definitions(spec.source_files, spark, spec.root_path).flows.values()
        if flow.query is not None
        for item in of_function(flow.query)
    }


@pytest.mark.parametrize("severity", ["warn", "fail"])
def test_a_warning_and_a_failing_rule_can_be_put_on_every_dataset(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, severity: Severity
) -> None:
    add(monkeypatch, severity, set(DATASETS))
    action = {"warn": "ALLOW", "fail": "FAIL"}[severity]
    found = attached(spark)
    assert [name for name in DATASETS if (action, f"{severity}_of_{name}") not in found] == []


def test_a_dropping_rule_is_attached_where_there_is_a_quarantine(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(monkeypatch, "drop", WITH_QUARANTINE)
    found = attached(spark)
    assert {("DROP", f"drop_of_{name}") for name in WITH_QUARANTINE} <= found


@pytest.mark.parametrize("dataset", sorted(set(DATASETS) - WITH_QUARANTINE))
def test_a_dropping_rule_is_refused_where_rows_would_be_lost(
    monkeypatch: pytest.MonkeyPatch, dataset: str
) -> None:
    add(monkeypatch, "drop", {dataset})
    with pytest.raises(RuleError, match=rf"rule 'drop_of_{dataset}': .*quarantine.* use warn or fail"):
        rules_for(dataset, CONFIG)

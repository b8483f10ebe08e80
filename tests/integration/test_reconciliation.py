"""Reconciliation in a pipeline: an update that would lose, repeat or misplace a line fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from integration.lab import dataset, failed
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.domain.entities import ORDER_BATCHES
from ecommerce_lakehouse.quality import datasets, quarantine
from ecommerce_lakehouse.transforms.ingest import superseded
from lakerun.bundles.load import load_bundle
from lakerun.pipelines.results import UpdateResult
from lakerun.pipelines.update import Selection, run_update
from lakerun.tables.storage import Storage

ORDER = {
    "order_id": "O-1",
    "order_item": "Desk lamp",
    "price": 19.99,
    "items_ordered": 1,
    "status": "shipped",
    "date_ordered": "2024-04-30",
    "customer_id": "C-1",
    "order_timestamp": "2024-04-30T08:15:00",
}
# Everything except gold and the checks, which take long.
TABLES = (
    "bronze_order_batches",
    "silver_order_batches_parsed",
    "silver_order_batches",
    "silver_order_batches_duplicates",
    "quarantine_order_batches",
    "quality_reconciliation_order_analytics",
)
LINES = [
    ORDER,
    ORDER,
    ORDER | {"order_id": "O-2"},
    ORDER | {"order_id": "O-3", "status": "lost"},
    ORDER | {"order_id": None, "price": -1},
]


def update(home: Path) -> UpdateResult:
    config = get_config("local")
    folder = Path(config.folder_path(ORDER_BATCHES.folder))
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(line) + "\n" for line in LINES)
    (folder / "batch.json").write_text(text, encoding="utf-8")
    names = {"catalog": config.catalog, "schema": config.schema, "volume": config.volume}
    bundle = load_bundle(Path(__file__).parents[2], variables={"environment": "local", **names})
    return run_update(
        bundle.pipelines["order_analytics_pipeline"],
        storage=Storage(home),
        selection=Selection(refresh=TABLES),
    )


def inverted(rows: DataFrame, rules: dict[str, str]) -> DataFrame:
    """Record the rules that hold, with the fingerprint of the right ones."""
    noted = quarantine.with_broken_rules(rows, {name: f"NOT ({rule})" for name, rule in rules.items()})
    return noted.withColumn(quarantine.JUDGED_BY, F.lit(quarantine.fingerprint(rules)))


def test_an_update_that_does_not_reconcile_fails(
    spark: SparkSession, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An inverted predicate, lost duplicates, lost quarantine: tests/property has each by itself."""
    monkeypatch.setattr(datasets, "with_broken_rules", inverted)
    monkeypatch.setattr(datasets, "superseded", lambda *arguments: superseded(*arguments).limit(0))
    monkeypatch.setattr(datasets, "quarantined", lambda rows: quarantine.quarantined(rows).limit(0))
    result = update(home)
    assert result.state == "FAILED"
    name = "quality_reconciliation_order_analytics"
    assert dataset(result, name).status == "FAILED"
    broken = failed(result, name)
    assert (broken["judged_by_the_rules"], broken["every_line_counted"]) == (1, 1)

"""A hundred people are erased at random from the generated shop, with all its pipelines: a long round."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.generation.order_batches import OrderGenerator, landing_folder
from ecommerce_lakehouse.generation.sample import generate_sample_data
from ecommerce_lakehouse.privacy.needles import Needles
from ecommerce_lakehouse.privacy.people import read_line
from ecommerce_lakehouse.privacy.scan import scan
from ecommerce_lakehouse.quality.replay import Corrections, QuarantinedRow, record
from lakerun.bundles.load import load_bundle
from lakerun.pipelines.update import Selection, run_update
from tests.integration.test_privacy import Shop, bag, cli

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
SIZE = {"orders": 3000, "customer_activity": 3000, "customers": 400, "issue_rate": 0.08}
PIPELINES = ("medallion_dlt_pipeline", "ml_features_pipeline", "order_analytics_pipeline")
TYPED = ("silver_", "bronze_", "quarantine_")


class WholeShop(Shop):
    """The generated shop, with all its pipelines."""

    def update(self, **selection: Any) -> list[Any]:
        bundle = load_bundle(ROOT, variables={"environment": "local", "catalog": "local"})
        for name in PIPELINES:
            chosen = Selection(**selection)
            result = run_update(bundle.pipelines[name], storage=self.storage, selection=chosen)
            assert result.state == "COMPLETED", result.error
        return []


def replay(shop: Shop) -> int:
    """Correct every refused order that is one JSON object, and send it back."""
    fixes = {}
    for given in shop.tables()["quarantine_orders"]:
        row = QuarantinedRow.model_validate(given)
        try:
            fields = record(row.raw_text)
        except Exception:
            continue
        fixes[row] = json.dumps(fields | {"status": "pending", "price": 1.5, "quantity": 1})
    corrections = Corrections(shop.config, "orders")
    corrections.fix(fixes, by="ops@example.com", now=NOW)
    corrections.replay(by="ops@example.com", now=NOW)
    return len(fixes)


def owned(row: Mapping[str, Any], ids: set[str], mails: set[str], keys: set[str]) -> bool:
    """Whether a row is theirs, told from its line if it has one, by other code than that which erases."""
    line = row.get("raw_text") or (row["raw_line"].decode("utf-8", "replace") if row.get("raw_line") else "")
    if line:
        given, readable = read_line(line)
        names = {value for value in given.get("customer_id", []) if value}
        if names:
            return bool(names & ids)
        if set(given.get("email", [])) & mails or set(given.get("order_id", [])) & keys:
            return True
        if set(given.get("session_id", [])) & keys:
            return True
        return not readable and bool(Needles(dict.fromkeys(ids | mails, "x")).found(line))
    if row.get("customer_id"):
        return row["customer_id"] in ids
    return row.get("email") in mails or row.get("order_id") in keys or row.get("session_id") in keys


def stays(
    tables: Mapping[str, Iterable[Mapping[str, Any]]], ids: set[str], mails: set[str], keys: set[str]
) -> dict[str, Counter[str]]:
    return {
        name: bag(row for row in rows if not owned(row, ids, mails, keys))
        for name, rows in tables.items()
        if name.startswith(TYPED)
    }


@pytest.mark.slow
@pytest.mark.timeout(5400)
def test_a_hundred_people_are_erased_and_nobody_else_notices(
    spark: SparkSession, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    config, shop = get_config("local"), WholeShop(home)
    generator = OrderGenerator(customers=400, issue_rate=0.1)
    generate_sample_data(spark, config, seed=7, batches=1, **SIZE)
    generator.write(landing_folder(config), 300, 0, NOW)
    shop.update()
    assert replay(shop) > 50
    generate_sample_data(spark, config, batches=2)
    shop.update()

    before = shop.tables()
    everybody = sorted({row["customer_id"] for row in before["silver_orders"]})
    ids = set(random.Random(19).sample(everybody, 100))
    parsed = [row for name, rows in before.items() if name.endswith("_parsed") for row in rows]
    theirs = [row for row in parsed if row.get("customer_id") in ids]
    others = [row for row in parsed if row.get("customer_id") and row["customer_id"] not in ids]
    found = {}
    for column in ("email", "order_id", "session_id"):
        taken = {row.get(column) for row in others}
        found[column] = {row[column] for row in theirs if row.get(column) and row[column] not in taken}
    mails, keys = found["email"], found["order_id"] | found["session_id"]
    expected = stays(before, ids, mails, keys)
    needles = Needles(dict.fromkeys(ids, "customer_id") | dict.fromkeys(mails, "contact"))
    assert len(scan(home, needles).findings) > 50

    options = [part for each in sorted(ids) for part in ("--customer", each)]
    outcome = cli("privacy", "erase", *options, "--lakehouse-only", "--yes")
    assert outcome["findings"] == []
    assert scan(home, needles).findings == ()
    now = shop.tables()
    for name, rows in expected.items():
        assert bag(now[name]) == rows, name

    # Another day, in which they order again, and a full refresh.
    generate_sample_data(spark, config, batches=1)
    shop.update()
    updated = shop.tables()
    for folder in ("tables", "pipelines"):
        assert scan(home / folder, needles).findings == ()
    streamed = [name for name in expected if name.startswith("bronze_")]
    for name in streamed:
        assert expected[name] - bag(updated[name]) == Counter(), name
    late = cli("privacy", "erase", *options, "--lakehouse-only", "--yes")
    assert any(item["kind"] == "raw file" for item in late["removed"])
    shop.update(full_refresh_all=True)
    assert scan(home, needles).findings == ()
    refreshed = shop.tables()
    for name in (each for each in updated if each.startswith((*TYPED, "feature_")) or each in KEPT):
        assert bag(refreshed[name], "ingested_at") == bag(updated[name], "ingested_at"), name


KEPT = ("gold_daily_sales", "gold_rolling_sales", "gold_customer_segments", "gold_product_performance")

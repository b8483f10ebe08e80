"""The main job as a user runs it, twice, compared with the generator's manifests."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.generation import DatasetManifest, Manifest, read_manifests
from ecommerce_lakehouse.generation.issues import CONSEQUENCES
from lakerun.sql.query import query
from lakerun.tables.storage import Storage
from tests.e2e.conftest import MainJob

TARGETS = {"orders": "orders", "customer_activity": "customer_activity", "customer_profiles": "customers"}
PIPELINES = {
    "orders": "medallion_dlt_pipeline",
    "customer_profiles": "medallion_dlt_pipeline",
    "customer_activity": "ml_features_pipeline",
}


@pytest.fixture(scope="module")
def runs(main_job: MainJob) -> Iterator[list[dict[str, Any]]]:
    """Two runs of the main job, whose data folder is the one that the tests read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKEHOUSE_HOME", str(main_job.home))
        patch.chdir(Path(__file__).parents[2])
        yield main_job.runs


def _sql(text: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = query(text, Storage.default()).to_pylist()
    return rows


def _one(text: str) -> Any:
    (row,) = _sql(text)
    (value,) = row.values()
    return value


def _manifests() -> list[Manifest]:
    return read_manifests(Path(get_config("local").manifests_path))


def _delivered(manifest: Manifest, entity: str) -> list[DatasetManifest]:
    """What a batch delivered of an entity; some orders are updated by further lines."""
    names = ("orders", "order_updates") if entity == "orders" else (entity,)
    return [manifest.datasets[name] for name in names]


def _datasets(run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        item["name"].split(".")[-1]: item
        for task in run["tasks"]
        if task["update"]
        for item in task["update"]["datasets"]
    }


@pytest.mark.parametrize("entity", TARGETS)
def test_every_line_ends_in_silver_in_quarantine_or_as_a_counted_duplicate(
    runs: list[dict[str, Any]], entity: str
) -> None:
    manifests = [dataset for manifest in _manifests() for dataset in _delivered(manifest, entity)]
    assert len(_manifests()) == 3
    target = TARGETS[entity]
    lines = sum(item.rows for item in manifests)
    counts = {
        "silver": _one(f"select count(*) from silver_{target}"),
        "quarantined": _one(f"select count(*) from quarantine_{target}"),
        "superseded": _one(f"select count(*) from silver_{target}_duplicates"),
    }
    assert counts == {
        "silver": sum(item.expected.silver for item in manifests),
        "quarantined": sum(item.expected.quarantined for item in manifests),
        "superseded": sum(item.expected.duplicates + item.expected.updates for item in manifests),
    }
    assert sum(counts.values()) == lines == _one(f"select count(*) from bronze_{entity}")


@pytest.mark.parametrize("entity", TARGETS)
def test_bronze_holds_the_lines_byte_for_byte(runs: list[dict[str, Any]], entity: str) -> None:
    files = sorted(Path(get_config("local").source_path(entity)).glob("*.json"))
    delivered = Counter(line for file in files for line in file.read_bytes().split(b"\n")[:-1])
    kept = Counter(row["raw_line"] for row in _sql(f"select raw_line from bronze_{entity}"))
    assert kept == delivered


@pytest.mark.parametrize("entity", TARGETS)
def test_quarantine_and_the_event_log_give_exactly_the_broken_rules(
    runs: list[dict[str, Any]], entity: str
) -> None:
    expected, warned = Counter[str](), Counter[str]()
    for manifest in _manifests():
        expected.update(manifest.datasets[entity].expected.broken_rules)
        warned.update(manifest.datasets[entity].expected.warnings)
    target = TARGETS[entity]
    quarantined = [set(row["broken_rules"]) for row in _sql(f"select broken_rules from quarantine_{target}")]
    assert Counter(rule for reasons in quarantined for rule in reasons) == +expected
    # Line by line: as many with exactly these reasons as lines were given the issue that breaks them.
    issues = Counter[frozenset[str]]()
    for manifest in _manifests():
        for kind, count in manifest.datasets[entity].issues.items():
            if reasons := CONSEQUENCES[entity][kind].broken:
                issues[frozenset(reasons)] += count
    assert Counter(map(frozenset, quarantined)) == +issues
    logged = _logged(PIPELINES[entity])
    drops = {name: failed for (data, name), (_, failed) in logged.items() if data == f"valid_{target}"}
    assert Counter(drops) == Counter({**dict.fromkeys(drops, 0), **expected})
    warnings = {
        name: failed
        for (data, name), (_, failed) in logged.items()
        if data.endswith(f"silver_{target}_parsed")
    }
    assert Counter(warnings) == Counter({**dict.fromkeys(warnings, 0), **warned})
    lines = _one(f"select count(*) from bronze_{entity}")
    assert {passed + failed for (data, _), (passed, failed) in logged.items() if target in data} == {lines}


def _logged(pipeline: str) -> dict[tuple[str, str], tuple[int, int]]:
    totals: dict[tuple[str, str], tuple[int, int]] = {}
    log = _sql(f"select details from event_log_{pipeline} where event_type = 'flow_progress'")
    for row in log:
        quality = json.loads(row["details"])["flow_progress"].get("data_quality", {})
        for item in quality.get("expectations", []):
            dataset = item["dataset"].split(".")[-1]
            if not dataset.startswith(("valid", "silver")) or dataset.endswith(("duplicates", "known")):
                continue
            passed, failed = totals.get((item["dataset"], item["name"]), (0, 0))
            totals[item["dataset"], item["name"]] = (
                passed + item["passed_records"],
                failed + item["failed_records"],
            )
    return totals


def test_the_second_run_reads_only_new_data(runs: list[dict[str, Any]]) -> None:
    last = _manifests()[-1]
    written = {name: item["rows_written"] for name, item in _datasets(runs[1]).items()}
    for entity, target in TARGETS.items():
        delivered = _delivered(last, entity)
        lines = sum(dataset.rows for dataset in delivered)
        assert written[f"bronze_{entity}"] == written[f"silver_{target}_parsed"] == lines
        # An order has three updates, but one row.
        changed = [
            d.expected.silver + d.expected.updates // (3 if entity == "orders" else 1) for d in delivered
        ]
        assert written[f"silver_{target}"] == sum(changed)


def test_gold_agrees_with_plain_sql_over_silver(runs: list[dict[str, Any]]) -> None:
    daily = _one("select sum(revenue) from gold_daily_sales")
    silver = _one(
        "select sum(price * quantity) from silver_orders where status not in ('cancelled', 'returned')"
    )
    assert Decimal(daily) == Decimal(silver) > 0
    assert _one("select sum(orders + cancelled_orders + returned_orders) from gold_daily_sales") == _one(
        "select count(*) from silver_orders"
    )
    people = "select customer_id from silver_orders union select customer_id from silver_customers"
    assert _one("select count(*) from gold_customer_segments") == _one(f"select count(*) from ({people})")
    assert _one("select silver_orders from gold_data_quality_check") == _one(
        "select count(*) from silver_orders"
    )


def test_every_dataset_of_both_pipelines_has_a_table(runs: list[dict[str, Any]]) -> None:
    tables = {table.table for table in Storage.default().tables()}
    names = set(_datasets(runs[0]))
    assert names == set(_datasets(runs[1]))
    assert names | {"event_log_medallion_dlt_pipeline", "event_log_ml_features_pipeline"} == tables
    assert len(names) == 35

"""Refused orders, corrected by SQL on the command line, go through the real pipeline again."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from ecommerce_lakehouse.cli.main import command_line
from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.generation.order_batches import OrderGenerator, landing_folder
from lakerun.bundles.load import load_bundle
from lakerun.pipelines.update import Selection, run_update
from lakerun.tables.storage import Storage

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)


def lakehouse(*arguments: str) -> Any:
    result = CliRunner().invoke(command_line(), [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def rows(table: str, columns: str) -> Counter[str]:
    return Counter(map(str, lakehouse("sql", f"SELECT {columns} FROM {table}")))


def test_corrected_orders_are_in_silver_once_after_replays_runs_and_a_full_refresh(
    spark: SparkSession, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    config, storage = get_config("local"), Storage(home)
    pipeline = load_bundle(ROOT, variables={"environment": "local", "catalog": "local"}).pipelines[
        "order_analytics_pipeline"
    ]

    def run(**selection: Any) -> None:
        assert run_update(pipeline, storage=storage, selection=Selection(**selection)).state == "COMPLETED"

    batch = OrderGenerator(issue_rate=0.5).write(landing_folder(config), 20, 0, NOW)
    lost = [json.loads(line) for line in batch.path.read_text().splitlines() if '"lost"' in line]
    run()
    (listed,) = lakehouse("quarantine", "list")
    assert (listed["rows"], listed["broken_rules"]["valid_status"]) == (10, len(lost))
    assert len(lost) == 2
    silver = "silver_order_batches", "order_id, status, price"
    before = rows(*silver)

    condition = ("--where", "status = 'lost'", "--set", "status = 'pending'")
    assert len(lakehouse("quarantine", "fix", "order_batches", *condition)) == 2
    (replayed,) = lakehouse("quarantine", "replay")
    assert replayed["rows"] == 2
    assert lakehouse("quarantine", "replay") == []
    run()
    expected = before + Counter(
        str({"order_id": o["order_id"], "status": "pending", "price": f"{o['price']:.2f}"}) for o in lost
    )
    after = rows(*silver)
    assert len(after) == len(expected) == 12
    assert {key.partition("'price'")[0] for key in after} == {k.partition("'price'")[0] for k in expected}

    assert lakehouse("quarantine", "replay", "order_batches") == []
    run(full_refresh_all=True)
    assert rows(*silver) == after
    assert rows("bronze_order_batches", "count(*) AS n") == Counter([str({"n": 22})])
    (listed,) = lakehouse("quarantine", "list")
    assert (listed["rows"], listed["waiting"], listed["replayed"]) == (10, 0, 2)

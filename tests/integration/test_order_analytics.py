"""The order analytics pipeline, compared with its batches, counted in plain Python."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder
from integration.lab import dataset
from pyspark.sql import SparkSession

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.generation.order_batches import ISSUES, OrderGenerator, WrittenBatch, landing_folder
from lakerun.bundles.load import load_bundle
from lakerun.pipelines.results import UpdateResult
from lakerun.pipelines.update import run_update
from lakerun.tables.storage import Storage, TableName

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[2]
TIMES = [datetime(2026, 3, 5, 0, 30, tzinfo=UTC), datetime(2026, 3, 6, 9, 0, tzinfo=UTC)]


@dataclass(frozen=True)
class Outcome:
    """Two updates: one batch before the first, one batch and a redelivered file before the second."""

    storage: Storage
    batches: list[WrittenBatch]
    results: list[UpdateResult]

    def rows(self, table: str) -> list[dict[str, Any]]:
        path = self.storage.table_path(TableName("local", "data_eng", table))
        reader = QueryBuilder().register("t", DeltaTable(str(path)))
        rows: list[dict[str, Any]] = pa.table(reader.execute("SELECT * FROM t").read_all()).to_pylist()
        return rows

    def clean(self) -> list[dict[str, Any]]:
        """The newest record of each valid order, in plain Python."""
        orders: dict[str, dict[str, Any]] = {}
        for batch in self.batches:
            for line in batch.path.read_text(encoding="utf-8").splitlines():
                order = json.loads(line, parse_float=Decimal)
                if _is_sound(order) and _age(order) >= _age(orders.get(order["order_id"], order)):
                    orders[order["order_id"]] = order
        return list(orders.values())


def _age(order: dict[str, Any]) -> tuple[str, int]:
    """Records of an order by when they were made, then by how far they are in its life."""
    life = ["pending", "processing", "shipped", "delivered", "cancelled", "returned"]
    return order.get("updated_at", order["order_timestamp"]), life.index(order["status"])


def _is_sound(order: dict[str, Any]) -> bool:
    return (
        order["order_id"] is not None
        and order["price"] != "cheap"
        and order["items_ordered"] > 0
        and order["status"] != "lost"
        and not order["order_timestamp"].startswith("2999")
    )


def _earns(order: dict[str, Any]) -> bool:
    return order["status"] not in ("cancelled", "returned")


def _value(orders: list[dict[str, Any]]) -> Decimal:
    return sum((Decimal(o["price"]) * o["items_ordered"] for o in orders if _earns(o)), Decimal(0))


@pytest.fixture(scope="module")
def outcome(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    storage = Storage(tmp_path_factory.mktemp("orders") / "lakehouse")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKEHOUSE_HOME", str(storage.home))
        config = get_config("local")
        folder = landing_folder(config)
        names = {"catalog": config.catalog, "schema": config.schema, "volume": config.volume}
        pipeline = load_bundle(ROOT, variables={"environment": "local", **names}).pipelines[
            "order_analytics_pipeline"
        ]
        generator = OrderGenerator(customers=12, issue_rate=0.2, update_rate=0.1)
        batches, results = [], []
        for number, time in enumerate(TIMES):
            batches.append(generator.write(folder, 50, number, time))
            if number:  # the same orders again, in another file
                again = folder / "redelivered.json"
                again.write_bytes(batches[0].path.read_bytes())
            results.append(run_update(pipeline, storage=storage))
        yield Outcome(storage, batches, results)


def test_both_updates_complete_and_the_second_reads_only_new_files(outcome: Outcome) -> None:
    assert [(result.state, result.error) for result in outcome.results] == [("COMPLETED", None)] * 2
    assert [dataset(result, "bronze_order_batches").rows_written for result in outcome.results] == [50, 125]


def test_every_line_ends_in_silver_in_quarantine_or_as_a_duplicate(outcome: Outcome) -> None:
    silver = outcome.rows("silver_order_batches")
    assert sorted(row["order_id"] for row in silver) == sorted(o["order_id"] for o in outcome.clean())
    assert len(outcome.rows("bronze_order_batches")) == 175
    assert len(silver) == 85  # five orders arrived a batch late
    # The sound lines of the file again, and of five orders four records each: 40 + 5 * 4.
    assert len(outcome.rows("silver_order_batches_duplicates")) == 60
    assert len(outcome.rows("quarantine_order_batches")) == 30


def test_the_newest_record_of_an_updated_order_is_kept(outcome: Outcome) -> None:
    found = {
        row["order_id"]: (row["status"], row["items_ordered"]) for row in outcome.rows("silver_order_batches")
    }
    expected = {order["order_id"]: (order["status"], order["items_ordered"]) for order in outcome.clean()}
    assert found == expected
    updated = [order for order in outcome.clean() if "updated_at" in order]
    assert len(updated) == 5
    assert {order["status"] for order in updated} <= {"shipped", "delivered", "cancelled", "returned"}


def test_quarantine_names_exactly_the_rule_that_each_issue_breaks(outcome: Outcome) -> None:
    expected: Counter[tuple[str, ...]] = Counter()
    for batch, deliveries in zip(outcome.batches, (2, 1), strict=True):
        for kind, count in batch.issues.items():
            expected[ISSUES[kind][1]] += count * deliveries
    found = Counter(tuple(row["broken_rules"]) for row in outcome.rows("quarantine_order_batches"))
    assert found == expected
    assert sum(found.values()) == 30


def test_business_metrics_of_each_date_are_as_counted_by_hand(outcome: Outcome) -> None:
    days = defaultdict(list)
    for order in outcome.clean():
        days[order["date_ordered"]].append(order)
    found = {row["date_ordered"].isoformat(): row for row in outcome.rows("gold_order_business_metrics")}
    assert set(found) == set(days)
    for day, orders in days.items():
        earning = [order for order in orders if _earns(order)]
        row = found[day]
        assert row["orders"] == len(earning)
        assert row["items_sold"] == sum(order["items_ordered"] for order in earning)
        assert row["revenue"] == _value(orders)
        assert row["customers"] == len({order["customer_id"] for order in earning})
        average = (_value(orders) / len(earning)).quantize(Decimal("0.01"), ROUND_HALF_UP)
        assert row["average_order_value"] == average
        assert row["unearning_orders"] == len(orders) - len(earning)
        assert row["unearning_share"] == pytest.approx(1 - len(earning) / len(orders))


def test_customer_analytics_are_as_counted_by_hand(outcome: Outcome) -> None:
    clean = outcome.clean()
    own = defaultdict(list)
    for order in clean:
        own[order["customer_id"]].append(order)
    newest = max(order["date_ordered"] for order in clean)
    found = {row["customer_id"]: row for row in outcome.rows("gold_order_customer_analytics")}
    assert set(found) == set(own)
    for who, orders in own.items():
        row, earning = found[who], [order for order in orders if _earns(order)]
        units: Counter[str] = Counter()
        for order in earning:
            units[order["order_item"]] += order["items_ordered"]
        favourite = min(units, key=lambda item: (-units[item], item)) if units else None
        assert row["favourite_item"] == favourite
        assert (row["orders"], row["revenue"]) == (len(earning), _value(orders))
        assert row["first_order_date"].isoformat() == min(order["date_ordered"] for order in orders)
        last = max(order["date_ordered"] for order in orders)
        assert row["recency_days"] == (datetime.fromisoformat(newest) - datetime.fromisoformat(last)).days
        assert row["revenue_share"] == pytest.approx(float(_value(orders) / _value(clean)))
        assert row["revenue_rank"] == 1 + sum(_value(each) > _value(orders) for each in own.values())


def test_item_sales_are_as_counted_by_hand(outcome: Outcome) -> None:
    items = defaultdict(list)
    for order in outcome.clean():
        items[order["order_item"]].append(order)
    found = {row["order_item"]: row for row in outcome.rows("gold_order_item_sales")}
    assert set(found) == set(items)
    for item, orders in items.items():
        earning = [order for order in orders if _earns(order)]
        sold = sum(order["items_ordered"] for order in earning)
        assert found[item]["revenue"] == _value(orders)
        assert found[item]["customers"] == len({order["customer_id"] for order in earning})
        average = _value(orders) / sold if sold else Decimal(0)
        assert found[item]["average_price"] == average.quantize(Decimal("0.01"), ROUND_HALF_UP)

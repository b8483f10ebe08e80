"""Every table of every pipeline, through the engine, against rows that were worked out by hand."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder
from pyspark.sql import SparkSession

from ecommerce_lakehouse.config import LakehouseConfig, get_config
from ecommerce_lakehouse.governance.audience import PERSONAL_COLUMNS, audience_of
from lakerun.bundles.load import load_bundle
from lakerun.pipelines.results import UpdateResult
from lakerun.pipelines.update import run_update
from lakerun.tables.storage import Storage, TableName
from tests.integration.expected_rows import ARRIVALS, EXPECTED, TIED

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Shop:
    """The lakehouse after the small shop's two days."""

    config: LakehouseConfig
    storage: Storage
    results: list[UpdateResult]

    def rows(self, table: str, columns: str, where: str = "true") -> list[tuple[Any, ...]]:
        """The rows of a table as tuples of plain values, sorted."""
        name = TableName(self.config.catalog, self.config.schema, table)
        reader = QueryBuilder().register("t", DeltaTable(str(self.storage.table_path(name))))
        found = pa.table(reader.execute(f"SELECT {columns} FROM t WHERE {where}").read_all())
        values = zip(*[column.to_pylist() for column in found.columns], strict=True)
        return sorted((tuple(map(_plain, row)) for row in values), key=repr)


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return f"{value.astimezone(UTC):%m-%d %H:%M}"
        case date():
            return f"{value:%m-%d}"
        case Decimal():
            return str(value)
        case _:
            return value


@pytest.fixture(scope="module")
def shop(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Two updates of the main pipeline, then one of each of the others."""
    storage = Storage(tmp_path_factory.mktemp("small") / "lakehouse")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKEHOUSE_HOME", str(storage.home))
        config = get_config("local")
        names = {"catalog": config.catalog, "schema": config.schema, "volume": config.volume}
        pipelines = load_bundle(ROOT, variables={"environment": "local", **names}).pipelines
        _arrive(config, 0)
        results = [run_update(pipelines["medallion_dlt_pipeline"], storage=storage)]
        _arrive(config, 1)
        for name in ("medallion_dlt", "ml_features", "order_analytics", "activation"):
            results.append(run_update(pipelines[f"{name}_pipeline"], storage=storage))
        yield Shop(config, storage, results)


def _arrive(config: LakehouseConfig, number: int) -> None:
    for folder, deliveries in ARRIVALS.items():
        if lines := deliveries[number]:
            text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
            file = Path(config.folder_path(folder)) / f"{number}.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")


def test_every_update_completes(shop: Shop) -> None:
    assert [(result.state, result.error) for result in shop.results] == [("COMPLETED", None)] * 5


@pytest.mark.parametrize("table", EXPECTED)
def test_a_table_has_the_rows_that_were_worked_out_by_hand(shop: Shop, table: str) -> None:
    columns, rows = EXPECTED[table]
    expected = [
        tuple(pytest.approx(value, rel=1e-12) if isinstance(value, float) else value for value in row)
        for row in sorted(rows, key=repr)
    ]
    assert shop.rows(table, columns) == expected


def test_every_table_is_compared(shop: Shop) -> None:
    declared = {item.name.rpartition(".")[2] for result in shop.results for item in result.datasets}
    tables = {name for name in declared if shop.storage.table_path(_named(shop, name)).exists()}
    checks = {name for name in tables if name.startswith("quality_checks_")}
    assert tables - checks == set(EXPECTED)
    for name in checks:
        assert {row[0] for row in shop.rows(name, "verdict")} <= {"passed", "warned"}


def test_no_table_for_readers_has_a_column_of_personal_data(shop: Shop) -> None:
    paths = {table: shop.storage.table_path(_named(shop, table)) for table in EXPECTED}
    found = {
        table: {field.name for field in DeltaTable(str(path)).schema().fields}
        for table, path in paths.items()
    }
    personal = {table for table, columns in found.items() if columns & PERSONAL_COLUMNS}
    assert {table for table in personal if audience_of(table) == "readers"} == set()
    # The names are those of the columns: these tables do have them.
    assert personal >= {"bronze_orders", "silver_customers", "silver_customers_history", "quarantine_orders"}


def test_the_columns_that_the_notebooks_of_customer_io_read_are_there(shop: Shop) -> None:
    read = {}
    for file in sorted((ROOT / "src" / "notebooks" / "customer_io").glob("[0-9]*.py")):
        code = file.read_text(encoding="utf-8")
        for layer, entity in re.findall(r'setup\.people\(\s*spark, \("(\w+)", "(\w+)"\), columns', code):
            (found,) = re.findall(r"^columns = (\(.*?^\)|\".*?\")$", code, re.MULTILINE | re.DOTALL)
            read[file.name, f"{layer}_{entity}"] = {
                part.split()[0] for part in ast.literal_eval(found).split(", ")
            }
    assert {table for _, table in read} == {
        "gold_customer_segments",
        "gold_household_members",
        "gold_order_events",
        "silver_customer_activity",
        "silver_push_devices",
    }
    read["every notebook", "gold_marketing_consents"] = {"customer_id", "channel"}
    for (name, table), columns in read.items():
        path = shop.storage.table_path(_named(shop, table))
        there = {field.name for field in DeltaTable(str(path)).schema().fields}
        assert columns <= there, (name, table)


def test_silver_and_its_history_keep_the_same_of_two_profiles_with_one_time(shop: Shop) -> None:
    columns = "customer_id, country, updated_at, loyalty_points"
    silver = shop.rows("silver_customers", columns)
    assert silver == shop.rows("silver_customers_history", columns, "__END_AT IS NULL")
    assert {row[0] for row in silver} >= set(TIED)


def _named(shop: Shop, table: str) -> TableName:
    return TableName(shop.config.catalog, shop.config.schema, table)

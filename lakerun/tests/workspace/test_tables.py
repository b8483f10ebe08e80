"""Unity Catalog tables: the API's figures are those of the Delta log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, InvalidParameterValue, NotFound
from databricks.sdk.service.catalog import ColumnTypeName, DataSourceFormat, TableType

from lakerun.pipelines.state import FlowProgress, Refreshed, Seen, State
from lakerun.tables.storage import Storage
from workspace.data_server import Workspace, serve, write_orders


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    home = tmp_path_factory.mktemp("tables")
    write_orders(home)
    with serve(home) as running:
        yield running


@pytest.fixture(scope="module")
def client(workspace: Workspace) -> WorkspaceClient:
    return workspace.client()


def test_a_table_shows_its_columns_and_properties(client: WorkspaceClient, workspace: Workspace) -> None:
    table = client.tables.get("shop.sales.orders")
    assert (table.catalog_name, table.schema_name, table.name) == ("shop", "sales", "orders")
    assert table.data_source_format == DataSourceFormat.DELTA
    assert table.table_type == TableType.MANAGED
    assert table.comment == "What was sold"
    assert table.storage_location == (workspace.home / "tables/shop/sales/orders").as_uri()
    assert (table.properties or {})["delta.appendOnly"] == "false"
    assert (table.properties or {})["delta.lastUpdateVersion"] == "0"
    assert table.updated_at is not None
    assert table.created_at is not None
    assert table.updated_at >= table.created_at - 1000 > 1_700_000_000_000
    columns = table.columns or []
    assert [(c.name, c.type_text, c.type_name, c.position) for c in columns] == [
        ("id", "bigint", ColumnTypeName.LONG, 0),
        ("customer", "string", ColumnTypeName.STRING, 1),
        ("total", "decimal(10,2)", ColumnTypeName.DECIMAL, 2),
        ("rate", "double", ColumnTypeName.DOUBLE, 3),
        ("paid", "boolean", ColumnTypeName.BOOLEAN, 4),
        ("day", "date", ColumnTypeName.DATE, 5),
        ("at", "timestamp", ColumnTypeName.TIMESTAMP, 6),
        ("lines", "array<struct<sku:string,quantity:int>>", ColumnTypeName.ARRAY, 7),
        ("tags", "map<string,string>", ColumnTypeName.MAP, 8),
        ("raw", "binary", ColumnTypeName.BINARY, 9),
    ]
    assert (columns[2].type_precision, columns[2].type_scale) == (10, 2)
    assert json.loads(columns[0].type_json or "") == {
        "name": "id",
        "type": "long",
        "nullable": True,
        "metadata": {},
    }


def test_a_partition_column_has_its_index(client: WorkspaceClient) -> None:
    columns = client.tables.get("shop.sales.customers").columns or []
    assert {c.name: c.partition_index for c in columns} == {"name": 0, "age": None}


def test_a_schema_is_listed_page_by_page(client: WorkspaceClient) -> None:
    paged = client.tables.list("shop", "sales", max_results=1)
    assert [table.full_name for table in paged] == ["shop.sales.customers", "shop.sales.orders"]
    bare = next(iter(client.tables.list("shop", "sales", omit_columns=True, omit_properties=True)))
    assert not bare.columns
    assert not bare.properties
    with pytest.raises(InvalidParameterValue, match="max_results"):
        list(client.tables.list("shop", "sales", max_results=-1))


def test_summaries_are_filtered_like_in_sql(client: WorkspaceClient) -> None:
    def names(schema: str | None = None, table: str | None = None) -> list[str | None]:
        found = client.tables.list_summaries(
            "shop", schema_name_pattern=schema, table_name_pattern=table, max_results=1
        )
        return [summary.full_name for summary in found]

    assert names() == ["shop.marts.customers", "shop.sales.customers", "shop.sales.orders"]
    assert names(table="customer_") == ["shop.marts.customers", "shop.sales.customers"]
    assert names("sal%", "%") == ["shop.sales.customers", "shop.sales.orders"]
    assert names("s.l%") == []


def test_a_missing_table_or_schema_is_named_with_the_closest(client: WorkspaceClient) -> None:
    with pytest.raises(NotFound, match=r"closest is 'shop\.sales\.orders'"):
        client.tables.get("shop.sales.order")
    with pytest.raises(NotFound, match=r"Schema 'shop\.sale' does not exist"):
        list(client.tables.list("shop", "sale"))
    with pytest.raises(InvalidParameterValue, match="three parts"):
        client.tables.get("orders")
    assert client.tables.exists("shop.sales.orders").table_exists is True
    assert client.tables.exists("SHOP.Sales.ORDERS").table_exists is True
    assert client.tables.exists("shop.sales.order").table_exists is False


def test_a_table_can_be_dropped_except_during_a_run(tmp_path: Path) -> None:
    write_orders(tmp_path)
    with serve(tmp_path) as workspace:
        client = workspace.client()
        with (
            Storage(tmp_path).exclusive("a run of the tests"),
            pytest.raises(BadRequest, match="a run of the tests"),
        ):
            client.tables.delete("shop.sales.orders")
        assert client.tables.exists("shop.sales.orders").table_exists is True
        client.tables.delete("shop.sales.orders")
        assert client.tables.exists("shop.sales.orders").table_exists is False
        assert not (tmp_path / "tables/shop/sales/orders").exists()
        assert list((tmp_path / "workspace/trash").iterdir()) == []
        with pytest.raises(NotFound):
            client.tables.delete("shop.sales.orders")


def test_a_pipelines_tables_are_streaming_tables_and_materialized_views(tmp_path: Path) -> None:
    write_orders(tmp_path)
    state = State(tmp_path / "pipelines/sales/state.db")
    body = {"origin": {"update_id": "u"}}
    state.record("u", body, flow=("shop.sales.orders", FlowProgress("e", 0, {})))
    state.record("u", body, dataset=("shop.marts.customers", Refreshed("d", {}, Seen("t", 0))))
    with serve(tmp_path) as workspace:  # while the pipeline has its state open
        client = workspace.client()
        kinds = {s.full_name: s.table_type for s in client.tables.list_summaries("shop")}
        assert kinds == {
            "shop.sales.orders": TableType.STREAMING_TABLE,
            "shop.marts.customers": TableType.MATERIALIZED_VIEW,
            "shop.sales.customers": TableType.MANAGED,
        }
        assert client.tables.get("shop.sales.orders").table_type == TableType.STREAMING_TABLE
    state.close()


def test_the_command_line_lists_tables(workspace: Workspace) -> None:
    listed = json.loads(workspace.cli("tables", "list", "shop", "sales", "-o", "json").stdout)
    assert [table["full_name"] for table in listed] == ["shop.sales.customers", "shop.sales.orders"]
    got = json.loads(workspace.cli("tables", "get", "shop.sales.orders", "-o", "json").stdout)
    assert got["comment"] == "What was sold"

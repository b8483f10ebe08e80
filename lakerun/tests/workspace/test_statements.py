"""SQL through the statement API: results computed by hand, in Databricks' format."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue, ResourceDoesNotExist
from databricks.sdk.service.sql import (
    ColumnInfoTypeName,
    Disposition,
    ExecuteStatementRequestOnWaitTimeout,
    StatementParameterListItem,
    StatementResponse,
    StatementState,
)

from lakerun.workspace.services.sql.warehouses import LOCAL_ID
from workspace.data_server import Workspace, serve, write_orders

SLOW = """WITH n AS (SELECT explode(sequence(1L, 200000L)) AS id)
    SELECT count(*) FROM n AS a CROSS JOIN n AS b WHERE sqrt(a.id * b.id) < 0"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    home = tmp_path_factory.mktemp("statements")
    write_orders(home)
    with serve(home) as running:
        yield running


@pytest.fixture(scope="module")
def client(workspace: Workspace) -> WorkspaceClient:
    return workspace.client()


def run(client: WorkspaceClient, statement: str, **options: object) -> StatementResponse:
    return client.statement_execution.execute_statement(statement, LOCAL_ID, **options)  # type: ignore[arg-type]


def rows(client: WorkspaceClient, statement: str, **options: object) -> list[list[str | None]]:
    answer = run(client, statement, **options)
    assert answer.status is not None
    assert answer.status.state == StatementState.SUCCEEDED, answer.status.error
    assert answer.result is not None
    return answer.result.data_array or []  # type: ignore[return-value]


def failure(client: WorkspaceClient, statement: str, **options: object) -> str:
    status = run(client, statement, **options).status
    assert status is not None
    assert status.state == StatementState.FAILED
    assert status.error is not None
    return f"{status.error.error_code} {status.sql_state} {status.error.message}"


def value_of(name: str, value: str | None, type: str | None = None) -> StatementParameterListItem:
    return StatementParameterListItem(name=name, value=value, type=type)


def test_every_type_is_written_as_databricks_writes_it(client: WorkspaceClient) -> None:
    answer = run(client, "SELECT * FROM shop.sales.orders ORDER BY id")
    assert answer.result is not None
    assert answer.manifest is not None
    assert answer.manifest.schema is not None
    assert answer.result.data_array == [
        [
            "1",
            "anna",
            "12.50",
            "0.1",
            "true",
            "2024-03-01",
            "2024-03-01T12:30:00.123Z",
            '[{"sku":"a-1","quantity":"2"}]',
            '{"gift":"yes"}',
            "AP8=",
        ],
        ["2", "ben", "0.75", "1.0E10", "false", "2024-03-02", "2024-03-02T00:00:00.000Z", "[]", None, ""],
        ["3", None, None, "NaN", None, None, None, None, "{}", None],
    ]
    columns = answer.manifest.schema.columns or []
    assert [(c.name, c.type_text, c.position) for c in columns] == [
        ("id", "BIGINT", 0),
        ("customer", "STRING", 1),
        ("total", "DECIMAL(10,2)", 2),
        ("rate", "DOUBLE", 3),
        ("paid", "BOOLEAN", 4),
        ("day", "DATE", 5),
        ("at", "TIMESTAMP", 6),
        ("lines", "ARRAY<STRUCT<sku: STRING, quantity: INT>>", 7),
        ("tags", "MAP<STRING, STRING>", 8),
        ("raw", "BINARY", 9),
    ]
    assert columns[2].type_name == ColumnInfoTypeName.DECIMAL
    assert (columns[2].type_precision, columns[2].type_scale) == (10, 2)
    assert answer.manifest.total_row_count == 3
    assert answer.manifest.truncated is False


def test_sums_counts_and_joins(client: WorkspaceClient) -> None:
    # 12.50 + 0.75 = 13.25; anna is 30 and paid, ben is 41 and did not.
    assert rows(client, "SELECT sum(total), count(*), count(total) FROM shop.sales.orders") == [
        ["13.25", "3", "2"]
    ]
    joined = """SELECT c.name, c.age, o.total FROM sales.orders o
                JOIN sales.customers c ON c.name = o.customer WHERE o.paid"""
    assert rows(client, joined) == [["anna", "30", "12.50"]]


def test_the_calls_catalog_and_schema_resolve_a_short_name(client: WorkspaceClient) -> None:
    count = "SELECT count(*) FROM customers"
    assert rows(client, count, catalog="shop", schema="sales") == [["2"]]
    assert rows(client, count, catalog="shop", schema="marts") == [["1"]]
    assert "ambiguous" in failure(client, count)


def test_parameters_have_types_and_are_never_sql(client: WorkspaceClient) -> None:
    given = [
        value_of("least", "1", "DECIMAL(10,2)"),
        value_of("since", "2024-03-01", "DATE"),
        value_of("none", None, "INT"),
    ]
    sql = "SELECT id, :none FROM shop.sales.orders WHERE total > :least AND day >= :since"
    assert rows(client, sql, parameters=given) == [["1", None]]
    evil = [value_of("name", "x' OR '1'='1")]
    assert rows(client, "SELECT id FROM shop.sales.orders WHERE customer = :name", parameters=evil) == []
    assert rows(client, "SELECT :name", parameters=evil) == [["x' OR '1'='1"]]
    limited = "SELECT id FROM shop.sales.orders ORDER BY id DESC LIMIT :n"
    assert rows(client, limited, parameters=[value_of("n", "2", "INT")]) == [["3"], ["2"]]
    table = [value_of("table", "shop.sales.customers")]
    assert rows(client, "SELECT count(*) FROM IDENTIFIER(:table)", parameters=table) == [["2"]]
    assert "42P02" in failure(client, "SELECT :naem", parameters=evil)
    assert "Given: name" in failure(client, "SELECT :naem", parameters=evil)
    assert "is not an SQL type" in failure(client, "SELECT :n", parameters=[value_of("n", "2", "NUMBERS")])
    assert "CAST_INVALID_INPUT" in failure(client, "SELECT :n", parameters=[value_of("n", "two", "INT")])


def test_results_cut_by_a_limit_are_marked_as_truncated(client: WorkspaceClient) -> None:
    answer = run(client, "SELECT id FROM shop.sales.orders ORDER BY id", row_limit=2)
    assert answer.manifest is not None
    assert answer.result is not None
    assert (answer.manifest.truncated, answer.result.data_array) == (True, [["1"], ["2"]])
    exact = run(client, "SELECT id FROM shop.sales.orders ORDER BY id", row_limit=3).manifest
    assert exact is not None
    assert (exact.truncated, exact.total_row_count) == (False, 3)
    short = run(
        client, "SELECT repeat('x', 100) FROM (SELECT explode(sequence(1, 50)))", byte_limit=1000
    ).manifest
    assert short is not None
    assert short.truncated is True
    assert short.total_row_count is not None
    assert 5 <= short.total_row_count <= 10


def test_a_large_result_comes_in_chunks_and_a_too_large_one_fails(client: WorkspaceClient) -> None:
    answer = run(client, "SELECT id, repeat('x', 1000) FROM (SELECT explode(sequence(0, 9999)) AS id)")
    assert answer.manifest is not None
    assert answer.result is not None
    assert answer.statement_id is not None
    assert (answer.manifest.total_chunk_count or 0) > 1
    ids = [int(row[0]) for row in answer.result.data_array or []]
    following = answer.result.next_chunk_index
    while following is not None:
        chunk = client.statement_execution.get_statement_result_chunk_n(answer.statement_id, following)
        assert chunk.row_offset == len(ids)
        ids += [int(row[0]) for row in chunk.data_array or []]
        following = chunk.next_chunk_index
    assert ids == list(range(10_000))
    assert "26214400 bytes" in failure(
        client, "SELECT repeat('x', 1000) FROM (SELECT explode(sequence(1, 30000)))"
    )
    with pytest.raises(InvalidParameterValue, match="chunk_index"):
        client.statement_execution.get_statement_result_chunk_n(answer.statement_id, 99)


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("SELECT * FROM shop.sales.order", "BAD_REQUEST 42P01 [TABLE_OR_VIEW_NOT_FOUND]"),
        ("SELECT * FROM shop.sales.order", "Did you mean 'shop.sales.orders'"),
        ("SELECT totl FROM shop.sales.orders", "42703 [UNRESOLVED_COLUMN"),
        ("SELECT totl FROM shop.sales.orders", "Did you mean 'total'"),
        ("SELEC 1", "42601 [PARSE_SYNTAX_ERROR]"),
        ("SELECT 1 / 0", "22012 [DIVIDE_BY_ZERO]"),
        ("SELECT CAST('division by zero' AS INT)", "22018 [CAST_INVALID_INPUT]"),
        ("SELECT java_method('a', 'b')", "42883 [UNRESOLVED_ROUTINE] The function 'java_method'"),
        ("DELETE FROM shop.sales.orders", "DELETE is refused"),
        ("INSERT INTO shop.sales.customers VALUES ('x', 1)", "with a pipeline or a job"),
        ("DROP TABLE shop.sales.orders", "DROP is refused"),
        ("SELECT 1; SELECT 2", "one SQL statement"),
        ("SELECT * FROM read_csv('/etc/passwd')", "not available here"),
        ("SELECT current_schema()", "not available here"),
    ],
)
def test_a_failed_statement_has_the_reason(client: WorkspaceClient, statement: str, error: str) -> None:
    assert error in failure(client, statement)


def test_names_can_be_listed_and_described(client: WorkspaceClient) -> None:
    assert rows(client, "SHOW CATALOGS") == [["shop"]]
    assert rows(client, "SHOW SCHEMAS IN shop") == [["marts"], ["sales"]]
    assert rows(client, "SHOW TABLES IN shop.sales") == [
        ["shop", "sales", "customers"],
        ["shop", "sales", "orders"],
    ]
    assert rows(client, "DESCRIBE shop.sales.customers") == [["name", "string", ""], ["age", "int", ""]]
    detailed = rows(client, "DESCRIBE TABLE EXTENDED shop.sales.orders")
    assert ["Comment", "What was sold", ""] in detailed
    assert ["Table Properties", "[delta.appendOnly=false]", ""] in detailed
    versions = rows(client, "DESCRIBE HISTORY shop.sales.orders")
    assert [row[0] for row in versions] == ["0"]
    assert rows(client, "SELECT current_catalog(), current_schema()", catalog="shop", schema="marts") == [
        ["shop", "marts"]
    ]


def test_a_slow_statement_runs_until_it_is_canceled(client: WorkspaceClient) -> None:
    started = time.monotonic()
    answer = run(client, SLOW, wait_timeout="0s")
    assert time.monotonic() - started < 2
    assert answer.status is not None
    assert answer.statement_id is not None
    assert answer.status.state in (StatementState.PENDING, StatementState.RUNNING)
    client.statement_execution.cancel_execution(answer.statement_id)
    canceled = client.statement_execution.get_statement(answer.statement_id)
    assert canceled.status is not None
    assert canceled.status.state == StatementState.CANCELED
    assert canceled.result is None


def test_a_canceled_statement_frees_its_thread(client: WorkspaceClient, workspace: Workspace) -> None:
    slow = [run(client, SLOW, wait_timeout="0s").statement_id or "" for _ in range(6)]  # more than threads
    for id in slow:
        client.statement_execution.cancel_execution(id)
    assert rows(client, "SELECT 1") == [["1"]]


def test_waiting_may_end_in_cancellation(client: WorkspaceClient) -> None:
    cancel = ExecuteStatementRequestOnWaitTimeout.CANCEL
    answer = run(client, SLOW, wait_timeout="5s", on_wait_timeout=cancel)
    assert answer.status is not None
    assert answer.status.state == StatementState.CANCELED


def test_a_call_that_cannot_be_served_is_refused(client: WorkspaceClient) -> None:
    with pytest.raises(ResourceDoesNotExist, match="SQL warehouse nowhere"):
        client.statement_execution.execute_statement("SELECT 1", "nowhere")
    with pytest.raises(ResourceDoesNotExist, match="Statement unknown"):
        client.statement_execution.get_statement("unknown")
    with pytest.raises(InvalidParameterValue, match="EXTERNAL_LINKS"):
        run(client, "SELECT 1", disposition=Disposition.EXTERNAL_LINKS)
    with pytest.raises(InvalidParameterValue, match="wait_timeout"):
        run(client, "SELECT 1", wait_timeout="3s")
    with pytest.raises(InvalidParameterValue, match="row_limit"):
        run(client, "SELECT 1", row_limit=0)


def test_a_statement_starts_a_stopped_warehouse(client: WorkspaceClient) -> None:
    id = client.warehouses.create(name="idle", cluster_size="Small").result().id or ""
    client.warehouses.stop(id).result()
    client.statement_execution.execute_statement("SELECT 1", id)
    assert str(client.warehouses.get(id).state) == "State.RUNNING"


def test_the_command_line_posts_a_statement(workspace: Workspace, tmp_path: Path) -> None:
    body = {"warehouse_id": LOCAL_ID, "statement": "SELECT sum(total) FROM shop.sales.orders"}
    answer = workspace.cli("api", "post", "/api/2.0/sql/statements", "--json", json.dumps(body))
    assert json.loads(answer.stdout)["result"]["data_array"] == [["13.25"]]

"""Databricks SQL without Spark: answers, errors, and what it must not access."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from lakerun.errors import LakerunError, UnknownNameError
from lakerun.sql.errors import SqlError
from lakerun.sql.query import query
from lakerun.tables.arrow_rows import rows_of
from lakerun.tables.delta_table import Table, type_name
from lakerun.tables.storage import Storage, TableName
from unit import cli_data


def rows(sql: str, storage: Storage, **options: Any) -> list[tuple[Any, ...]]:
    return rows_of(query(sql, storage, **options))


# Names ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "silver_orders",
        "sales.silver_orders",
        "main_dev.sales.silver_orders",
        "Silver_Orders",
        "`silver_orders`",
    ],
)
def test_a_table_is_found_by_one_two_or_three_parts_in_any_case(storage: Storage, name: str) -> None:
    assert rows(f"SELECT count(*) FROM {name}", storage) == [(4,)]


def test_an_ambiguous_short_name_means_the_default_schemas_table(storage: Storage) -> None:
    path = storage.table_path(TableName("prod", "sales", "silver_orders"))
    write_deltalake(str(path), pa.table({"order_id": ["p1"]}))
    assert rows("SELECT order_id FROM silver_orders", storage, catalog="prod", schema="sales") == [("p1",)]
    with pytest.raises(LakerunError, match=r"ambiguous: main_dev.*, prod"):
        query("SELECT 1 FROM silver_orders", storage)


def test_a_name_of_four_parts_is_refused(storage: Storage) -> None:
    with pytest.raises(LakerunError, match="4 parts"):
        storage.find_table("a.b.c.d")


def test_a_with_query_may_have_the_name_of_the_table_that_it_reads(storage: Storage) -> None:
    sql = """
        WITH silver_orders AS (SELECT order_id FROM silver_orders WHERE quantity > 1)
        SELECT count(*) FROM silver_orders a JOIN silver_orders b USING (order_id)
    """
    assert rows(sql, storage) == [(3,)]


def test_columns_may_be_qualified_by_schema_and_table(storage: Storage) -> None:
    sql = "SELECT sales.silver_orders.price FROM main_dev.sales.silver_orders WHERE order_id = 'o1'"
    assert rows(sql, storage) == [(Decimal("10.50"),)]


def test_unnamed_columns_are_named_after_their_expressions(storage: Storage) -> None:
    found = query("SELECT count(*), max(price), order_id AS id FROM silver_orders GROUP BY order_id", storage)
    assert found.column_names == ["count(*)", "max(price)", "id"]


# Which columns are read ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT sum(quantity) FROM silver_orders WHERE customer_id = 'c1'", [(3,)]),
        ("SELECT count(*) FROM silver_orders", [(4,)]),
        ("SELECT count_if(price > 0), count(*) FROM silver_orders WHERE price < 0", [(0, 0)]),
        (
            "SELECT max_by(x, y), min_by(x, y), max_by(x, y) FILTER (WHERE y < 3) "
            "FROM VALUES (1, 1), (2, 2), (NULL, 3), (9, NULL) AS t(x, y)",
            [(None, 1, 2)],
        ),
        ("SELECT count(1) FROM (SELECT * FROM silver_orders WHERE price > 9)", [(2,)]),
        ("SELECT max(PRICE) FROM silver_orders", [(Decimal("99.99"),)]),
        ("SELECT o.ship.city FROM silver_orders o WHERE o.quantity = 4", [("Oslo",)]),
        ("SELECT order_id FROM silver_orders ORDER BY price DESC LIMIT 1", [("o2",)]),
        # Every column that both have must be equal; the second order of `changed` has another price.
        ("SELECT a.order_id FROM silver_orders a NATURAL JOIN changed b", [("o1",)]),
        (
            "SELECT a.order_id FROM silver_orders a JOIN silver_orders b USING (price) WHERE b.quantity = 1",
            [("o2",)],
        ),
        ("SELECT n FROM (SELECT count(*) AS n FROM silver_orders GROUP BY order_date)", [(4,)]),
        (
            "SELECT order_id FROM silver_orders WHERE price = (SELECT min(price) FROM silver_orders)",
            [("o3",)],
        ),
    ],
)
def test_reading_only_the_columns_that_are_mentioned_changes_no_answer(
    storage: Storage, sql: str, expected: list[tuple[Any, ...]]
) -> None:
    prices = pa.array([Decimal("10.50"), Decimal("1.00")], pa.decimal128(10, 2))
    cli_data.table(storage, "changed", pa.table({"order_id": ["o1", "o2"], "price": prices}))
    assert rows(sql, storage) == expected


def test_only_mentioned_columns_are_read(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    scan = Table.scan

    def watched(table: Table, columns: list[str]) -> Any:
        asked.append(list(columns))
        return scan(table, columns)

    monkeypatch.setattr(Table, "scan", watched)
    query("SELECT count(*) FROM silver_orders", storage)
    query("SELECT price * quantity AS total FROM silver_orders WHERE ship.city = 'Lyon'", storage)
    query("SELECT * FROM silver_orders", storage)
    assert asked == [[], ["price", "quantity", "ship"], cli_data.orders().column_names]


def test_a_limit_returns_the_first_rows_only(storage: Storage) -> None:
    assert rows("SELECT order_id FROM silver_orders ORDER BY order_id", storage, limit=2) == [
        ("o1",),
        ("o2",),
    ]
    assert rows("SELECT order_id FROM silver_orders", storage, limit=0) == []


# Databricks' functions -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # Databricks counts whole minutes that have passed, not the minute marks between.
        ("timestampdiff(MINUTE, timestamp'2024-01-01 10:00:30', timestamp'2024-01-01 10:02:10')", 1),
        ("timestampdiff(HOUR, timestamp'2024-01-01 10:00:00', timestamp'2024-01-01 08:30:00')", -1),
        ("timestampdiff(MONTH, timestamp'2024-01-31', timestamp'2024-02-29')", 0),
        ("timestampdiff(MONTH, timestamp'2024-03-31', timestamp'2024-02-29')", -1),
        ("timestampdiff(YEAR, timestamp'2023-03-01', timestamp'2024-02-29')", 0),
        ("timestampdiff(QUARTER, timestamp'2023-01-01', timestamp'2024-02-29')", 4),
        ("datediff(timestamp'2024-01-02 00:00:01', timestamp'2024-01-01 23:59:59')", 1),
        ("datediff(DAY, date'2024-01-01', date'2024-01-31')", 30),
        ("dayofweek(date'2024-03-03')", 1),  # a Sunday
        ("weekday(date'2024-03-03')", 6),
        ("date_format(timestamp'2024-03-03 07:05:00', 'yyyy-MM-dd HH:mm')", "2024-03-03 07:05"),
        ("date_trunc('MM', timestamp'2024-03-15 10:00:00')", datetime(2024, 3, 1, tzinfo=UTC)),
        ("unix_timestamp(timestamp'1970-01-02 00:00:00')", 86400),
        ("cast('2024-03-01 12:00:00' AS timestamp)", datetime(2024, 3, 1, 12, tzinfo=UTC)),
        ("7 / 2", 3.5),
        ("7 div 2", 3),
        ("pmod(-7, 3)", 2),
        ("try_divide(1, 0)", None),
        ("array(10, 20)[0]", 10),
        ("element_at(array(10, 20), 1)", 10),
        ("exists(array(1, 2), x -> x > 1)", True),
        ("size(array(1, 2))", 2),
        ("regexp_replace('ab', '(a)(b)', '$2$1')", "ba"),
        ('get_json_object(\'{"a": {"b": "x"}}\', \'$.a.b\')', "x"),
        ("get_json_object('{\"a\": {\"b\": 1}}', '$.a')", '{"b":1}'),
        ("get_json_object('{\"a\": null}', '$.a')", None),
        ("get_json_object('{\"a\": tru', '$.a')", None),
        ('get_json_object(\'{"a": [{"b": 1}, {"b": 2}]}\', \'$.a[*].b\')', "[1,2]"),
        ('from_json(\'{"a": 1, "b": "x"}\', \'a int, b string\').b', "x"),
        ('from_json(\'[{"n": 1}, {"n": "no"}]\', \'array<struct<n bigint>>\')[1].n', None),
        (
            "from_json('{\"t\": \"2024-03-01T12:00:00Z\"}', 't timestamp').t",
            datetime(2024, 3, 1, 12, tzinfo=UTC),
        ),
        ("from_json('broken', 'a int').a", None),
        ("if(isnull(NULL), nvl(NULL, 'n'), 'x')", "n"),
        ("sum(2) FILTER (WHERE true)", 2),
    ],
)
def test_a_databricks_function_answers_as_on_databricks(
    storage: Storage, expression: str, expected: object
) -> None:
    assert rows(f"SELECT {expression} AS answer", storage) == [(expected,)]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (
            "SELECT order_id, explode(tags) AS tag FROM silver_orders",
            {("o1", "new"), ("o1", "gift"), ("o4", "new")},
        ),
        (
            "SELECT order_id, tag FROM silver_orders LATERAL VIEW explode(tags) t AS tag",
            {("o1", "new"), ("o1", "gift"), ("o4", "new")},
        ),
        (
            "SELECT order_id, tag FROM silver_orders LATERAL VIEW OUTER explode(tags) t AS tag",
            {("o1", "new"), ("o1", "gift"), ("o2", None), ("o3", None), ("o4", "new")},
        ),
        (
            "SELECT order_id, explode_outer(tags) AS tag FROM silver_orders",
            {("o1", "new"), ("o1", "gift"), ("o2", None), ("o3", None), ("o4", "new")},
        ),
        (
            "SELECT order_id, p, tag FROM silver_orders LATERAL VIEW posexplode(tags) t AS p, tag",
            {("o1", 0, "new"), ("o1", 1, "gift"), ("o4", 0, "new")},
        ),
    ],
)
def test_lists_are_exploded_as_in_spark(storage: Storage, sql: str, expected: set[tuple[Any, ...]]) -> None:
    found = rows(sql, storage)
    assert set(found) == expected
    assert len(found) == len(expected)


def test_the_colon_reads_json_text(storage: Storage) -> None:
    sql = """
        SELECT details:flow_progress.metrics.num_output_rows::int AS n, details:flow_progress.status
        FROM event_log_orders_pipeline WHERE details:flow_progress.metrics IS NOT NULL ORDER BY n
    """
    assert rows(sql, storage) == [(45, "RUNNING"), (90, "RUNNING")]


def test_a_division_by_zero_is_an_error_as_in_spark(storage: Storage) -> None:
    with pytest.raises(SqlError, match="division by zero; use try_divide"):
        query("SELECT price / (quantity - 2) FROM silver_orders", storage)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT soundex2('a')",
        "SELECT inline(tags) FROM silver_orders",
        "SELECT tags[quantity > 1] FROM silver_orders",
    ],
)
def test_constructs_that_may_differ_from_spark_are_refused(storage: Storage, sql: str) -> None:
    with pytest.raises(SqlError, match=r"not available here.*lakerun sql --spark"):
        query(sql, storage)


def test_a_sum_of_whole_numbers_is_a_bigint(storage: Storage) -> None:
    found = query("SELECT sum(quantity) AS q, sum(price) AS p FROM silver_orders", storage)
    assert found.schema.field("q").type == pa.int64()
    assert rows_of(found) == [(17, Decimal("122.74"))]


def test_timestamps_are_returned_in_utc(storage: Storage) -> None:
    assert rows("SELECT min(order_timestamp) FROM silver_orders", storage) == [(cli_data.START,)]


# SHOW, DESCRIBE, versions ----------------------------------------------------------------------------


def test_show_tables_lists_a_schema(storage: Storage) -> None:
    names = ["event_log_orders_pipeline", "silver_orders"]
    assert rows("SHOW TABLES", storage) == [("main_dev", "sales", name) for name in names]
    assert rows("show tables in sales", storage) == rows("SHOW TABLES IN main_dev.sales", storage)
    assert rows("SHOW TABLES IN elsewhere", storage) == []


def test_describe_gives_types_as_databricks_writes_them(storage: Storage) -> None:
    types = {name: kind for name, kind, _ in rows("DESCRIBE TABLE silver_orders", storage)}
    assert types["price"] == "decimal(10,2)"
    assert types["quantity"] == "int"
    assert types["raw_line"] == "binary"
    assert types["tags"] == "array<string>"
    assert types["ship"] == "struct<city:string>"
    assert type_name({"type": "map", "keyType": "string", "valueType": "long"}) == "map<string,bigint>"


def test_an_earlier_version_can_be_read(storage: Storage) -> None:
    cli_data.table(storage, "silver_orders", cli_data.orders(), mode="append")
    assert rows("SELECT count(*) FROM silver_orders", storage) == [(8,)]
    assert rows("SELECT count(*) FROM silver_orders VERSION AS OF 0", storage) == [(4,)]
    assert [row[0] for row in rows("DESCRIBE HISTORY silver_orders", storage)] == [1, 0]
    with pytest.raises(LakerunError, match="has no version 7; the newest is 1"):
        query("SELECT 1 FROM silver_orders VERSION AS OF 7", storage)
    with pytest.raises(SqlError, match="'soon' is not a time"):
        query("SELECT 1 FROM silver_orders TIMESTAMP AS OF 'soon'", storage)


# Errors ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT a FROM\n WHERE x = 1", "SQL syntax, line 2, column 2 near 'WHERE': Expected table name."),
        ("SELECT 'open", "Is a quote not closed?"),
        ("", "There is no SQL statement."),
        ("SELECT 1; SELECT 2", "Give one SQL statement; this has 2."),
        ("SELECT quantity FROM silver_orders GROUP BY price", '"quantity" must appear in the GROUP BY'),
        ("SELECT cast(order_id AS int) FROM silver_orders", "Could not convert string 'o1' to INT32"),
        ("SELECT from_json('{}', 'a int, b')", "'a int, b' is not a schema"),
        ("SELECT from_json('{}', 'what is this')", "'what is this' is not a schema"),
    ],
)
def test_a_wrong_statement_is_one_line(storage: Storage, sql: str, message: str) -> None:
    with pytest.raises(SqlError) as caught:
        query(sql, storage)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_table_names_the_closest_and_its_place(storage: Storage) -> None:
    with pytest.raises(SqlError) as caught:
        query("SELECT *\nFROM silver_ordrs", storage)
    expected = "Unknown table 'silver_ordrs'. Did you mean 'silver_orders'? Valid: silver_orders, "
    assert str(caught.value).startswith(expected)
    assert str(caught.value).endswith("(line 2, column 6)")


@pytest.mark.parametrize(
    "sql", ["SELECT 1, prize FROM silver_orders", "SELECT 1, o.prize FROM silver_orders o"]
)
def test_an_unknown_column_names_the_closest_and_its_place(storage: Storage, sql: str) -> None:
    with pytest.raises(SqlError) as caught:
        query(sql, storage)
    assert str(caught.value).startswith("Unknown column 'prize'. Did you mean 'price'? Valid: price, ")
    assert str(caught.value).endswith(f"(line 1, column {sql.index('prize') + 1})")


# What a statement must not do -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO silver_orders SELECT * FROM silver_orders",
        "DELETE FROM silver_orders",
        "UPDATE silver_orders SET price = 0",
        "DROP TABLE silver_orders",
        "CREATE TABLE copied AS SELECT 1",
        "COPY (SELECT 1) TO '/tmp/out.csv'",
        "COPY INTO silver_orders FROM '/tmp'",
        "ATTACH '/tmp/other.db'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "OPTIMIZE silver_orders",
        "PRAGMA version",
        "EXPLAIN SELECT 1",
        "WITH gone AS (DELETE FROM silver_orders) SELECT 1",
    ],
)
def test_only_reading_is_possible(storage: Storage, sql: str) -> None:
    before = Table.named(storage, TableName(cli_data.CATALOG, cli_data.SCHEMA, "silver_orders")).figures()
    with pytest.raises(SqlError):
        query(sql, storage)
    after = Table.named(storage, TableName(cli_data.CATALOG, cli_data.SCHEMA, "silver_orders")).figures()
    assert after == before


@pytest.mark.parametrize(
    "source",
    [
        "read_csv('{file}')",
        "read_text('{file}')",
        "read_files('{file}')",
        "glob('{file}')",
        "'{file}'",
        "`{file}`",
        "csv.`{file}`",
        "delta.`{file}`",
        "duckdb_settings()",
        "information_schema.tables",
    ],
)
def test_nothing_outside_the_lakehouse_can_be_read(storage: Storage, tmp_path: Path, source: str) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("name\nhidden\n", encoding="utf-8")
    with pytest.raises(LakerunError) as caught:
        query(f"SELECT * FROM {source.format(file=secret)}", storage)
    assert "hidden" not in str(caught.value)


def test_the_engine_below_has_no_access_to_files_either(tmp_path: Path) -> None:
    import duckdb

    from lakerun.sql.query import _duckdb

    secret = tmp_path / "secret.csv"
    secret.write_text("name\nhidden\n", encoding="utf-8")
    local_variable = pa.table({"name": ["hidden"]})
    with _duckdb() as connection:
        for sql in (
            f"SELECT * FROM read_csv('{secret}')",
            f"COPY (SELECT 1) TO '{tmp_path / 'out.csv'}'",
            "SET enable_external_access = true",
            "SELECT * FROM local_variable",
        ):
            with pytest.raises(duckdb.Error):
                connection.sql(sql).fetchall()
    assert local_variable.num_rows == 1
    assert not (tmp_path / "out.csv").exists()


# Table figures --------------------------------------------------------------------------------------


def test_a_tables_figures_come_from_its_log(storage: Storage) -> None:
    name = TableName(cli_data.CATALOG, cli_data.SCHEMA, "silver_orders")
    path = cli_data.table(storage, "silver_orders", cli_data.orders(), mode="append")
    DeltaTable(path).delete("order_id = 'o1'")
    info = Table.named(storage, name).figures()
    assert (info.rows, info.version, info.comment) == (6, 2, "Valid orders")
    live = {path / file for file in DeltaTable(path).file_uris()}
    assert info.size_bytes == sum(file.stat().st_size for file in live)


def test_an_empty_table_has_no_rows(storage: Storage) -> None:
    cli_data.table(storage, "gold_empty", cli_data.orders().slice(0, 0))
    name = TableName(cli_data.CATALOG, cli_data.SCHEMA, "gold_empty")
    assert Table.named(storage, name).figures().rows == 0
    assert rows("SELECT * FROM gold_empty", storage) == []


def test_a_table_is_read_with_columns_in_the_order_asked_for(storage: Storage) -> None:
    name = TableName(cli_data.CATALOG, cli_data.SCHEMA, "silver_orders")
    found = Table.named(storage, name).read(["Quantity", "order_id"], limit=1)
    assert found.column_names == ["quantity", "order_id"]
    assert found.num_rows == 1
    with pytest.raises(UnknownNameError, match="Did you mean 'price'"):
        Table.named(storage, name).read(["prise"])


def test_a_folder_that_is_not_a_delta_table_is_a_one_line_error(storage: Storage) -> None:
    name = TableName("a", "b", "broken")
    (storage.table_path(name) / "_delta_log").mkdir(parents=True)
    with pytest.raises(LakerunError, match=r"a\.b\.broken cannot be read") as caught:
        _ = Table.named(storage, name).delta
    assert "\n" not in str(caught.value)


def test_a_query_needs_neither_spark_nor_pandas(storage: Storage) -> None:
    code = f"""
import sys
from pathlib import Path
from lakerun.sql.query import query
from lakerun.tables.storage import Storage
from lakerun.tables.arrow_rows import rows_of
from lakerun.tables.delta_table import Table
storage = Storage(Path({str(storage.home)!r}))
assert len(rows_of(query("SELECT * FROM silver_orders ORDER BY price", storage))) == 4
assert rows_of(query("DESCRIBE HISTORY silver_orders", storage))[0][0] == 0
assert [Table.named(storage, name).figures().rows for name in storage.tables()] == [10, 4]
print(sorted(set(sys.modules) & {{"pyspark", "pandas", "py4j"}}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""`lakerun show`, `sql` and `events` on small tables."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from lakerun.tables.storage import Storage
from unit import cli_data
from unit.command_line import lakerun

# show -----------------------------------------------------------------------------------------------


def test_show_prints_readable_rows(storage: Storage) -> None:
    text = lakerun("show", "silver_orders").stdout
    assert "2024-03-02 12:59:59" in text
    assert "caf\\xe9" in text  # bytes that are not UTF-8
    assert '["new", "gift"]' in text
    assert text.rstrip().endswith("4 rows")


def test_show_limits_rows_and_columns(storage: Storage) -> None:
    assert lakerun.json("show", "silver_orders", "-n", "1", "-c", "price, order_id") == [
        {"price": 10.5, "order_id": "o1"}
    ]
    text = lakerun("show", "silver_orders", "-n", "3").stdout
    assert "3 rows, and there are more (--limit)" in text


def test_show_as_json_keeps_every_type(storage: Storage) -> None:
    first, second, _, last = lakerun.json("show", "silver_orders")
    assert first == {
        "order_id": "o1",
        "customer_id": "c1",
        "price": 10.5,
        "quantity": 2,
        "order_timestamp": "2024-03-01T12:00:00Z",
        "order_date": "2024-03-01",
        "raw_line": '{"a": 1}',
        "tags": ["new", "gift"],
        "ship": {"city": "Lyon"},
    }
    assert second["ship"] == {"city": None}
    assert (last["customer_id"], last["order_timestamp"], last["raw_line"]) == (None, None, None)


def test_show_schema_and_history(storage: Storage) -> None:
    schema = {column["name"]: column["type"] for column in lakerun.json("show", "silver_orders", "--schema")}
    assert schema["price"] == "decimal(10,2)"
    cli_data.table(storage, "silver_orders", cli_data.orders(), mode="append")
    versions = lakerun.json("show", "silver_orders", "--history")
    assert [(v["version"], v["operation"]) for v in versions] == [(1, "WRITE"), (0, "WRITE")]
    assert "num_added_rows 4" in lakerun("show", "silver_orders", "--history").stdout


def test_an_unknown_table_or_column_names_the_closest(storage: Storage) -> None:
    assert lakerun.error(2, "show", "silver_ordrs").startswith(
        "Unknown table 'silver_ordrs'. Did you mean 'silver_orders'?"
    )
    assert "Did you mean 'price'?" in lakerun.error(2, "show", "silver_orders", "-c", "prize")


def test_control_characters_in_raw_input_do_not_reach_the_terminal(storage: Storage) -> None:
    cli_data.table(storage, "bronze_raw", pa.table({"raw_line": [b"\x1b[31mred\x07", b"[bold]x[/bold]"]}))
    text = lakerun("show", "bronze_raw").stdout
    assert "\x1b" not in text
    assert "\\x1b[31mred\\x07" in text
    assert "[bold]x[/bold]" in text


# sql ------------------------------------------------------------------------------------------------

COUNT = "SELECT customer_id, count(*) AS orders FROM silver_orders GROUP BY 1 ORDER BY 2 DESC, 1"


def test_sql_prints_a_table_json_or_csv(storage: Storage) -> None:
    assert lakerun.json("sql", COUNT)[0] == {"customer_id": "c1", "orders": 2}
    csv = lakerun("sql", COUNT, "--format", "csv").stdout
    assert csv.splitlines() == ["customer_id,orders", "c1,2", ",1", "c2,1"]
    assert lakerun("sql", COUNT).stdout.split("\n")[2].split() == ["c1", "2"]


def test_sql_reads_a_file_or_stdin(storage: Storage, tmp_path: Path) -> None:
    file = tmp_path / "count.sql"
    file.write_text(COUNT, encoding="utf-8")
    expected = lakerun("sql", COUNT).stdout
    assert lakerun("sql", "-f", str(file)).stdout == expected
    assert lakerun("sql", "-", input=COUNT).stdout == expected


def test_sql_without_a_limit_prints_a_hundred_rows_but_all_as_json_or_csv(storage: Storage) -> None:
    cli_data.table(storage, "many", pa.table({"n": list(range(101))}))
    assert "100 rows, and there are more" in lakerun("sql", "SELECT n FROM many").stdout
    assert len(lakerun.json("sql", "SELECT n FROM many")) == 101
    assert len(lakerun.json("sql", "SELECT n FROM many", "--limit", "7")) == 7


def test_columns_of_the_same_name_are_all_in_the_json(storage: Storage) -> None:
    assert lakerun.json("sql", "SELECT 1 AS a, 2 AS a") == [[1, 2]]


def test_sql_errors_are_one_line_with_their_place(storage: Storage) -> None:
    assert lakerun.error(2, "sql", "SELECT FROM WHERE").startswith("SQL syntax, line 1, column")
    assert lakerun.error(2, "sql", "DROP TABLE silver_orders").startswith("DROP is refused")
    assert lakerun.error(2, "sql", "SELECT 1 FROM silver_ordrs").endswith("(line 1, column 15)")


# events ---------------------------------------------------------------------------------------------


def messages(*options: str) -> list[str]:
    return [row["message"] for row in lakerun.json("events", "orders_pipeline", *options)]


def test_events_are_sorted_newest_last(storage: Storage, project: Path) -> None:
    assert messages("--limit", "2") == ["Flow 'silver_orders' has FAILED.", "event 1030"]
    assert len(messages()) == 10
    text = lakerun("events", "orders_pipeline").stdout
    assert text.index("event 20") < text.index("event 1030")


def test_events_are_filtered_by_level_type_and_update(storage: Storage, project: Path) -> None:
    assert messages("--level", "warn") == ["Flow 'silver_orders' has FAILED.", "event 1030"]
    assert messages("--type", "create_update") == ["event 0", "event 1000"]
    assert messages("--update", "latest", "--type", "create_update") == ["event 1000"]
    assert messages("--update", "u1", "--type", "flow_progress") == ["event 20", "event 40", "event 41"]


def test_events_as_json_are_the_rows_of_the_table(storage: Storage, project: Path) -> None:
    row = lakerun.json("events", "orders_pipeline", "--type", "flow_progress")[-1]
    assert row["origin"]["flow_name"] == "silver_orders"
    assert row["error"]["exceptions"][0]["message"] == "no such thing"
    assert json.loads(row["details"]) == {"flow_progress": {"status": "FAILED"}}
    assert row["timestamp"] == "2024-03-01T12:17:09Z"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("order_pipeline",), 2, "Unknown pipeline 'order_pipeline'. Did you mean 'orders_pipeline'?"),
        (("nightly",), 1, "'nightly' is a job; events are kept for each pipeline: orders_pipeline"),
        (("orders_pipeline", "--level", "WRN"), 2, "Unknown level 'WRN'. Did you mean 'WARN'?"),
        (("orders_pipeline", "--type", "flow_progres"), 2, "Did you mean 'flow_progress'?"),
        (("orders_pipeline", "--update", "u9"), 2, "Unknown update 'u9'."),
    ],
)
def test_a_wrong_filter_names_the_valid_ones(
    storage: Storage, project: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    assert message in lakerun.error(code, "events", *arguments)


def test_a_pipeline_that_never_ran_has_no_events(home: Path, project: Path) -> None:
    assert lakerun.json("events", "quiet") == []
    assert "No events match" in lakerun("events", "quiet").stdout

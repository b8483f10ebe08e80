"""The task that corrects quarantined rows by SQL and sends them back, run as a job runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from pyspark.sql import SparkSession

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.domain.entities import ORDERS
from ecommerce_lakehouse.quality import replay_job
from ecommerce_lakehouse.quality.replay import Corrections
from lakerun.spark.task_tables import lakehouse_tables
from lakerun.tables.storage import Storage, TableName

CORRECTION = {
    "--quarantine": "orders",
    "--field": "status",
    "--expression": "'pending'",
    "--where": "status = 'lost'",
    "--reason": "typo",
}


@pytest.fixture
def quarantine(home: Path) -> None:
    """Two lost orders, and one whose price is no number."""
    lines = [
        {"order_id": "o1", "status": "lost", "price": 1.5},
        {"order_id": "o2", "status": "lost", "price": 2.5},
        {"order_id": "o3", "status": "pending", "price": "x"},
    ]
    rows = pa.table(
        {
            "raw_text": [json.dumps(line) for line in lines],
            "source_file": ["file:/x/orders_raw/a.json"] * 3,
            "broken_rules": [["valid_status"], ["valid_status"], ["valid_price"]],
            "ingested_at": pa.array([0, 0, 0], pa.timestamp("us", "UTC")),
        }
    )
    name = TableName(*get_config("local").get_table_name("quarantine", "orders").split("."))
    write_deltalake(str(Storage(home).table_path(name)), rows)


def run(home: Path, **changes: str | None) -> None:
    given = CORRECTION | {f"--{name}": value for name, value in changes.items()}
    arguments = [part for option, value in given.items() if value is not None for part in (option, value)]
    with lakehouse_tables(Storage(home)):  # as in a task
        replay_job.main(["--environment", "local", *arguments])


def test_rows_are_corrected_and_sent_back_once(
    spark: SparkSession, home: Path, quarantine: None, capsys: pytest.CaptureFixture[str]
) -> None:
    run(home)
    first, second = capsys.readouterr().out.splitlines()
    assert first == "orders: 2 rows corrected, 0 replayed before"
    assert second.startswith("orders: 2 rows in ")
    corrections = Corrections(get_config("local"), "orders")
    (file,) = Path(get_config("local").orders_source_path).glob("*.json")
    assert second.endswith(file.name)
    delivered = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert sorted((line["order_id"], line["status"], line["price"]) for line in delivered) == [
        ("o1", "pending", 1.5),
        ("o2", "pending", 2.5),
    ]
    user = spark.sql("SELECT current_user()").head()
    assert user is not None
    assert {(item.by, item.reason) for item in corrections.all()} == {(user[0], "typo")}
    # The same rows again, and one more: only that one is corrected, without a reason.
    run(home, where="status = 'lost' OR order_id = 'o3'", field="price", expression="9.5", reason=None)
    first, second = capsys.readouterr().out.splitlines()
    assert first == "orders: 1 rows corrected, 2 replayed before"
    assert second.startswith("orders: 1 rows in ")
    assert sorted(item.reason for item in corrections.all()) == ["", "typo", "typo"]
    # Without a correction, what waits in every quarantine is sent: nothing.
    run(home, **dict.fromkeys(("quarantine", "field", "expression", "where", "reason")))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"where": None}, "a correction needs quarantine, field, expression and where."),
        ({"quarantine": None}, "a correction needs quarantine, field, expression and where."),
        ({"field": "state"}, f"Unknown field 'state'. Valid: {', '.join(ORDERS.field_names)}."),
    ],
)
def test_a_wrong_correction_is_one_line(
    spark: SparkSession,
    home: Path,
    quarantine: None,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, str | None],
    message: str,
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(home, **changes)
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"replay_quarantine: {message}\n"
    assert Corrections(get_config("local"), "orders").all() == []

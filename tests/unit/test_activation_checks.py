"""What Customer.io answered becomes checks of the lakehouse's health."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
from deltalake import write_deltalake

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.observability.activation_checks import activation_checks
from ecommerce_lakehouse.observability.lakehouse import lakehouse_of

NOW = datetime(2024, 5, 15, 12, tzinfo=UTC)
PERIOD = (NOW - timedelta(days=14), NOW - timedelta(days=7), NOW)


def write(home: Path, table: str, rows: list[dict[str, object]]) -> None:
    write_deltalake(str(home / "tables" / "local" / "data_eng" / table), pa.Table.from_pylist(rows))


def test_requests_and_what_is_due_are_judged(home: Path) -> None:
    answers = [(1, 200, 1.0)] * 17 + [
        (2, 400, 3.0),
        (3, 503, 9.0),
        (4, None, 2.0),
        (10, 200, 4.0),
        (20, 500, 9.0),
    ]
    requests = [
        {"at": NOW - timedelta(days=days), "status": status, "seconds": seconds}
        for days, status, seconds in answers
    ]
    write(home, "activation_requests", requests)
    runs = [("people", 3, "INCOMPLETE", 7), ("people", 2, "COMPLETED", 0), ("orders", 2, "INCOMPLETE", 5)]
    runs_rows: list[dict[str, object]] = [
        {"sync": sync, "at": NOW - timedelta(days=days), "event": event, "due": due}
        for sync, days, event, due in runs
    ]
    write(
        home, "activation_runs", [*runs_rows, {"sync": "orders", "at": NOW, "event": "STARTED", "due": None}]
    )
    config = get_config("local")
    lakehouse = lakehouse_of(config)
    tables = {"activation_requests", "activation_runs"}
    found = activation_checks(lakehouse, tables, config, PERIOD)
    # 20 requests within the last week: 17 and the one that rejected a row were answered; 31 s in all.
    assert [(check.name, check.figure, check.previous, check.verdict) for check in found] == [
        ("Customer.io success rate", 90.0, 100.0, "failed"),
        ("Customer.io response time", 1.55, 4.0, "ok"),
        ("Customer.io messages due", 5.0, None, "failed"),
    ]
    assert activation_checks(lakehouse, set(), config, PERIOD) == []

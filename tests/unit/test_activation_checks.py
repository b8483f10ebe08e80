"""What Customer.io answered becomes checks of the lakehouse's health, and alerts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.observability.activation_checks import activation_checks
from ecommerce_lakehouse.observability.health_sql import sql_file
from ecommerce_lakehouse.observability.lakehouse import lakehouse_of
from lakerun.bundles.load import load_bundle
from lakerun.sql.query import query
from lakerun.tables.arrow_rows import rows_of
from lakerun.tables.storage import Storage
from tests.unit.dashboard_data import write_activation

ROOT = Path(__file__).parents[2]
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


def test_before_anything_was_sent_there_is_nothing_to_judge(home: Path) -> None:
    write_activation(Storage(home), empty=True)
    config = get_config("local")
    found = activation_checks(
        lakehouse_of(config), {"activation_requests", "activation_runs"}, config, PERIOD
    )
    assert [(check.figure, check.verdict) for check in found] == [(None, "no data")] * 3
    assert alert_rows(home, "activation_success") == alert_rows(home, "activation_due") == []


# Alerts ---------------------------------------------------------------------------------------------


def alert_rows(home: Path, key: str) -> list[tuple[object, ...]]:
    """The rows of a deployed alert's query, with the laptop's names."""
    bundle = load_bundle(ROOT, "dev", {"catalog": "local", "schema": "data_eng"})
    return rows_of(query(bundle.resources["alerts"][key]["query_text"], Storage(home)))


@pytest.mark.parametrize("target", ["dev", "staging", "prod"])
def test_an_alerts_query_is_its_sql_file_and_its_target_the_health_checks(target: str) -> None:
    bundle = load_bundle(ROOT, target)
    schema = bundle.resources["schemas"]["data_eng"]
    alerts = bundle.resources["alerts"]
    for key, table in (("activation_success", "activation_requests"), ("activation_due", "activation_runs")):
        relation = f"{schema['catalog_name']}.{schema['name']}.{table}"
        text = sql_file(f"{key}_alert").replace(f"FROM {table}", f"FROM {relation}")
        assert relation in text
        assert alerts[key]["query_text"].strip() == text.strip()
        assert alerts[key]["evaluation"]["empty_result_state"] == "OK"
    evaluation = alerts["activation_success"]["evaluation"]
    threshold = evaluation["threshold"]["value"]["double_value"]
    assert threshold == get_config(target).health.activation_success_percent
    # The check passes above its target.
    assert evaluation["comparison_operator"] == "LESS_THAN_OR_EQUAL"


def test_the_alert_on_requests_sees_two_days(home: Path) -> None:
    now = datetime.now(UTC)
    answers = [(1, 200), (1, 200), (30, 404), (40, 429), (50, 500), (60, 200), (60, 200), (60, 200)]
    write(
        home,
        "activation_requests",
        [{"at": now - timedelta(hours=hours), "status": status, "seconds": 1.0} for hours, status in answers],
    )
    # A rejected row and two more of the four requests within two days.
    assert alert_rows(home, "activation_success") == [(4, 75.0)]


def test_the_alert_on_what_is_due_is_of_each_syncs_newest_run(home: Path) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    runs: list[tuple[str, float, str, int | None]] = [
        ("customers", 2, "INCOMPLETE", 7),
        ("customers", 1, "COMPLETED", 0),
        ("orders", 9, "COMPLETED", 0),
        ("orders", 8, "FAILED", 5),
        ("orders", 2, "FAILED", None),  # its table was missing: what was due still is
        ("orders", 1, "STARTED", None),
        ("given_up", 31, "INCOMPLETE", 3),
    ]
    write(
        home,
        "activation_runs",
        [
            {"sync": sync, "run_id": f"r{days}", "at": now - timedelta(days=days)}
            | {"event": event, "due": due, "error": None if event != "FAILED" else "the circuit is open"}
            for sync, days, event, due in runs
        ],
    )
    assert alert_rows(home, "activation_due") == [
        ("orders", "r8", now - timedelta(days=8), 5, "the circuit is open")
    ]

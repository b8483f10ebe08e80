"""The activation pipeline on generated data, compared with its manifests and counted in plain Python."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ecommerce_lakehouse.domain.entities import ACTIVATED
from ecommerce_lakehouse.generation import Manifest, read_manifests
from lakerun.sql.query import query
from lakerun.tables.storage import Storage
from tests.property.test_order_events import expected as expected_events

pytestmark = pytest.mark.long


class Lakehouse:
    """A lakehouse of four pipelines."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def rows(self, sql: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = query(sql, Storage(self.home)).to_pylist()
        return found

    def valid(self, entity: str) -> list[dict[str, Any]]:
        return self.rows(f"SELECT * FROM silver_{entity}_parsed WHERE size(broken_rules) = 0")

    @property
    def manifests(self) -> list[Manifest]:
        return read_manifests(
            self.home / "volumes" / "local" / "data_eng" / "data" / "manifests" / "activation"
        )


@pytest.fixture(scope="module")
def lakehouse(every_pipeline: Path) -> Lakehouse:
    return Lakehouse(every_pipeline)


@pytest.mark.parametrize("entity", ACTIVATED)
def test_every_line_is_where_the_manifest_says(lakehouse: Lakehouse, entity: str) -> None:
    expected = [manifest.datasets[entity].expected for manifest in lakehouse.manifests]
    assert len(expected) == 2
    (counts,) = lakehouse.rows(
        f"SELECT (SELECT count(*) FROM silver_{entity}) AS silver, "
        f"(SELECT count(*) FROM silver_{entity}_duplicates) AS superseded"
    )
    reasons = [row["broken_rules"] for row in lakehouse.rows(f"SELECT * FROM quarantine_{entity}")]
    assert counts == {
        "silver": sum(each.silver for each in expected),
        "superseded": sum(each.updates + each.duplicates for each in expected),
    }
    assert len(reasons) == sum(each.quarantined for each in expected) > 0
    named = sum((Counter(each.broken_rules) for each in expected), Counter[str]())
    assert Counter(reason for line in reasons for reason in line) == named


def test_everybody_is_a_customer_and_every_household_is_known(lakehouse: Lakehouse) -> None:
    checks = lakehouse.rows(
        "SELECT dataset, rule, violations, verdict FROM quality_checks_activation "
        "WHERE rule IN ('customer_known', 'household_known')"
    )
    assert sorted((row["dataset"], row["violations"], row["verdict"]) for row in checks) == [
        ("silver_household_members", 0, "passed"),
        ("silver_household_members", 0, "passed"),
        ("silver_marketing_consents", 0, "passed"),
        ("silver_push_devices", 0, "passed"),
    ]


def test_gold_has_exactly_the_consents_whose_newest_record_grants(lakehouse: Lakehouse) -> None:
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for row in sorted(lakehouse.valid("marketing_consents"), key=lambda row: row["status"] != "granted"):
        key = row["customer_id"], row["channel"]
        if key not in newest or row["updated_at"] >= newest[key]["updated_at"]:
            newest[key] = row
    granted = {key: row["updated_at"] for key, row in newest.items() if row["status"] == "granted"}
    found = lakehouse.rows("SELECT * FROM gold_marketing_consents")
    assert {(row["customer_id"], row["channel"]): row["granted_at"] for row in found} == granted
    assert 0 < len(found) < len(newest)


def test_gold_has_the_events_of_orders_that_plain_python_finds(lakehouse: Lakehouse) -> None:
    orders: dict[str, list[dict[str, Any]]] = {}
    for row in lakehouse.valid("orders"):
        orders.setdefault(row["order_id"], []).append(row)
    expected = {
        f"{order}:{key}": event[0]
        for order, rows in orders.items()
        for key, event in expected_events(rows).items()
    }
    found = lakehouse.rows("SELECT order_event_id, event FROM gold_order_events")
    assert {row["order_event_id"]: row["event"] for row in found} == expected
    assert len(found) == len(expected)
    # Some orders are corrected and some cancelled after they had been placed.
    assert min(Counter(row["event"] for row in found).values()) > 1
    assert len(set(expected.values())) == 4

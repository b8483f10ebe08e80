"""The queries of src/sql on an event log whose figures are known."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from unit import cli_data

from lakerun.sql.query import query
from lakerun.tables.arrow_rows import rows_of
from lakerun.tables.storage import Storage
from tests.unit.shop_data import lakehouse_tables

ROOT = Path(__file__).parents[2]


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """A data folder with four orders and the events of two updates."""
    storage = Storage(tmp_path)
    lakehouse_tables(storage)
    return storage


def test_the_updates_query_tells_state_and_duration(storage: Storage) -> None:
    found = query((ROOT / "src/sql/pipeline_updates.sql").read_text(encoding="utf-8"), storage)
    assert found.column_names == [
        "pipeline_name",
        "update_id",
        "state",
        "start_time",
        "end_time",
        "duration_minutes",
        "duration_seconds",
    ]
    u2_start, u2_end = (
        datetime(2024, 3, 1, 12, 16, 40, tzinfo=UTC),
        datetime(2024, 3, 1, 12, 17, 10, tzinfo=UTC),
    )
    u1_end = datetime(2024, 3, 1, 12, 2, 30, tzinfo=UTC)
    assert rows_of(found) == [
        ("medallion_dlt_pipeline", "u2", "FAILED", u2_start, u2_end, 0, 30),
        ("medallion_dlt_pipeline", "u1", "COMPLETED", cli_data.START, u1_end, 2, 150),
    ]


def test_the_expectations_query_adds_up_the_batches_of_an_update(storage: Storage) -> None:
    found = query((ROOT / "src/sql/expectation_failures.sql").read_text(encoding="utf-8"), storage)
    # 10 of 100 and 5 of 50 rows broke valid_price; valid_quantity held.
    last = datetime(2024, 3, 1, 12, 0, 40, tzinfo=UTC)
    assert rows_of(found) == [(last, "u1", "silver_orders", "valid_price", 15, 150, 10.0)]

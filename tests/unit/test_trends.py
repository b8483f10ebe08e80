"""Figures by day for charts, against figures worked out by hand from a fortnight of two pipelines."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlglot

from ecommerce_lakehouse.observability.health_sql import health_sql
from ecommerce_lakehouse.observability.trends import Day, Trends, trends
from lakerun.sql.query import query
from lakerun.tables.arrow_rows import rows_of
from lakerun.tables.storage import Storage
from tests.unit import dashboard_data, health_data
from tests.unit.health_data import NOW, march

EVENTS = "local.data_eng.pipeline_events"
DAY = 86_400


def found_in(storage: Storage, **options: Any) -> Trends:
    def run(sql: str) -> list[dict[str, Any]]:
        found = query(sql, storage)
        return [dict(zip(found.column_names, row, strict=True)) for row in rows_of(found)]

    return trends(run, EVENTS, **options)


@pytest.fixture(scope="module")
def fortnight(tmp_path_factory: pytest.TempPathFactory) -> Trends:
    storage = Storage(tmp_path_factory.mktemp("trends"))
    health_data.fortnight(storage)
    return found_in(storage, days=14, now=NOW)


def test_every_day_of_the_period_is_listed_up_to_today(fortnight: Trends) -> None:
    assert [day.day for day in fortnight.days] == [date(2024, 3, n) for n in range(2, 16)]
    quiet = fortnight.days[0]
    assert quiet == Day(date(2024, 3, 2))
    assert (quiet.success_rate_percent, quiet.expectation_failure_percent) == (None, None)


def test_updates_are_counted_on_the_day_on_which_they_ended(fortnight: Trends) -> None:
    ended = {
        day.day.day: (day.completed, day.failed, day.canceled, day.run_seconds)
        for day in fortnight.days
        if day.completed or day.failed or day.canceled
    }
    # Of the 13th one was canceled and one only validated; of the 15th one still runs.
    assert ended == {
        5: (1, 0, 0, 100),
        6: (0, 1, 0, 20),
        10: (1, 0, 0, 100),
        12: (0, 1, 0, 10),
        13: (0, 0, 1, 0),
        14: (2, 0, 0, 90),
    }
    assert [day.success_rate_percent for day in fortnight.days if day.day.day in (6, 14)] == [0.0, 100.0]
    assert fortnight.total.success_rate_percent == pytest.approx(100 * 4 / 6)
    assert fortnight.total.run_seconds == 320


def test_failed_records_are_a_share_of_those_judged_that_day(fortnight: Trends) -> None:
    judged = {
        day.day.day: (day.failed_records, day.judged_records) for day in fortnight.days if day.judged_records
    }
    assert judged == {5: (10, 1000), 10: (5, 2000)}
    rates = [
        day.expectation_failure_percent
        for day in fortnight.days
        if day.expectation_failure_percent is not None
    ]
    assert rates == [1.0, 0.25]


def test_a_dataset_grows_older_until_it_is_up_to_date_again(fortnight: Trends) -> None:
    ages = {dataset.dataset: dataset for dataset in fortnight.datasets}
    orders = ages["silver_orders"]
    assert orders.last_up_to_date == march(14, 10, 0, 30)
    midnight = 14 * 3600 - 60  # from 10:01 on the 5th to its end
    assert orders.ages[:6] == (None, None, None, midnight, midnight + DAY, midnight + 2 * DAY)
    assert orders.ages[-1] == (NOW - march(14, 10, 0, 30)).total_seconds()
    assert ages["gold_new"].last_up_to_date is None
    assert set(ages["gold_new"].ages) == {None}
    assert "gold_removed" not in ages
    assert [dataset.dataset for dataset in fortnight.datasets] == [
        "gold_sales",
        "silver_orders",
        "feature_value",
        "gold_new",
    ]


def test_a_pipeline_is_as_old_as_its_oldest_dataset(fortnight: Trends) -> None:
    oldest = fortnight.oldest_ages()
    assert list(oldest) == ["medallion_dlt_pipeline", "ml_features_pipeline"]
    assert oldest["medallion_dlt_pipeline"][-1] == (NOW - march(10, 10, 1, 20)).total_seconds()
    assert oldest["ml_features_pipeline"][-3] is None
    assert oldest["ml_features_pipeline"][-1] == (NOW - march(14, 11, 0, 45)).total_seconds()


def test_rows_written_are_summed_by_day(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    dashboard_data.write_logs(storage)
    found = found_in(storage)
    today = dashboard_data.TODAY.date()
    assert {(today - day.day).days: day.rows_written for day in found.days if day.rows_written} == {
        9: 107,
        3: 12,
        1: 45,
    }
    assert len(found.days) == 30
    assert found.days[0].day == today - timedelta(days=29)
    assert found.total.rows_written == 164


@pytest.mark.parametrize("name", ["trend_updates", "trend_rows", "trend_expectations", "trend_freshness"])
def test_every_query_is_one_statement_of_databricks_sql(name: str) -> None:
    (statement,) = sqlglot.parse(health_sql(name, EVENTS, NOW, NOW, NOW), read="databricks")
    assert isinstance(statement, sqlglot.exp.Query)

"""The dashboards' queries on small tables, against plain Python."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from lakerun.bundles.load import load_bundle
from lakerun.sql.query import query
from lakerun.tables.arrow_rows import rows_of
from lakerun.tables.storage import Storage
from tests.dashboards import Dashboard, dashboard_files, read_dashboard
from tests.unit import dashboard_data as shop
from tests.unit.dashboard_data import FLOWS, QUARANTINE, UPDATES

ROOT = Path(__file__).parents[2]
DASHBOARDS = {file.name.split(".")[0]: read_dashboard(file) for file in dashboard_files(ROOT)}
DATASETS = [(name, each.name) for name, board in DASHBOARDS.items() for each in board.datasets]
PIPELINE_OF = {update.id: update.pipeline for update in UPDATES}
Row = dict[str, Any]


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Storage:
    storage = Storage(tmp_path_factory.mktemp("dashboards"))
    shop.write_shop(storage)
    return storage


def rows(storage: Storage, sql: str) -> list[Row]:
    found = query(sql, storage)
    return [dict(zip(found.column_names, row, strict=True)) for row in rows_of(found)]


def shown(storage: Storage, dashboard: str, dataset: str) -> list[Row]:
    (sql,) = [each.sql for each in DASHBOARDS[dashboard].datasets if each.name == dataset]
    return rows(storage, sql)


def monitoring(storage: Storage, dataset: str) -> list[Row]:
    return shown(storage, "pipeline_monitoring", dataset)


def business(storage: Storage, dataset: str) -> list[Row]:
    return shown(storage, "business_analytics", dataset)


# Pipeline monitoring --------------------------------------------------------------------------------


RECENT = [u for u in UPDATES if u.days_ago <= 30 and not u.validate_only]
ENDED = [u for u in RECENT if u.state in ("COMPLETED", "FAILED")]
RECENT_FLOWS = [flow for flow in FLOWS if flow.update in {u.id for u in RECENT}]


def test_the_updates_of_thirty_days_without_validations(storage: Storage) -> None:
    found = {row["update_id"]: row for row in monitoring(storage, "updates")}
    assert set(found) == {"m1", "m2", "m3", "m5", "m6", "f1", "b1", "b2"}
    for update in RECENT:
        row = found[update.id]
        assert (row["pipeline_name"], row["start_time"]) == (update.pipeline, update.start)
        assert row["state"] == (update.state or "RUNNING")
        assert row["duration_seconds"] == (update.seconds if update.state else None)
    starts = [row["start_time"] for row in monitoring(storage, "updates")]
    assert starts == sorted(starts, reverse=True)


def test_the_success_rate_of_a_day_is_of_updates_that_completed_or_failed(storage: Storage) -> None:
    expected: dict[tuple[Any, str], list[str]] = defaultdict(list)
    for update in ENDED:
        expected[update.start.date(), update.pipeline].append(update.state)
    found = {(row["day"], row["pipeline_name"]): row for row in monitoring(storage, "success_rate")}
    assert set(found) == set(expected)
    for key, states in expected.items():
        completed = states.count("COMPLETED")
        assert (found[key]["completed"], found[key]["failed"]) == (completed, len(states) - completed)
        assert found[key]["success_rate_percent"] == pytest.approx(100 * completed / len(states))


def test_the_totals_of_thirty_days(storage: Storage) -> None:
    (found,) = monitoring(storage, "totals")
    judged = [rule for flow in RECENT_FLOWS for rule in flow.rules]
    failed, total = sum(r[2] for r in judged), sum(r[1] + r[2] for r in judged)
    assert found["updates"] == len(ENDED) == 6
    assert found["failed_updates"] == 2
    assert found["success_rate_percent"] == pytest.approx(100 * 4 / 6)
    assert found["median_duration_seconds"] == median(update.seconds for update in ENDED) == 32.5
    assert (found["failed_records"], found["judged_records"]) == (failed, total) == (24, 269)
    assert found["expectation_failure_percent"] == pytest.approx(100 * 24 / 269)


def test_the_totals_of_a_new_lakehouse_are_zero_and_have_no_rates(home: Path) -> None:
    for pipeline in (shop.MEDALLION, shop.FEATURES, shop.BATCHES):
        shop.Log(pipeline).write(Storage(home))
    (found,) = monitoring(Storage(home), "totals")
    assert {name: value for name, value in found.items() if value is not None} == {
        "updates": 0,
        "failed_updates": 0,
        "judged_records": 0,
        "failed_records": 0,
    }


def test_expectation_failures_are_counted_by_rule_over_all_events(storage: Storage) -> None:
    expected: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    for flow in RECENT_FLOWS:
        for name, passed, failed in flow.rules:
            counts = expected[PIPELINE_OF[flow.update], flow.dataset.strip("`"), name]
            counts[0], counts[1] = counts[0] + passed, counts[1] + failed
    found = monitoring(storage, "expectations")
    assert {
        (row["pipeline_name"], row["dataset_name"], row["expectation_name"]): [
            row["passed_records"],
            row["failed_records"],
        ]
        for row in found
    } == {key: counts for key, counts in expected.items() if counts[1]}
    assert [row["failure_percent"] for row in found] == pytest.approx([20, 7, 50, 1])


def test_expectation_failures_of_a_day(storage: Storage) -> None:
    expected: dict[tuple[Any, str], list[int]] = defaultdict(lambda: [0, 0])
    starts = {update.id: update.start.date() for update in UPDATES}
    for flow in RECENT_FLOWS:
        for _, passed, failed in flow.rules:
            counts = expected[starts[flow.update], PIPELINE_OF[flow.update]]
            counts[0], counts[1] = counts[0] + failed, counts[1] + passed + failed
    found = monitoring(storage, "expectation_failures")
    assert {
        (row["day"], row["pipeline_name"]): [row["failed_records"], row["judged_records"]] for row in found
    } == expected


def test_rows_written_by_a_dataset_are_summed_over_its_batches(storage: Storage) -> None:
    found = {row["dataset_name"]: row["rows_written"] for row in monitoring(storage, "rows_written")}
    assert found == {
        "silver_orders": 90 + 10,
        "gold_daily_sales": 7,
        "feature_value": 12,
        "silver_order_batches": 45,
    }


def test_a_dataset_is_fresh_since_it_was_completed_or_found_up_to_date(storage: Storage) -> None:
    found = {row["dataset_name"]: row for row in monitoring(storage, "freshness")}
    starts = {update.id: update.start for update in UPDATES}
    assert {name: row["last_up_to_date"] for name, row in found.items()} == {
        "silver_orders": starts["m3"] + timedelta(seconds=20),
        "gold_daily_sales": starts["m1"] + timedelta(seconds=80),
        "feature_value": starts["f1"] + timedelta(seconds=35),
        "silver_order_batches": starts["b2"] + timedelta(seconds=20),
    }
    for row in found.values():
        age = (datetime.now(UTC) - row["last_up_to_date"]).total_seconds()
        assert row["age_seconds"] == pytest.approx(age, abs=60)
        assert row["age_hours"] == pytest.approx(age / 3600, abs=1 / 60)


def test_quarantined_lines_are_counted_by_reason_and_by_table(storage: Storage) -> None:
    expected: dict[tuple[str, str, Any], int] = defaultdict(int)
    for table, lines in QUARANTINE.items():
        for days, rules in lines:
            for rule in rules:
                expected[f"quarantine_{table}", rule, shop.arrival(days).date()] += 1
    found = monitoring(storage, "quarantine_reasons")
    assert {
        (row["table_name"], row["reason"], row["day"]): row["quarantined_lines"] for row in found
    } == expected
    by_table = {row["table_name"]: row for row in monitoring(storage, "quarantine_lines")}
    assert {name: row["quarantined_lines"] for name, row in by_table.items()} == {
        f"quarantine_{table}": len(lines) for table, lines in QUARANTINE.items() if lines
    }
    assert by_table["quarantine_orders"]["newest"] == shop.arrival(3)


# Business analytics ---------------------------------------------------------------------------------


def test_daily_sales_are_those_of_gold(storage: Storage) -> None:
    found = business(storage, "daily_sales")
    assert found == rows(storage, "SELECT * FROM gold_daily_sales ORDER BY order_date")
    assert sum(row["revenue"] for row in found) == sum(revenue for *_, revenue in shop.DAILY)


def test_a_rolling_week_needs_seven_days(storage: Storage) -> None:
    found = business(storage, "rolling_week")
    assert [row["metric_date"] for row in found] == [
        shop.FIRST_DAY + timedelta(days=end) for end in range(6, 16)
    ]
    for end, row in enumerate(found, 6):
        week = shop.DAILY[end - 6 : end + 1]
        assert row["revenue_7d"] == sum(revenue for *_, revenue in week)
        assert row["orders_7d"] == sum(orders for _, orders, _, _ in week)


def test_the_newest_week_is_compared_with_the_one_before(storage: Storage) -> None:
    (found,) = business(storage, "newest_week")
    revenue, before = (sum(day[3] for day in shop.DAILY[a:b]) for a, b in ((9, 16), (2, 9)))
    assert (found["week_end"], found["orders"]) == (shop.FIRST_DAY + timedelta(days=15), 154)
    assert (found["revenue"], found["revenue_before"]) == (revenue, before)
    assert found["revenue_change_percent"] == pytest.approx(float(100 * (revenue - before) / before))


def test_customers_are_counted_by_their_segments(storage: Storage) -> None:
    expected: dict[tuple[str, ...], list[Any]] = defaultdict(lambda: [0, Decimal(0)])
    for _, segment, rfm, stage, risk, _, value, _ in shop.CUSTOMERS:
        group = expected[segment, rfm, stage, risk]
        group[0], group[1] = group[0] + 1, group[1] + value
    found = business(storage, "customer_segments")
    keys = ("customer_segment", "rfm_segment", "lifecycle_stage", "churn_risk")
    assert {
        tuple(row[key] for key in keys): [row["customers"], row["lifetime_value"]] for row in found
    } == expected


def test_lifetime_value_by_tier(storage: Storage) -> None:
    found = {row["value_tier"]: row for row in business(storage, "value_tiers")}
    assert list(found) == ["High", "Medium", "Low", "None"]  # by value
    high = found["High"]
    assert (high["customers"], high["historical_value"]) == (2, Decimal("1300.10"))
    assert (high["predicted_value"], high["total_value"]) == (Decimal("400.05"), Decimal("1700.15"))
    assert high["average_total_value"] == Decimal("850.08")
    assert sum(row["customers"] for row in found.values()) == len(shop.CUSTOMERS)


def test_the_top_products_by_revenue(storage: Storage) -> None:
    found = business(storage, "top_products")
    ranked = sorted(shop.PRODUCTS, key=lambda product: (-product[5], product[0]))[:20]
    assert [(row["product_id"], row["revenue"]) for row in found] == [(p[0], p[5]) for p in ranked]
    assert [row["revenue"] for row in found] == sorted((row["revenue"] for row in found), reverse=True)


def test_revenue_by_category(storage: Storage) -> None:
    expected: dict[str, list[Any]] = defaultdict(lambda: [0, 0, Decimal(0)])
    for _, _, category, orders, _, revenue in shop.PRODUCTS:
        group = expected[category]
        group[0], group[1], group[2] = group[0] + 1, group[1] + orders, group[2] + revenue
    found = business(storage, "categories")
    assert {row["category"]: [row["products"], row["orders"], row["revenue"]] for row in found} == expected


def test_order_batches_by_day_item_and_customer(storage: Storage) -> None:
    days = business(storage, "order_days")
    assert [(row["revenue"], row["unearning_percent"]) for row in days] == [
        (Decimal("30.30"), 25.0),
        (Decimal("0.00"), 100.0),
    ]
    items = [row["order_item"] for row in business(storage, "order_items")]
    assert items == ["chair", "desk", "lamp"]  # by revenue, then by name
    customers = business(storage, "order_customers")
    assert [(row["customer_id"], row["revenue_percent"]) for row in customers] == [
        ("ana", 87.5),
        ("ben", 12.5),
    ]


# Activation -----------------------------------------------------------------------------------------


def activation(storage: Storage, dataset: str) -> list[Row]:
    return shown(storage, "activation", dataset)


def test_messages_are_counted_once_and_due_is_what_the_newest_runs_left(storage: Storage) -> None:
    # Without the run of 40 days ago: m1 to m7, of which m2 has two receipts and m4 is a deletion.
    assert activation(storage, "sending_totals") == [
        {"accepted": 7, "rejected": 5, "still_due": 2, "people_identified": 2, "events_tracked": 3}
    ]
    day = {ago: shop.arrival(ago).date() for ago in (9, 3, 1)}
    columns = ("day", "sync", "accepted", "rejected", "still_due")
    assert [tuple(row[name] for name in columns) for row in activation(storage, "messages_by_day")] == [
        (day[9], "customers", 2, 3, 4),
        (day[3], "customers", 2, 2, 0),
        (day[3], "order_events", 1, 0, 2),
        (day[1], "order_events", 2, 0, None),
    ]
    assert [tuple(row.values()) for row in activation(storage, "people_and_events")] == [
        (day[9], 2, 0),
        (day[3], 1, 1),
        (day[1], 0, 2),
    ]


def test_rejected_rows_have_a_reason_that_quotes_nobody(storage: Storage) -> None:
    found = activation(storage, "rejected_reasons")
    assert [(row["sync"], row["reason"], row["rejected_rows"]) for row in found] == [
        ("customers", "refused by Customer.io, status 400", 2),
        ("customers", "several rows have this key", 2),
        ("customers", "traits.email: the value has more than 1000 bytes", 1),
    ]


def test_a_request_that_rejects_a_row_has_succeeded(storage: Storage) -> None:
    (totals,) = activation(storage, "request_totals")
    # 19 of 21 were answered: 0.1 to 1.8 s, that is 17.1 s in all, and 2, 4 and 30 s.
    assert (totals["requests"], totals["success_percent"]) == (21, pytest.approx(100 * 19 / 21))
    assert totals["mean_seconds"] == pytest.approx(53.1 / 21)
    assert totals["p95_seconds"] == pytest.approx(4.0)  # the 20th of 21
    days = activation(storage, "requests_by_day")
    assert [(row["requests"], row["success_percent"]) for row in days] == [(19, 100.0), (2, 0.0)]
    assert [row["mean_seconds"] for row in days] == pytest.approx([19.1 / 19, 17.0])
    answers = [(row["answer"], row["requests"]) for row in activation(storage, "answers")]
    assert answers == [("200", 18), ("400", 1), ("503", 1), ("no answer", 1)]


def test_where_nothing_was_sent_totals_are_zero_and_nothing_else_has_rows(home: Path) -> None:
    shop.write_activation(Storage(home), empty=True)
    found = {each.name: rows(Storage(home), each.sql) for each in DASHBOARDS["activation"].datasets}
    assert {name: answer for name, answer in found.items() if answer} == {
        "sending_totals": [
            dict.fromkeys(("accepted", "rejected", "still_due", "people_identified", "events_tracked"), 0)
        ],
        "request_totals": [
            {"requests": 0, "success_percent": None, "mean_seconds": None, "p95_seconds": None}
        ],
    }


# All dashboards -------------------------------------------------------------------------------------


def test_there_are_three_dashboards() -> None:
    assert set(DASHBOARDS) == {"activation", "business_analytics", "pipeline_monitoring"}


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_widget_shows_what_its_query_answers(storage: Storage, name: str) -> None:
    dashboard = DASHBOARDS[name]
    datasets = {each.name: each.sql for each in dashboard.datasets}
    assert {asked.dataset for asked in dashboard.queries} == set(datasets)
    content = json.loads((ROOT / "src" / "dashboards" / f"{name}.lvdash.json").read_text(encoding="utf-8"))
    kinds = {
        placed["widget"]["name"]: placed["widget"].get("spec", {}).get("widgetType")
        for page in content["pages"]
        for placed in page["layout"]
    }
    for asked in dashboard.queries:
        found = rows(storage, asked.sql(datasets[asked.dataset]))
        assert found, asked.widget
        assert list(found[0]) == list(asked.fields)
        if kinds[asked.widget] == "counter":
            assert len(found) == 1, asked.widget


def test_a_widgets_sum_is_over_all_rows_of_its_group(storage: Storage) -> None:
    board = DASHBOARDS["pipeline_monitoring"]
    (asked,) = [each for each in board.queries if each.widget == "quarantine_by_reason"]
    (sql,) = [each.sql for each in board.datasets if each.name == asked.dataset]
    found = {
        (row["reason"], row["table_name"]): row["sum(quarantined_lines)"]
        for row in rows(storage, asked.sql(sql))
    }
    assert found["valid_status", "quarantine_orders"] == 2  # of two days


def test_a_query_on_events_reads_the_one_relation_over_all_event_logs() -> None:
    datasets = [each for board in DASHBOARDS.values() for each in board.datasets]
    assert [each.name for each in datasets if "FROM pipeline_events" in each.sql] == [
        "updates", "success_rate", "totals", "expectations", "expectation_failures", "rows_written",
        "freshness",
    ]  # fmt: skip
    assert not [each.name for each in datasets if "event_log_" in each.sql]


@pytest.mark.parametrize("target", ["dev", "staging", "prod"])
def test_a_dashboard_is_deployed_with_the_targets_catalog_and_schema(target: str) -> None:
    bundle = load_bundle(ROOT, target)
    for name in DASHBOARDS:
        deployed = bundle.resources["dashboards"][name]
        assert (ROOT / "resources" / deployed["file_path"]).resolve() in dashboard_files(ROOT)
        assert deployed["dataset_schema"] == bundle.resources["schemas"]["data_eng"]["name"]
        assert deployed["dataset_catalog"] == bundle.resources["schemas"]["data_eng"]["catalog_name"]
        assert deployed["embed_credentials"] is False
    for file in dashboard_files(ROOT):
        for dataset in json.loads(file.read_text(encoding="utf-8"))["datasets"]:
            assert not {"catalog", "schema"} & set(dataset)


def test_a_dashboard_is_read_with_its_queries() -> None:
    board = DASHBOARDS["business_analytics"]
    assert isinstance(board, Dashboard)
    assert board.datasets[0].sql.startswith("SELECT\n  order_date,")

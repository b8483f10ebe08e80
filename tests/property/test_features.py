"""Feature tables against a plain Python computation that looks at every event again for every snapshot."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import StructType

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.domain.entities import ORDER_STATUSES
from ecommerce_lakehouse.quality.rules import rules_for
from ecommerce_lakehouse.transforms.features_activity import customer_engagement, device_preference
from ecommerce_lakehouse.transforms.features_churn import churn_risk
from ecommerce_lakehouse.transforms.features_copurchase import product_copurchase
from ecommerce_lakehouse.transforms.features_grid import SnapshotGrid
from ecommerce_lakehouse.transforms.features_known import activity_as_known, orders_as_known
from ecommerce_lakehouse.transforms.features_purchases import lifetime_value, purchase_behaviour
from ecommerce_lakehouse.transforms.features_schemas import FEATURE_COLUMNS, FEATURE_KEYS, feature_schema
from tests.property.feature_oracle import DEVICES, ORACLES, Event, Table, expected_churn

ORDER_COLUMNS = (
    "order_id STRING, customer_id STRING, product_id STRING, category STRING, quantity INT, "
    "total_order_value DECIMAL(18,2), status STRING, order_timestamp TIMESTAMP, recorded_at TIMESTAMP, "
    "status_step INT, record_hash BIGINT, source_file STRING, line_hash BIGINT"
)
SESSION_COLUMNS = (
    "session_id STRING, customer_id STRING, session_timestamp TIMESTAMP, session_duration_seconds INT, "
    "page_views INT, cart_adds INT, device_type STRING, recorded_at TIMESTAMP, record_hash BIGINT, "
    "source_file STRING, line_hash BIGINT"
)
NUMBERS = itertools.count(1)
CUT = datetime(2024, 2, 12, tzinfo=UTC)  # itself a snapshot: the hardest place to cut


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def order(
    customer: str, time: str | datetime, category: str | None, quantity: int, value: str,
    status: str = "delivered", product: str = "p1",
) -> Event:  # fmt: skip
    time = at(time) if isinstance(time, str) else time
    return {
        "order_id": f"o{next(NUMBERS)}", "customer_id": customer, "product_id": product,
        "category": category, "quantity": quantity, "total_order_value": Decimal(value), "status": status,
        "order_timestamp": time, **made(time), "status_step": ORDER_STATUSES.index(status) + 1,
    }  # fmt: skip


def made(time: datetime) -> Event:
    """The sort key of a record that was made at a time."""
    return {"recorded_at": time, "record_hash": next(NUMBERS), "source_file": "a.json", "line_hash": 1}


def update(record: Event, later: timedelta, **changed: Any) -> Event:
    """A record of the same order or session that was made some time later."""
    newer = record | made(record["recorded_at"] + later) | changed
    return newer | ({"status_step": ORDER_STATUSES.index(newer["status"]) + 1} if "status" in newer else {})


def session(customer: str, time: str | datetime, device: str, seconds: int, views: int, adds: int) -> Event:
    time = at(time) if isinstance(time, str) else time
    return {
        "session_id": f"s{next(NUMBERS)}", **made(time), "customer_id": customer, "session_timestamp": time,
        "session_duration_seconds": seconds, "page_views": views, "cart_adds": adds, "device_type": device,
    }  # fmt: skip


# Two customers to work out by hand. Mondays are snapshots; 2024-01-01 is one.
ANN = [
    session("ann", "2024-01-02 10:00", "mobile", 300, 5, 1),
    session("ann", "2024-01-05 10:00", "desktop", 600, 10, 0),
    session("ann", "2024-01-08 00:00", "mobile", 1200, 20, 2),
]
BOB = [
    order("bob", "2024-01-06 08:00", "books", 2, "30.00", "delivered"),
    order("bob", "2024-01-10 20:00", "books", 1, "20.00", "shipped", product="p2"),
    order("bob", "2024-01-12 03:00", "toys", 3, "50.10", "pending"),
    order("bob", "2024-01-13 12:00", "sports", 9, "999.00", "cancelled"),
]


def random_events(seed: int) -> tuple[list[Event], list[Event]]:
    """Orders and sessions of a dozen customers over twelve weeks, many of them at or next to a snapshot."""
    rng = random.Random(seed)
    start, weeks = at("2024-01-01"), 12

    def moment() -> datetime:
        edge = start + timedelta(weeks=rng.randrange(1, weeks))
        anywhere = start + timedelta(
            seconds=rng.randrange(weeks * 7 * 86_400), microseconds=rng.randrange(10**6)
        )
        return rng.choice([edge, edge - timedelta(microseconds=1), anywhere, anywhere, anywhere, anywhere])

    orders = [
        order(
            f"c{rng.randrange(9)}", moment(), rng.choice(["books", "toys", "sports", None]),
            rng.randrange(1, 4), f"{rng.randrange(100, 9999) / 100:.2f}",
            rng.choice(["delivered"] * 4 + ["cancelled", "returned"]), f"p{rng.randrange(6)}",
        )
        for _ in range(90)
    ]  # fmt: skip
    sessions = [
        session(
            f"c{rng.randrange(4, 12)}", moment(), rng.choice(DEVICES), rng.randrange(900), rng.randrange(9),
            rng.randrange(3),
        )
        for _ in range(120)
    ]  # fmt: skip
    orders += [change for record in rng.sample(orders, 45) for change in some_updates(rng, record)]
    orders += [order("cancels", "2024-01-03 09:00", "books", 1, "5.00", "cancelled")]
    orders += [order("c1", start + timedelta(weeks=weeks), "books", 1, "9.00")]
    sessions += [session("c5", start + timedelta(weeks=weeks), "tablet", 10, 1, 0)]
    # At the cut, one event of each kind before and one after it in order of arrival.
    orders += [order("c2", CUT, "toys", 1, "1.00"), order("c2", CUT, "toys", 2, "2.00")]
    sessions += [session("c6", CUT, "mobile", 1, 1, 1), session("c7", CUT, "tablet", 2, 2, 2)]
    return orders, sessions


def some_updates(rng: random.Random, record: Event) -> list[Event]:
    """One or two newer records of an order, minutes to weeks later: its life goes on, or it is corrected."""
    changes: list[Event] = [
        {"status": "cancelled"}, {"status": "returned"}, {"status": "delivered"}, {"status": "pending"},
        {"quantity": 7, "total_order_value": Decimal("70.00")}, {"category": "garden"}, {"product_id": "p9"},
        {"customer_id": "c0"}, {"order_timestamp": record["order_timestamp"] - timedelta(days=10)},
    ]  # fmt: skip
    found = [record]
    for _ in range(rng.choice([1, 1, 2])):
        later = rng.choice([timedelta(0), timedelta(minutes=5), timedelta(days=3), timedelta(days=24)])
        found.append(update(found[-1], later, **rng.choice(changes)))
    return found[1:]


# Spark's answer ----------------------------------------------------------------------------------------


def tables(
    spark: SparkSession, orders: list[Event], sessions: list[Event], days: int = 7
) -> dict[str, DataFrame]:
    grid = SnapshotGrid(days)
    known = orders_as_known(spark.createDataFrame(orders, ORDER_COLUMNS))
    activity = activity_as_known(spark.createDataFrame(sessions, SESSION_COLUMNS))
    return {
        "customer_engagement": customer_engagement(activity, grid),
        "device_preference": device_preference(activity, grid),
        "purchase_behaviour": purchase_behaviour(known, grid),
        "churn_risk": churn_risk(known, activity, grid, medium_risk_days=30, high_risk_days=60),
        "lifetime_value": lifetime_value(known, grid),
        "product_copurchase": product_copurchase(known, grid),
    }


def collect(table: DataFrame, entity: str) -> Table:
    """Rows by primary key, which must be unique; `as_of` as text in UTC."""
    rows = [row.asDict() for row in table.withColumn("as_of", F.col("as_of").cast("string")).collect()]
    by_key = {tuple(row[key] for key in FEATURE_KEYS[entity]): row for row in rows}
    assert len(by_key) == len(rows), "two rows share a primary key"
    return by_key


@pytest.fixture(scope="module")
def events() -> tuple[list[Event], list[Event]]:
    orders, sessions = random_events(seed=20240101)
    return orders + BOB, sessions + ANN


@pytest.fixture(scope="module")
def frames(spark: SparkSession, events: tuple[list[Event], list[Event]]) -> dict[str, DataFrame]:
    rng = random.Random(7)
    orders, sessions = (rng.sample(rows, len(rows)) for rows in events)
    return tables(spark, orders, sessions)


@pytest.fixture(scope="module")
def checked(frames: dict[str, DataFrame]) -> dict[str, Table]:
    """Every feature row, with the result of each of its table's rules."""
    return {
        entity: collect(frame.withColumns(rule_columns(entity)), entity) for entity, frame in frames.items()
    }


@pytest.fixture(scope="module")
def features(checked: dict[str, Table]) -> dict[str, Table]:
    return {
        entity: {
            key: {name: value for name, value in row.items() if not name.startswith("rule:")}
            for key, row in table.items()
        }
        for entity, table in checked.items()
    }


def rule_columns(entity: str) -> dict[str, Column]:
    rules = rules_for(f"feature_{entity}", get_config("local"))
    return {f"rule:{name}": F.expr(constraint) for name, constraint in {**rules.warn, **rules.fail}.items()}


def assert_rows(actual: Table, expected: Table) -> None:
    assert actual.keys() == expected.keys()
    for key, row in expected.items():
        found = {name: actual[key][name] for name in row}
        assert found == {
            name: pytest.approx(value, rel=1e-12, abs=1e-12) if isinstance(value, float) else value
            for name, value in row.items()
        }, key


# Tests -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entity", FEATURE_KEYS)
def test_every_row_is_what_looking_at_each_earlier_event_gives(
    entity: str, events: tuple[list[Event], list[Event]], features: dict[str, Table]
) -> None:
    expected = ORACLES[entity](*events)
    assert len(expected) > 50
    assert_rows(features[entity], expected)
    some = next(iter(expected.values()))
    assert set(some) | set(FEATURE_KEYS[entity]) == set(next(iter(features[entity].values())))


def test_neither_later_events_nor_the_order_of_arrival_change_an_earlier_row(
    spark: SparkSession, events: tuple[list[Event], list[Event]], features: dict[str, Table]
) -> None:
    orders, sessions = events
    at_cut = [row for row in orders if row["recorded_at"] == CUT and row["total_order_value"] == 1]
    early_orders = [row for row in orders if row["recorded_at"] < CUT] + at_cut
    at_cut = [row for row in sessions if row["session_timestamp"] == CUT and row["device_type"] == "mobile"]
    early_sessions = [row for row in sessions if row["recorded_at"] < CUT] + at_cut[:1]
    assert len(early_orders) < len(orders) - 20
    assert len(early_sessions) < len(sessions) - 20
    for entity, frame in tables(spark, early_orders, early_sessions).items():
        before = collect(frame, entity)
        after = {key: row for key, row in features[entity].items() if key[-1] <= f"{CUT:%F %T}"}
        assert before == after, entity
        assert any(key[-1] == f"{CUT:%F %T}" for key in before), "the snapshot at the newest event is closed"


def test_ann_scores_by_what_she_did_in_four_weeks(features: dict[str, Table]) -> None:
    rows = {key[1][:10]: row for key, row in features["customer_engagement"].items() if key[0] == "ann"}
    assert min(rows) == "2024-01-08"
    # The session at the stroke of the snapshot belongs to the next one.
    assert rows["2024-01-08"]["sessions"] == 2
    assert rows["2024-01-08"]["engagement_score_28d"] == pytest.approx(0.4 / 3 + 0.9 / 7 + 0.2 / 3 + 0.3 / 7)
    assert rows["2024-01-15"]["engagement_score_28d"] == pytest.approx(0.545974, abs=1e-6)
    assert rows["2024-01-15"]["engagement_segment_28d"] == "high"
    # Four weeks later it is still within the 28 days, to the second; a week on, nothing is.
    assert rows["2024-02-05"]["engagement_score_28d"] == pytest.approx(0.08 + 0.15 + 0.1 + 0.05)
    assert rows["2024-02-12"]["engagement_score_28d"] == 0
    assert rows["2024-02-12"]["engagement_segment_28d"] == "inactive"
    assert rows["2024-02-12"]["engagement_segment"] == "medium"


def test_ann_prefers_the_first_of_two_equal_devices(features: dict[str, Table]) -> None:
    rows = {key[1][:10]: row for key, row in features["device_preference"].items() if key[0] == "ann"}
    even, later, silent = rows["2024-01-08"], rows["2024-01-15"], rows["2024-02-12"]
    assert (even["preferred_device"], even["preferred_device_share"]) == ("mobile", 0.5)
    assert (even["devices_used"], even["is_multi_device"]) == (2, True)
    assert later["mobile_share"] == pytest.approx(2 / 3)
    assert (silent["preferred_device"], silent["preferred_device_28d"]) == ("mobile", None)
    assert silent["devices_used_28d"] == 0


def test_bob_buys_books_and_his_cancelled_order_is_no_purchase(features: dict[str, Table]) -> None:
    first = features["purchase_behaviour"]["bob", "2024-01-08 00:00:00"]
    assert (first["orders"], first["average_days_between_orders"], first["weekend_share"]) == (1, None, 1.0)
    row = features["purchase_behaviour"]["bob", "2024-01-15 00:00:00"]
    assert (row["orders"], row["units"], row["spend"]) == (3, 6, Decimal("100.10"))
    assert row["average_order_value"] == pytest.approx(33.366667, abs=1e-6)
    assert row["average_days_between_orders"] == pytest.approx((5 + 19 / 24) / 2)
    assert (row["categories"], row["favourite_category"]) == (2, "books")
    assert row["category_diversity"] == pytest.approx(4 / 9)
    shares = [row[f"{part}_share"] for part in ("night", "morning", "afternoon", "evening")]
    assert shares == pytest.approx([1 / 3, 1 / 3, 0, 1 / 3])


def test_bob_is_worth_what_he_spent_and_may_spend(features: dict[str, Table]) -> None:
    row = features["lifetime_value"]["bob", "2024-01-15 00:00:00"]
    assert row["historical_value"] == Decimal("100.10")
    assert row["tenure_days"] == pytest.approx(8 + 16 / 24)
    assert row["orders_per_30_days"] == 3
    assert row["expected_orders_365d"] == pytest.approx(11.097973, abs=1e-6)
    assert row["predicted_value_365d"] == pytest.approx(370.302365, abs=1e-5)


def test_bobs_risk_grows_while_he_is_inactive(features: dict[str, Table]) -> None:
    rows = {key[1][:10]: row for key, row in features["churn_risk"].items() if key[0] == "bob"}
    assert rows["2024-01-15"]["days_since_last_order"] == 2.875
    assert rows["2024-01-15"]["days_since_last_session"] is None
    assert rows["2024-01-15"]["churn_risk_score"] == pytest.approx(0.7 * 2.875 / 60)
    assert rows["2024-02-12"]["churn_risk_score"] == pytest.approx(0.7 * 30.875 / 60 + 0.3)
    bands = [rows[day]["churn_risk_band"] for day in ("2024-02-05", "2024-02-12", "2024-03-11", "2024-03-18")]
    assert bands == ["low", "medium", "medium", "high"]
    assert rows["2024-03-18"]["churn_risk_score"] == pytest.approx(1.0)


def test_an_order_is_a_purchase_until_the_snapshot_at_which_it_is_known_to_be_cancelled(
    spark: SparkSession,
) -> None:
    placed = order("cy", "2024-01-03 09:00", "books", 2, "20.00", "pending")
    cancelled = update(placed, timedelta(days=9), status="cancelled")  # on the 12th
    later = order("di", "2024-01-29 00:00", "books", 1, "1.00")
    behaviour = tables(spark, [cancelled, placed, later], [])["purchase_behaviour"]
    rows = collect(behaviour, "purchase_behaviour").values()
    found = [
        (row["as_of"][:10], row["orders"], row["spend"], row["favourite_category"])
        for row in rows
        if row["customer_id"] == "cy"
    ]
    assert sorted(found) == [
        ("2024-01-08", 1, Decimal("20.00"), "books"),
        ("2024-01-15", 0, Decimal("0.00"), None),
        ("2024-01-22", 0, Decimal("0.00"), None),
        ("2024-01-29", 0, Decimal("0.00"), None),
    ]


def test_tea_and_biscuits_are_bought_together(spark: SparkSession) -> None:
    bought = [
        ("ann", "tea", "2024-01-02"), ("ann", "biscuits", "2024-01-03"), ("bob", "tea", "2024-01-02"),
        ("cy", "nails", "2024-01-04"), ("dee", "nails", "2024-01-05"),
        ("ann", "tea", "2024-01-09"), ("cy", "nails", "2024-01-10"),  # again: no new buyer
        ("eve", "nails", "2024-01-16"),  # changes the shop's customers, not the pair
        ("bob", "biscuits", "2024-01-23"), ("ann", "nails", "2024-02-01"),
    ]  # fmt: skip
    orders = spark.createDataFrame(
        [order(customer, day, "home", 1, "1.00", product=product) for customer, product, day in bought],
        ORDER_COLUMNS,
    )
    rows = collect(product_copurchase(orders_as_known(orders), SnapshotGrid(7)), "product_copurchase")
    assert set(rows) == {
        ("biscuits", "tea", "2024-01-08 00:00:00"),
        ("biscuits", "tea", "2024-01-29 00:00:00"),
    }
    first, second = (
        rows["biscuits", "tea", "2024-01-08 00:00:00"],
        rows["biscuits", "tea", "2024-01-29 00:00:00"],
    )
    # Of 4 customers, 1 bought biscuits, 2 bought tea, 1 both.
    assert (first["support"], first["confidence"], first["reverse_confidence"], first["lift"]) == (
        0.25,
        1,
        0.5,
        2,
    )
    # Of 5, 2 bought each, the same 2 both.
    assert (second["customers"], second["customers_both"], second["lift"]) == (5, 2, 2.5)


def test_a_customer_without_purchases_has_activity_features_only(features: dict[str, Table]) -> None:
    def customers(entity: str) -> set[str]:
        return {key[0] for key in features[entity]}

    assert "ann" not in customers("purchase_behaviour") | customers("lifetime_value")
    assert features["churn_risk"]["ann", "2024-01-08 00:00:00"]["days_since_last_order"] is None
    assert not any("cancels" in customers(entity) for entity in ORACLES)


def test_no_events_give_no_rows(spark: SparkSession) -> None:
    empty = tables(spark, [], [])
    assert collect(empty["churn_risk"], "churn_risk") == {}
    assert collect(empty["product_copurchase"], "product_copurchase") == {}


def test_a_grid_of_two_weeks_keeps_trailing_windows_exact(
    spark: SparkSession, events: tuple[list[Event], list[Event]]
) -> None:
    orders, sessions = events
    frame = tables(spark, orders, sessions, days=14)["churn_risk"]
    assert_rows(collect(frame, "churn_risk"), expected_churn(orders, sessions, grid_days=14))


@pytest.mark.parametrize("days", [0, -7, 3, 30, 56])
def test_a_grid_that_does_not_divide_the_trailing_window_is_refused(days: int) -> None:
    with pytest.raises(ValueError, match=r"Valid values: 1, 2, 4, 7, 14, 28\."):
        SnapshotGrid(days)


@pytest.mark.parametrize("entity", FEATURE_KEYS)
def test_the_declared_schema_is_the_one_computed(entity: str, frames: dict[str, DataFrame]) -> None:
    declared = StructType.fromDDL(FEATURE_COLUMNS[entity])
    computed = frames[entity].schema
    assert [(f.name, f.dataType) for f in declared] == [(f.name, f.dataType) for f in computed]
    assert [f.name for f in declared if not f.nullable] == list(FEATURE_KEYS[entity])
    keys = ", ".join(FEATURE_KEYS[entity])
    assert feature_schema(entity).endswith(f"CONSTRAINT feature_{entity}_pk PRIMARY KEY ({keys} TIMESERIES)")


def test_every_feature_row_meets_its_rules(checked: dict[str, Table]) -> None:
    for entity, table in checked.items():
        for key, row in table.items():
            verdicts = {name: value for name, value in row.items() if name.startswith("rule:")}
            assert len(verdicts) >= 2
            assert all(value is True for value in verdicts.values()), (entity, key, verdicts)


def test_only_a_missing_key_stops_an_update() -> None:
    for entity in FEATURE_KEYS:
        assert list(rules_for(f"feature_{entity}", get_config("local")).fail) == ["valid_primary_key"]

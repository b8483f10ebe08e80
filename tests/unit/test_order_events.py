"""The events of orders, worked out by hand."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from decimal import Decimal
from typing import Any

from pyspark.sql import SparkSession

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.quality.rules import rules_for
from ecommerce_lakehouse.transforms.order_events import ORDER_EVENTS, order_events
from tests.unit.shop import DAY_ONE, judged, order, orders_table

# Contents as a key has them: of every value its length and itself.
ONE_BOOK, TWO_BOOKS, THREE_BOOKS, NO_NAME = (
    hashlib.sha256(text.encode()).hexdigest()[:16]
    for text in (
        "2:c12:p110:name of p15:books5:10.001:1",
        "2:c12:p110:name of p15:books5:10.001:2",
        "2:c12:p110:name of p15:books5:10.001:3",
        "2:c12:p1--5:10.001:1",
    )
)


def record(number: int, hour: int, status: str, quantity: int = 1, **changes: Any) -> dict[str, Any]:
    """What was said of an order at an hour of the first day."""
    made = order(number, hour=0, status=status, quantity=quantity)
    return made | {"recorded_at": DAY_ONE + timedelta(hours=hour), "record_hash": hour} | changes


def events(spark: SparkSession, *records: dict[str, Any]) -> dict[str, list[tuple[str, str, int]]]:
    """By order: the key after the order's id, the event and the hour, in the order of time."""
    rows = order_events(orders_table(spark, list(records))).selectExpr(
        "order_id", "order_event_id", "event", "unix_seconds(occurred_at) AS at"
    )
    found: dict[str, list[tuple[str, str, int]]] = {}
    for row in sorted(rows.collect(), key=lambda row: (row["at"], ORDER_EVENTS.index(row["event"]))):
        assert row.order_event_id.startswith(f"{row.order_id}:")
        key = row.order_event_id.removeprefix(f"{row.order_id}:")
        hour = (row["at"] - int(DAY_ONE.timestamp())) // 3600
        found.setdefault(row.order_id, []).append((key, row.event.removeprefix("Order "), hour))
    return found


def test_each_change_of_what_is_sent_is_one_event(spark: SparkSession) -> None:
    one, two = f"updated:{ONE_BOOK}", f"updated:{TWO_BOOKS}"
    assert events(
        spark,
        # 1: it is placed, moves on, is corrected, and is corrected back.
        record(1, 1, "pending"), record(1, 2, "shipped"), record(1, 3, "shipped", 2),
        record(1, 4, "delivered", 2), record(1, 5, "delivered", 1), record(1, 6, "delivered", 2),
        # 2: a cancellation that was a mistake, and then a return.
        record(2, 1, "pending"), record(2, 2, "cancelled"), record(2, 3, "cancelled", 2),
        record(2, 4, "shipped"), record(2, 5, "returned"), record(2, 6, "returned"),
        # 3: it never earned anything; 4: not before it was cancelled.
        record(3, 1, "cancelled"), record(4, 1, "cancelled"), record(4, 2, "pending"),
        # 5: returned, as far as anybody knows; 6: two values are missing.
        record(5, 1, "returned"), record(6, 1, "pending"),
        record(6, 2, "pending", product_name=None, category=None),
        # 7: made at one time, and known in the order of an order's life.
        record(7, 1, "returned"), record(7, 1, "delivered"), record(7, 1, "pending", 2),
    ) == {
        "o1": [("completed", "Completed", 1), (f"{two}:1", "Updated", 3), (f"{one}:1", "Updated", 5),
               (f"{two}:2", "Updated", 6)],
        "o2": [("completed", "Completed", 1), ("cancelled:1", "Cancelled", 2), (f"{one}:1", "Updated", 4),
               ("refunded:1", "Refunded", 5)],
        "o3": [("cancelled:1", "Cancelled", 1)],
        "o4": [("cancelled:1", "Cancelled", 1), ("completed", "Completed", 2)],
        "o5": [("refunded:1", "Refunded", 1)],
        "o6": [("completed", "Completed", 1), (f"updated:{NO_NAME}:1", "Updated", 2)],
        "o7": [("completed", "Completed", 1), (f"{one}:1", "Updated", 1), ("refunded:1", "Refunded", 1)],
    }  # fmt: skip


def test_a_late_record_adds_its_own_event_and_changes_no_key(spark: SparkSession) -> None:
    one, two, three = (f"updated:{content}" for content in (ONE_BOOK, TWO_BOOKS, THREE_BOOKS))
    # Of each order the last record arrives late.
    assert events(
        spark,
        # 1: between two that differ, something else; 2: what the next one says, which was sent at 3.
        record(1, 1, "pending"), record(1, 3, "pending", 2), record(1, 2, "pending", 3),
        record(2, 1, "pending"), record(2, 3, "pending", 2), record(2, 2, "pending", 2),
        # 3: between two equal ones, something else; 4: before the first, which is sent as completed.
        record(3, 1, "pending"), record(3, 3, "pending"), record(3, 2, "pending", 2),
        record(4, 2, "pending"), record(4, 1, "pending", 2),
        # 5: before the cancellation, that it was placed.
        record(5, 2, "cancelled"), record(5, 1, "pending"),
    ) == {
        "o1": [("completed", "Completed", 1), (f"{three}:1", "Updated", 2), (f"{two}:1", "Updated", 3)],
        "o2": [("completed", "Completed", 1), (f"{two}:1", "Updated", 2)],
        "o3": [("completed", "Completed", 1), (f"{two}:1", "Updated", 2), (f"{one}:1", "Updated", 3)],
        "o4": [("completed", "Completed", 1), (f"{one}:1", "Updated", 2)],
        "o5": [("completed", "Completed", 1), ("cancelled:1", "Cancelled", 2)],
    }  # fmt: skip


def test_an_event_is_sent_with_what_its_record_says(spark: SparkSession) -> None:
    found = order_events(
        orders_table(spark, [order(1, hour=1, quantity=2, price="3.50"), order(1, hour=2, customer="c2")])
    )
    judgement = judged(found, rules_for("gold_order_events", get_config("local"))).collect()
    assert [row.broken_rules for row in judgement] == [[], []]
    first, second = sorted((row.asDict() for row in judgement), key=lambda row: row["occurred_at"])
    del first["occurred_at"], first["broken_rules"]
    assert first == {
        "order_event_id": "o1:completed", "order_id": "o1", "customer_id": "c1", "event": "Order Completed",
        "product_id": "p1", "product_name": "name of p1", "category": "books", "price": Decimal("3.50"),
        "quantity": 2, "total": Decimal("7.00"),
    }  # fmt: skip
    assert (second["event"], second["customer_id"]) == ("Order Updated", "c2")

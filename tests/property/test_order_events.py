"""Events of orders against plain Python, and that a record more, whenever it was made, takes no key away."""

from __future__ import annotations

import hashlib
from collections import Counter
from decimal import Decimal
from itertools import groupby
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from ecommerce_lakehouse.domain.entities import ORDER_STATUSES
from ecommerce_lakehouse.transforms.order_events import CONTENT, order_events
from tests.property.test_quarantine import TABLES
from tests.unit.shop import order, orders_table

Record = dict[str, Any]


@st.composite
def lives(draw: st.DrawFn) -> tuple[list[Record], list[bool]]:
    """Records of one order with many repeats and equal times; and for each whether it has arrived so far."""
    facts = st.tuples(
        st.integers(0, 4),
        st.sampled_from(["pending", "shipped", "delivered", *ORDER_STATUSES[4:]]),
        st.integers(1, 2),
        st.sampled_from(["books", "books", None]),
        st.sampled_from(["c1", "c1", "c1", "c2"]),
    )
    drawn = draw(st.lists(facts, min_size=1, max_size=8))
    records = []
    for hour, status, quantity, category, customer in drawn:
        made = order(0, hour=hour, status=status, quantity=quantity, customer=customer)
        # A record's hash stands for its content.
        content = hash_of(status, quantity, category, customer)
        records.append(made | {"category": category, "record_hash": content, "line_hash": content})
    return records, draw(st.lists(st.booleans(), min_size=len(records), max_size=len(records)))


def hash_of(*content: object) -> int:
    return int.from_bytes(hashlib.md5(repr(content).encode()).digest()[:6], "big")


def expected(records: list[Record]) -> dict[str, tuple[Any, ...]]:
    """The events by key, read from the definition: one for each run of records that say the same."""

    def sequence(record: Record) -> tuple[Any, ...]:
        return tuple(record[name] for name in ("recorded_at", "status_step", "record_hash", "line_hash"))

    def state(record: Record) -> str:
        if record["status"] in ("cancelled", "returned"):
            return str(record["status"])
        texts = [record[name] for name in CONTENT]
        text = "".join("-" if each is None else f"{len(str(each))}:{each}" for each in texts)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    found: dict[str, tuple[Any, ...]] = {}
    times: Counter[str] = Counter()
    for said, run in groupby(sorted(records, key=sequence), state):
        record = next(run)
        if said in ("cancelled", "returned"):
            event = {"cancelled": "Order Cancelled", "returned": "Order Refunded"}[said]
            key = {"cancelled": "cancelled", "returned": "refunded"}[said]
        elif "completed" not in found:
            event, key = "Order Completed", "completed"
        else:
            event, key = "Order Updated", f"updated:{said}"
        if event != "Order Completed":
            times[key] += 1
            key = f"{key}:{times[key]}"
        found[key] = (event, record["recorded_at"].timestamp(), *[record[name] for name in CONTENT])
    return found


@TABLES
@given(cases=st.lists(lives(), min_size=40, max_size=60))
def test_events_are_those_of_plain_python_and_no_key_is_lost(
    spark: SparkSession, cases: list[tuple[list[Record], list[bool]]]
) -> None:
    whole = {f"o{n}": records for n, (records, _) in enumerate(cases)}
    # The same orders when only some of the records had arrived, under other ids.
    before = {
        f"before{n}": [record for record, has in zip(records, arrived, strict=True) if has]
        for n, (records, arrived) in enumerate(cases)
    }
    orders = whole | before
    rows = [record | {"order_id": name} for name, records in orders.items() for record in records]
    found: dict[str, dict[str, tuple[Any, ...]]] = {name: {} for name in orders}
    columns = ("order_event_id", "order_id", "event", "unix_seconds(occurred_at)", *CONTENT, "total")
    answers = order_events(orders_table(spark, rows)).selectExpr(*columns).collect()
    for key, name, *values, total in answers:
        assert total == Decimal(values[-2]) * values[-1]
        found[name][key.removeprefix(f"{name}:")] = tuple(values)
    assert len(answers) == sum(len(of_order) for of_order in found.values())
    assert found == {name: expected(records) for name, records in orders.items()}
    for number in range(len(cases)):
        assert found[f"before{number}"].keys() <= found[f"o{number}"].keys()


@given(lives(), st.randoms(use_true_random=False))
def test_whatever_arrives_next_the_keys_only_grow(
    life: tuple[list[Record], list[bool]], shuffle: Any
) -> None:
    """In plain Python, which the test above compares: every arrival after every other one."""
    records = life[0].copy()
    shuffle.shuffle(records)
    keys: set[str] = set()
    for count in range(1, len(records) + 1):
        now = expected(records[:count]).keys()
        assert keys <= now
        # One record adds what it says and, where it divides a run, what is said again after it.
        assert len(now - keys) <= 2
        keys = set(now)

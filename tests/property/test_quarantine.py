"""Nothing is lost: every record is kept, quarantined with every reason, or a counted duplicate."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.domain.entities import ORDERS
from ecommerce_lakehouse.quality.quarantine import kept, quarantined, with_broken_rules
from ecommerce_lakehouse.quality.rules import rules_for
from ecommerce_lakehouse.transforms.ingest import latest_per_key, parse, sequence, superseded
from lakerun.pipelines.auto_cdc import ChangeBatch, apply_changes
from lakerun.pipelines.definitions import AutoCdc, FlowDefinition
from lakerun.tables.delta_files import read_table
from tests.unit.bronze import INGESTED_AT, bronze

# Spark answers in seconds: each example is a whole table of cases.
TABLES = settings(
    max_examples=3,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.large_base_example,
    ],
)

# Values that the source may deliver, as JSON text, with their meaning: None if they have none.
TEXT = {'"A-1"': "A-1", '" A-2 "': "A-2", '""': None, '"  "': None, "null": None, "7": "7"}
PRICE = {
    "19.99": Decimal("19.99"),
    '"0.01"': Decimal("0.01"),
    "10000": Decimal(10_000),
    "10000.01": Decimal("10000.01"),
    "0": Decimal(0),
    "-1": Decimal(-1),
    "9.999": None,
    '"cheap"': None,
    "null": None,
}
QUANTITY = {
    "1": 1,
    '"2"': 2,
    "100": 100,
    "101": 101,
    "0": 0,
    "-4": -4,
    "1.5": None,
    '"many"': None,
    "null": None,
}
STATUS = {'"shipped"': "shipped", '" RETURNED "': "returned", '"lost"': "lost", "3": "3", "null": None}
DAY = timedelta(days=1)
TIMES = [INGESTED_AT - 90 * DAY, INGESTED_AT, INGESTED_AT + DAY, INGESTED_AT + DAY + timedelta(seconds=1)]
TIMESTAMP: dict[str, datetime | None] = {
    **{time.strftime('"%Y-%m-%dT%H:%M:%SZ"'): time for time in TIMES},
    '"2024-02-30T10:00:00Z"': None,
    '"10:00"': None,
    "null": None,
}
FIELDS: dict[str, dict[str, Any]] = {
    "order_id": TEXT,
    "customer_id": TEXT,
    "product_id": TEXT,
    "price": PRICE,
    "quantity": QUANTITY,
    "status": STATUS,
    "order_timestamp": TIMESTAMP,
    "updated_at": {
        "null": None,
        '""': None,
        '"soon"': "unreadable",
        '"2024-02-01 10:00:00 BST"': "unreadable",
    }
    | {text: time for text, time in TIMESTAMP.items() if time},
}
STATUSES = {"pending", "processing", "shipped", "delivered", "cancelled", "returned"}
# The rules of orders again, in Python, over the meant values, the line's encoding and its form.
ORDER_RULES: dict[str, Callable[[dict[str, Any]], bool]] = {
    "valid_encoding": lambda row: row["damage"] != "encoding",
    "valid_json": lambda row: row["damage"] != "truncated",
    "keys_given_once": lambda row: row["damage"] != "repeated",
    "valid_order_id": lambda row: row["order_id"] is not None,
    "valid_customer_id": lambda row: row["customer_id"] is not None,
    "valid_product_id": lambda row: row["product_id"] is not None,
    "valid_quantity": lambda row: row["quantity"] is not None and 1 <= row["quantity"] <= 100,
    "valid_price": lambda row: row["price"] is not None and 0 < row["price"] <= 10_000,
    "valid_status": lambda row: row["status"] in STATUSES,
    "valid_order_timestamp": lambda row: row["order_timestamp"] is not None,
    "order_not_in_future": lambda row: (
        row["order_timestamp"] is not None and row["order_timestamp"] <= INGESTED_AT + DAY
    ),
    "valid_updated_at": lambda row: row["updated_at"] != "unreadable",
    "update_not_in_future": lambda row: (
        row["updated_at"] in (None, "unreadable") or row["updated_at"] <= INGESTED_AT + DAY
    ),
}


@st.composite
def order_lines(draw: st.DrawFn) -> tuple[bytes, dict[str, Any]]:
    """A line, valid in most fields, and its meaning."""
    texts = {}
    for name, pool in FIELDS.items():
        sound = draw(st.integers(0, 5)) > 0
        texts[name] = next(iter(pool)) if sound else draw(st.sampled_from(list(pool)))
    damage = draw(st.sampled_from([*[None] * 8, "encoding", "truncated", "repeated"]))
    product = b'"caf\xe9"' if damage == "encoding" else b'"caf\xc3\xa9"'
    body = ", ".join(f'"{field}": {text}' for field, text in texts.items())
    raw = b'{"product_name": ' + product + b", " + body.encode() + b"}"
    if damage == "repeated":
        raw = raw[:-1] + b', "price": 1}'
    if damage == "truncated":
        return raw[: draw(st.integers(0, len(raw) - 1))], dict.fromkeys(FIELDS) | {"damage": damage}
    return raw, {field: FIELDS[field][text] for field, text in texts.items()} | {"damage": damage}


@TABLES
@given(cases=st.lists(order_lines(), min_size=60, max_size=100))
def test_every_order_is_kept_or_quarantined_with_exactly_the_rules_it_breaks(
    spark: SparkSession, cases: list[tuple[bytes, dict[str, Any]]]
) -> None:
    # A cut can fall within the two bytes of a letter: then the line is not UTF-8 either.
    expected = {}
    for number, (raw, meant) in enumerate(cases):
        broken = [name for name, holds in ORDER_RULES.items() if not holds(meant)]
        if meant["damage"] == "truncated" and raw.endswith(b"\xc3"):
            broken.insert(0, "valid_encoding")
        expected[str(number)] = broken
    rules = rules_for("silver_orders", get_config("dev"))
    assert set(rules.drop) == set(ORDER_RULES)

    lines = bronze(spark, [raw for raw, _ in cases])
    checked = with_broken_rules(parse(lines, ORDERS), rules.drop)
    good = kept(checked).select("source_file", "raw_line", F.lit(None).alias("raw_text"), "broken_rules")
    bad = quarantined(checked).select("source_file", "raw_line", "raw_text", "broken_rules")
    rows = (
        good.withColumn("place", F.lit("kept")).unionByName(bad.withColumn("place", F.lit("bad"))).collect()
    )

    assert sorted(int(row.source_file) for row in rows) == list(range(len(cases)))
    for row in rows:
        raw = cases[int(row.source_file)][0]
        assert sorted(row.broken_rules) == sorted(expected[row.source_file]), raw
        if row.place == "kept":
            assert (row.broken_rules, row.raw_line) == ([], None)
        else:
            assert row.broken_rules
            assert bytes(row.raw_line) == raw
            # However many marks stand for the damaged bytes, the rest of the text is as it was.
            assert row.raw_text.replace("\ufffd", "") == raw.decode(errors="ignore")


# Duplicates -------------------------------------------------------------------------------------------------

RECORD_SCHEMA = (
    "order_id string, recorded_at timestamp, status_step int, record_hash bigint, source_file string, "
    "quantity int, line_hash int, order_date date"
)
Record = tuple[str, datetime, int, int, str, int, int, date]


@st.composite
def shipments(draw: st.DrawFn) -> list[Record]:
    """Records of a few orders, with repeated times, contents and files, and whole records repeated."""
    facts = st.tuples(
        st.integers(0, 2), st.integers(0, 1), st.integers(5, 6), st.integers(-1, 1), st.sampled_from("ab")
    )
    drawn = draw(st.lists(facts, min_size=1, max_size=8))
    # A record's hash stands for its content: equal hashes come with equal quantities and dates.
    return [
        (
            *(f"o{key}", datetime(2024, 1, 1 + day, tzinfo=UTC), step, content, file),
            *(content + 5, content - 5, date(2024, 1, 5 + content)),
        )
        for key, day, step, content, file in drawn
    ]


@TABLES
@given(
    deliveries=st.lists(shipments(), min_size=30, max_size=50),
    shuffle=st.randoms(use_true_random=False),
)
def test_one_record_per_order_stays_and_the_others_are_the_duplicates(
    spark: SparkSession,
    tmp_path_factory: pytest.TempPathFactory,
    deliveries: list[list[Record]],
    shuffle: Any,
) -> None:
    # Each delivery is a case of its own: its number is part of its keys.
    rows = [(f"{n}-{row[0]}", *row[1:]) for n, records in enumerate(deliveries) for row in records]
    shuffled = rows.copy()
    shuffle.shuffle(shuffled)
    records = spark.createDataFrame(rows, RECORD_SCHEMA).coalesce(1)
    latest = latest_per_key(records, ORDERS)
    cut = len(rows) // 3
    batches = [spark.createDataFrame(part, RECORD_SCHEMA) for part in (shuffled[cut:], shuffled[:cut])]
    answers = {
        "latest by auto CDC": _by_auto_cdc(batches, tmp_path_factory.mktemp("silver")),
        "latest": latest,
        "latest of latest": latest_per_key(latest, ORDERS),
        "latest in another order": latest_per_key(spark.createDataFrame(shuffled, RECORD_SCHEMA), ORDERS),
        "superseded": superseded(records, ORDERS),
    }
    columns = (
        "order_id",
        "unix_seconds(recorded_at)",
        "status_step",
        "record_hash",
        "source_file",
        "quantity",
        "line_hash",
        "order_date",
    )
    labelled = [
        answer.selectExpr(
            f"'{name}'", *columns, "newest_order_date" if name == "superseded" else "order_date AS same"
        )
        for name, answer in answers.items()
    ]
    whole = labelled[0]
    for each in labelled[1:]:
        whole = whole.union(each)
    found: dict[str, Counter[Any]] = {name: Counter() for name in answers}
    newest_dates: dict[str, set[date]] = defaultdict(set)
    for answer in whole.collect():
        found[answer[0]][tuple(answer[1:-1])] += 1
        newest_dates[answer[1]].add(answer[-1])

    plain = [(key, int(time.timestamp()), *rest) for key, time, *rest in rows]
    newest: dict[object, Any] = {}
    for row in plain:
        if row[0] not in newest or row[1:5] > newest[row[0]][1:5]:
            newest[row[0]] = row
    assert found["latest"] == Counter(newest.values())
    assert found["latest by auto CDC"] == found["latest"]
    assert found["latest of latest"] == found["latest"]
    assert found["latest in another order"] == found["latest"]
    assert found["superseded"] + found["latest"] == Counter(plain)
    assert newest_dates == {row[0]: {row[-1]} for row in newest.values()}


def _by_auto_cdc(batches: list[DataFrame], folder: Path) -> DataFrame:
    """The records as they are in silver after a stream delivered them in these batches."""
    spark, target = batches[0].sparkSession, folder / "target"
    declared = AutoCdc(source="valid_orders", keys=(ORDERS.key,), sequence_by=sequence(ORDERS))
    flow = FlowDefinition("silver_orders", "silver_orders", "test.py:1", None, declared)
    spark.createDataFrame([], RECORD_SCHEMA).write.format("delta").save(str(target))
    for number, rows in enumerate(batches):
        apply_changes(
            ChangeBatch(
                flow=flow,
                flows=[flow],
                rows=rows,
                target=target,
                memory=folder / "memory",
                app_id="silver_orders",
                batch_id=number,
                target_is_empty=number == 0,
            )
        )
    return read_table(spark.read, target)


def test_the_pools_of_values_are_json() -> None:
    for pool in FIELDS.values():
        for text in pool:
            json.loads(text)

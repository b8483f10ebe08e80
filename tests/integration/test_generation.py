"""The synthetic data, read back from its files in plain Python."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from ecommerce_lakehouse.config import LakehouseConfig, get_config
from ecommerce_lakehouse.domain.entities import (
    CATEGORIES,
    DEVICE_TYPES,
    LOYALTY_TIERS,
    ORDER_STATUSES,
    SAMPLED,
)
from ecommerce_lakehouse.generation import GenerationError, Manifest, generate_sample_data, plan
from ecommerce_lakehouse.generation.issues import KINDS
from ecommerce_lakehouse.generation.manifest import ORDER_UPDATES, Parameters
from ecommerce_lakehouse.generation.plan import BatchPlan
from ecommerce_lakehouse.generation.records import lines_of

ORDERS, SESSIONS, CUSTOMERS = 9_000, 6_000, 900
EVENT_TIMES = {
    "orders": "order_timestamp",
    "customer_activity": "session_timestamp",
    "customer_profiles": "updated_at",
}


@dataclass(frozen=True)
class Volume:
    """A generated volume: its settings and manifests."""

    config: LakehouseConfig
    manifests: list[Manifest]

    def lines(self, entity: str, batch: int = 0) -> list[bytes]:
        folder = Path(self.config.source_path("orders" if entity == ORDER_UPDATES else entity))
        parts = [(folder / name).read_bytes() for name in self.manifests[batch].datasets[entity].files]
        return b"".join(parts).removesuffix(b"\n").split(b"\n")

    def records(self, entity: str, batch: int = 0) -> list[dict[str, Any]]:
        return [record for line in self.lines(entity, batch) if (record := readable(line)) is not None]


def readable(line: bytes) -> dict[str, Any] | None:
    try:
        return json.loads(line.decode("utf-8"))
    except ValueError:
        return None


def kinds_of(entity: str, lines: list[bytes]) -> Counter[str | None]:
    """Every line's issue, derived only from its bytes."""
    seen: set[bytes] = set()
    kinds: Counter[str | None] = Counter()
    for line in lines:
        kinds["duplicate" if line in seen else kind_of(entity, line)] += 1
        seen.add(line)
    return kinds


def kind_of(entity: str, line: bytes) -> str | None:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return "non_utf8"
    record = readable(line)
    if record is None:
        return "truncated_json"
    faults = {
        "orders": {
            "bad_format": isinstance(record.get("price"), str),
            "out_of_range": record.get("quantity", 0) < 1,
            "unknown_status": record.get("status") not in ORDER_STATUSES,
        },
        "customer_activity": {
            "bad_format": isinstance(record.get("session_duration_seconds"), str),
            "out_of_range": record.get("page_views", 0) < 0,
            "unknown_status": record.get("device_type") not in DEVICE_TYPES,
        },
        "customer_profiles": {
            "bad_format": "@" not in record.get("email", ""),
            "out_of_range": record.get("age", 0) > 120,
            "unknown_status": record.get("loyalty_tier") not in LOYALTY_TIERS,
        },
    }[entity]
    names = set(SAMPLED[entity].field_names)
    faults["null_key"] = record.get(SAMPLED[entity].key) is None
    faults["future_date"] = record[EVENT_TIMES[entity]].startswith("2999")
    faults["unexpected_column"] = bool(set(record) - names)
    found = [kind for kind, faulty in faults.items() if faulty]
    assert len(found) <= 1, f"{found} in one line: {line!r}"
    optional = {"updated_at"} if entity == "orders" else set()
    assert names - optional <= set(record)
    return found[0] if found else None


def local_config(root: Path) -> LakehouseConfig:
    return get_config("local").model_copy(update={"volumes_root": str(root)})


@pytest.fixture(scope="module")
def dirty(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Volume:
    """Three batches with the default share of issues."""
    config = local_config(tmp_path_factory.mktemp("dirty"))
    sizes = {"orders": ORDERS, "customer_activity": SESSIONS, "customers": CUSTOMERS}
    generate_sample_data(spark, config, **sizes, issue_rate=0.05)
    generate_sample_data(spark, config, batches=2)
    return Volume(config, manifests_of(config))


@pytest.fixture(scope="module")
def clean(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Volume:
    """One batch without an issue."""
    config = local_config(tmp_path_factory.mktemp("clean"))
    sizes = {"orders": ORDERS, "customer_activity": SESSIONS, "customers": CUSTOMERS}
    return Volume(config, generate_sample_data(spark, config, **sizes, issue_rate=0))


def manifests_of(config: LakehouseConfig) -> list[Manifest]:
    paths = sorted(Path(config.manifests_path).iterdir())
    return [Manifest.model_validate_json(path.read_text("utf-8")) for path in paths]


@pytest.mark.parametrize("entity", SAMPLED)
def test_the_manifest_counts_the_issues_that_the_files_hold(dirty: Volume, entity: str) -> None:
    for batch, manifest in enumerate(dirty.manifests):
        dataset = manifest.datasets[entity]
        lines = dirty.lines(entity, batch)
        kinds = kinds_of(entity, lines)
        del kinds[None]
        assert dataset.rows == len(lines)
        assert {kind: count for kind, count in dataset.issues.items() if count} == dict(kinds)
        assert sum(dataset.issues.values()) == round(0.05 * len(lines))
        assert max(dataset.issues.values()) - min(dataset.issues.values()) <= 1


@pytest.mark.parametrize("entity", SAMPLED)
def test_every_line_is_silver_an_update_quarantined_or_a_duplicate(dirty: Volume, entity: str) -> None:
    key, known = SAMPLED[entity].key, set()
    for batch, manifest in enumerate(dirty.manifests):
        lines = dirty.lines(entity, batch)
        valid = [
            readable(line) for line in set(lines) if kind_of(entity, line) in (None, "unexpected_column")
        ]
        keys = [record[key] for record in valid if record]
        expected = manifest.datasets[entity].expected
        assert len(keys) == len(set(keys))
        assert expected.silver == len(set(keys) - known)
        assert expected.updates == len(set(keys) & known)
        assert expected.silver + expected.updates + expected.quarantined + expected.duplicates == len(lines)
        known |= set(keys)


def test_orders_and_sessions_come_from_customers_with_a_valid_profile(dirty: Volume) -> None:
    profiles: set[str] = set()
    for batch in range(3):
        for line in dirty.lines("customer_profiles", batch):
            if kind_of("customer_profiles", line) is None:
                profiles.add(json.loads(line)["customer_id"])
        for entity in ("orders", "customer_activity"):
            customers = {record["customer_id"] for record in dirty.records(entity, batch)}
            assert customers
            assert customers <= profiles


def test_customers_sign_up_before_their_first_event(clean: Volume) -> None:
    signup = {record["customer_id"]: record["signup_date"] for record in clean.records("customer_profiles")}
    assert len(signup) == CUSTOMERS
    for entity, moment in (("orders", "order_timestamp"), ("customer_activity", "session_timestamp")):
        for record in clean.records(entity):
            assert signup[record["customer_id"]] < record[moment][:10]
    assert sum(date >= "2024" for date in signup.values()) == pytest.approx(0.4 * CUSTOMERS, abs=1)


@pytest.mark.parametrize(
    ("entity", "moment"), [("orders", "order_timestamp"), ("customer_activity", "session_timestamp")]
)
def test_events_arrive_in_time_order_and_a_batch_is_its_days(dirty: Volume, entity: str, moment: str) -> None:
    moments = []
    for batch, manifest in enumerate(dirty.manifests):
        times = [
            datetime.fromisoformat(record[moment])
            for record in dirty.records(entity, batch)
            if not record[moment].startswith("2999")
        ]
        assert all(manifest.starts_at <= time < manifest.ends_at for time in times)
        moments += times
    assert moments == sorted(moments)
    starts = [(manifest.starts_at, manifest.ends_at) for manifest in dirty.manifests]
    days = [datetime(2024, month, day, tzinfo=UTC) for month, day in ((1, 1), (3, 31), (4, 1), (4, 2))]
    assert starts == list(pairwise(days))


def test_a_later_batch_is_a_days_share_with_new_customers_and_newer_profiles(dirty: Volume) -> None:
    rows = [[m.datasets[entity].rows for entity in SAMPLED] for m in dirty.manifests]
    # A ninetieth of the events; a nine-hundredth of new customers and a hundredth of updated ones.
    assert rows == [[9000, 900, 6000], [100, 10, 67], [100, 10, 67]]
    first = {r["customer_id"]: r for r in dirty.records("customer_profiles")}
    later = [r for r in dirty.records("customer_profiles", 1) if r["customer_id"] in first]
    assert later
    for record in later:
        known = first[record["customer_id"]]
        assert record["updated_at"] > known["updated_at"]
        assert {record[k] == known[k] for k in ("email", "signup_date", "gender", "country")} == {True}


def test_some_orders_live_on_are_corrected_come_again_in_other_words_or_late(dirty: Volume) -> None:
    first: dict[str, dict[str, Any]] = {}
    late, corrected, arrived = 0, 0, set()
    for batch, manifest in enumerate(dirty.manifests):
        first |= {record["order_id"]: record for record in dirty.records("orders", batch)}
        days = {(manifest.starts_at + timedelta(days=day)).date() for day in range(90 if batch == 0 else 1)}
        expected = manifest.datasets[ORDER_UPDATES].expected
        told: dict[str, list[dict[str, Any]]] = {}
        for record in dirty.records(ORDER_UPDATES, batch):
            told.setdefault(record["order_id"], []).append(record)
        new = [records for key, records in told.items() if key not in first]
        assert [len(records) for records in new] == [1] * expected.silver
        assert all(record["updated_at"] is None for (record,) in new)
        assert (expected.updates, expected.duplicates) == (3 * len(new), 0)
        late += len(new)
        for key in told.keys() & first.keys():
            known, records = first[key], told[key]
            placed = datetime.fromisoformat(known["order_timestamp"]).date()
            assert {datetime.fromisoformat(record["updated_at"]).date() for record in records} == {
                placed + timedelta(days=1)
            }
            assert placed + timedelta(days=1) in days
            arrived.add(records[0]["updated_at"] < records[-1]["updated_at"])
            processed, *same_time = sorted(records, key=lambda record: record["updated_at"])
            decided, repeated = sorted(same_time, key=lambda r: -ORDER_STATUSES.index(r["status"]))
            assert (known["status"], processed["status"], repeated["status"]) == (
                "pending", "processing", "pending",
            )  # fmt: skip
            assert decided["status"] != "pending"
            assert decided["updated_at"] == repeated["updated_at"] > processed["updated_at"]
            changed = {name for name in known if decided[name] != known[name]}
            assert changed - {"quantity"} == {"status"}
            corrected += "quantity" in changed
    assert arrived == {True, False}
    assert (late, corrected) == (pytest.approx(8550 / 50, abs=4), pytest.approx(8550 / 200, abs=4))


def test_prices_are_exponential_and_vary_a_little_per_product(clean: Volume) -> None:
    orders = clean.records("orders")
    prices = sorted(record["price"] for record in orders)
    mean, median = sum(prices) / len(prices), prices[len(prices) // 2]
    # An exponential distribution has median = ln 2 * mean, and a share exp(-2) above twice its mean.
    assert mean == pytest.approx(60, rel=0.15)
    assert median / mean == pytest.approx(math.log(2), rel=0.15)
    assert sum(price > 2 * mean for price in prices) / len(prices) == pytest.approx(math.exp(-2), rel=0.3)
    assert prices[0] >= 0.5
    assert prices[-1] <= clean.config.max_price
    assert all(price == round(price, 2) for price in prices)
    favourite, count = Counter(record["product_id"] for record in orders).most_common(1)[0]
    ours = [record["price"] for record in orders if record["product_id"] == favourite]
    average = sum(ours) / count
    deviation = math.sqrt(sum((price - average) ** 2 for price in ours) / count)
    assert deviation / average == pytest.approx(0.04, rel=0.2)


def test_few_products_and_customers_make_up_much_of_the_sales(clean: Volume) -> None:
    orders = clean.records("orders")
    products = Counter(record["product_id"] for record in orders)
    customers = Counter(record["customer_id"] for record in orders)
    assert 190 <= len(products) <= 200
    assert sum(count for _, count in products.most_common(20)) > 0.4 * ORDERS
    assert sum(count for _, count in customers.most_common(90)) > 0.25 * ORDERS
    assert sum(count > 1 for count in customers.values()) > 0.8 * len(customers)
    assert {record["category"] for record in orders} == set(CATEGORIES)
    quantities = Counter(record["quantity"] for record in orders)
    assert set(quantities) == set(range(1, 11))
    assert quantities[1] > quantities[2] > quantities[3] > quantities[5]
    assert Counter(record["status"] for record in orders).most_common(1)[0][0] == "delivered"


def test_evenings_and_weekends_are_busier(clean: Volume) -> None:
    times = [datetime.fromisoformat(record["order_timestamp"]) for record in clean.records("orders")]
    hours = Counter(time.hour for time in times)
    weekdays = Counter(time.weekday() for time in times if time < datetime(2024, 3, 25, tzinfo=UTC))
    # 8 of 100 orders between 19 and 20 h, 1 between 3 and 4 h; 13 of 70 on a Saturday, 8 on a Tuesday.
    assert hours[19] / ORDERS == pytest.approx(0.08, rel=0.15)
    assert hours[3] / ORDERS == pytest.approx(0.01, rel=0.3)
    assert weekdays[5] / weekdays[1] == pytest.approx(13 / 8, rel=0.05)


def test_sessions_have_normal_lengths_and_people_have_a_usual_device(clean: Volume) -> None:
    sessions = clean.records("customer_activity")
    lengths = [record["session_duration_seconds"] for record in sessions]
    mean = sum(lengths) / SESSIONS
    deviation = math.sqrt(sum((length - mean) ** 2 for length in lengths) / SESSIONS)
    assert min(lengths) >= 10
    assert (mean, deviation) == (pytest.approx(480, rel=0.02), pytest.approx(160, rel=0.05))
    assert sum(abs(length - mean) < deviation for length in lengths) / SESSIONS == pytest.approx(
        0.683, abs=0.02
    )
    assert all(record["page_views"] >= record["cart_adds"] >= 0 for record in sessions)
    assert sum(record["cart_adds"] > 0 for record in sessions) > 0.2 * SESSIONS
    regular = Counter(record["customer_id"] for record in sessions).most_common(1)[0][0]
    devices = Counter(r["device_type"] for r in sessions if r["customer_id"] == regular)
    assert devices.most_common(1)[0][1] > 0.7 * devices.total()


def test_the_same_seed_gives_the_same_bytes_in_any_time_zone_and_any_split(
    spark: SparkSession, dirty: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "LINES_PER_FILE", 4000)
    zone = spark.conf.get("spark.sql.session.timeZone")
    spark.conf.set("spark.sql.session.timeZone", "America/New_York")
    try:
        config = local_config(tmp_path)
        sizes = {"orders": ORDERS, "customer_activity": SESSIONS, "customers": CUSTOMERS}
        again = Volume(config, generate_sample_data(spark, config, **sizes, issue_rate=0.05))
    finally:
        spark.conf.set("spark.sql.session.timeZone", str(zone))
    assert again.manifests[0].datasets["orders"].files == tuple(
        f"orders_b000000_p0000{part}.json" for part in range(3)
    )
    for entity in (*SAMPLED, ORDER_UPDATES):
        assert again.lines(entity) == dirty.lines(entity)


def test_another_seed_gives_other_data(spark: SparkSession) -> None:
    first, second = (orders_of(spark, lines=100, seed=seed, issue_rate=0.05) for seed in (1, 2))
    for lines in (first, second):
        kinds = kinds_of("orders", lines)
        assert (kinds.total(), kinds[None]) == (100, 95)
    moments = [
        {json.loads(line)["order_timestamp"] for line in lines if readable(line)} for lines in (first, second)
    ]
    assert not moments[0] & moments[1] - {"2999-01-01T00:00:00Z"}


def test_with_an_issue_in_every_line_nothing_is_clean_and_nothing_repeats(spark: SparkSession) -> None:
    kinds = kinds_of("orders", orders_of(spark, lines=80, seed=1, issue_rate=1))
    assert kinds == {kind: 10 for kind in KINDS if kind != "duplicate"}


def orders_of(spark: SparkSession, lines: int, seed: int, issue_rate: float) -> list[bytes]:
    parameters = Parameters(
        seed=seed, orders=lines, customer_activity=1, customers=20, days=90, issue_rate=issue_rate
    )
    frame = lines_of(spark, get_config("local"), BatchPlan(parameters, 0), "orders")
    return [bytes(row.line) for row in frame.selectExpr("cast(value AS BINARY) AS line").collect()]


def test_a_batch_that_reaches_the_future_is_refused_before_anything_is_written(
    spark: SparkSession, tmp_path: Path
) -> None:
    config = local_config(tmp_path)
    with pytest.raises(GenerationError, match=r"^Batch 1 would reach 2024-04-01, .*nothing was generated"):
        generate_sample_data(spark, config, batches=2, now=datetime(2024, 3, 31, 12, tzinfo=UTC))
    assert [path.name for path in Path(config.volume_path).iterdir()] == ["_generator.lock"]


def test_a_batch_with_other_parameters_than_the_first_is_refused(spark: SparkSession, dirty: Volume) -> None:
    with pytest.raises(GenerationError, match=r"^seed is 42, not 7, in the data of "):
        generate_sample_data(spark, dirty.config, seed=7)
    with pytest.raises(GenerationError, match=r"^orders is 9000, not 10,"):
        generate_sample_data(spark, dirty.config, orders=10)
    assert manifests_of(dirty.config) == dirty.manifests


def test_a_value_out_of_range_is_one_line(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(GenerationError, match=r"^orders: .*greater than or equal to 1, not 0$"):
        generate_sample_data(spark, local_config(tmp_path), orders=0)
    with pytest.raises(GenerationError, match=r"^issue_rate: .*less than or equal to 1, not 1.5$"):
        generate_sample_data(spark, local_config(tmp_path), issue_rate=1.5)

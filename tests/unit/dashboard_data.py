"""A small shop for the dashboards as Delta tables, without Spark: logs, quarantine, gold, activation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from ecommerce_lakehouse.activation.sync.tables import SCHEMAS
from lakerun.tables.storage import Storage, TableName
from tests.unit.health_data import SCHEMA, Log

MEDALLION, FEATURES, BATCHES = (
    "medallion_dlt_pipeline",
    "ml_features_pipeline",
    "order_analytics_pipeline",
)
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


@dataclass(frozen=True)
class Update:
    """An update at ten o'clock, some days ago. Without a state it is still running."""

    pipeline: str
    id: str
    days_ago: int
    seconds: int
    state: str
    validate_only: bool = False

    @property
    def start(self) -> datetime:
        return TODAY - timedelta(days=self.days_ago) + timedelta(hours=10)


@dataclass(frozen=True)
class Flow:
    """An event of a flow, some seconds into its update. `rules` are (name, passed, failed)."""

    update: str
    dataset: str
    after: int
    status: str
    rows: int | None = None
    rules: tuple[tuple[str, int, int], ...] = ()
    level: str = "INFO"


UPDATES = [
    Update(MEDALLION, "m0", 45, 500, "FAILED"),  # too long ago
    Update(MEDALLION, "m1", 9, 100, "COMPLETED"),
    Update(MEDALLION, "m2", 9, 20, "FAILED"),
    Update(MEDALLION, "m3", 3, 60, "COMPLETED"),
    Update(MEDALLION, "m4", 2, 30, "COMPLETED", validate_only=True),
    Update(MEDALLION, "m5", 2, 10, "CANCELED"),
    Update(MEDALLION, "m6", 1, 0, ""),
    Update(FEATURES, "f1", 3, 40, "COMPLETED"),
    Update(BATCHES, "b1", 1, 15, "FAILED"),
    Update(BATCHES, "b2", 1, 25, "COMPLETED"),
]
FLOWS = [
    Flow("m0", "silver_orders", 30, "COMPLETED", 999, (("valid_price", 1, 998),)),
    Flow("m1", "silver_orders", 20, "RUNNING", 90, (("valid_price", 85, 5), ("valid_status", 90, 0))),
    Flow("m1", "silver_orders", 40, "RUNNING", 10, (("valid_price", 8, 2), ("valid_status", 9, 1))),
    Flow("m1", "silver_orders", 50, "COMPLETED"),
    Flow("m1", "gold_daily_sales", 80, "COMPLETED", 7, (("positive_revenue", 7, 0),)),
    Flow("m3", "silver_orders", 20, "SKIPPED"),  # nothing new
    Flow("m3", "gold_daily_sales", 30, "SKIPPED", level="WARN"),  # upstream failed
    Flow("f1", "`feature_value`", 35, "COMPLETED", 12, (("known_customer", 6, 6),)),
    Flow("b2", "silver_order_batches", 20, "COMPLETED", 45, (("valid_price", 40, 10),)),
]
DEFINED = {
    "m1": ["silver_orders", "gold_daily_sales", "gold_removed"],
    "m3": ["silver_orders", "gold_daily_sales"],
    "f1": ["`feature_value`"],
    "b2": ["silver_order_batches"],
}
QUARANTINE: dict[str, list[tuple[int, list[str]]]] = {  # days ago, broken rules
    "orders": [(9, ["valid_price"]), (9, ["valid_price", "valid_status"]), (3, ["valid_status"])],
    "customers": [(3, ["valid_email"])],
    "customer_activity": [],
    "order_batches": [(1, ["valid_price", "valid_items"])],
}
# run, sync, kind, days ago, how it ended, messages due
RUNS = [
    ("r0", "customers", "identify", 40, "INCOMPLETE", 99),  # too long ago
    ("r1", "customers", "identify", 9, "INCOMPLETE", 4),
    ("r2", "customers", "identify", 3, "COMPLETED", 0),
    ("r3", "order_events", "track", 3, "INCOMPLETE", 2),
    ("r4", "order_events", "track", 1, "INTERRUPTED", None),  # killed after two receipts
]
# run, person, operation, messageId
RECEIPTS = [
    ("r0", "old", "insert", "m0"),
    ("r1", "ana", "insert", "m1"),
    ("r1", "ben", "insert", "m2"),
    ("r1", "ben", "insert", "m2"),  # a flush was tried twice
    ("r2", "ben", "update", "m3"),
    ("r2", "cleo", "delete", "m4"),
    ("r3", "ana", "insert", "m5"),
    ("r4", "ana", "insert", "m6"),
    ("r4", "eve", "insert", "m7"),
]
# run, reason, status
REJECTED = [
    ("r0", "too old", 400),
    ("r1", "2 rows have this key", None),
    ("r1", "31 rows have this key", None),
    ("r1", "traits.email: the value has more than 1000 bytes", None),
    ("r2", "ann@example.com is not an address", 400),
    ("r2", "bob@example.com is not an address", 400),
]
# days ago, status, seconds
REQUESTS: list[tuple[int, int | None, float]] = [
    (40, 500, 99.0),
    *((3, 200, second / 10) for second in range(1, 19)),
    (3, 400, 2.0),
    (1, 503, 4.0),
    (1, None, 30.0),
]
FIRST_DAY = date(2024, 3, 1)
DAILY = [(day, 10 + day, 8 + day, Decimal(100 * (day + 1)) / 8) for day in range(16)]


def write_shop(storage: Storage) -> None:
    """Everything that the dashboards read."""
    write_logs(storage)
    for name, lines in QUARANTINE.items():
        _write(
            storage,
            f"quarantine_{name}",
            {
                "raw_line": (pa.binary(), [b"{}" for _ in lines]),
                "ingested_at": (pa.timestamp("us", "UTC"), [arrival(days) for days, _ in lines]),
                "broken_rules": (pa.list_(pa.string()), [rules for _, rules in lines]),
            },
        )
    _write_sales(storage)
    _write_customers(storage)
    _write_products(storage)
    _write_order_analytics(storage)
    write_activation(storage)


def arrival(days_ago: int) -> datetime:
    return TODAY - timedelta(days=days_ago) + timedelta(hours=9)


def write_logs(storage: Storage) -> None:
    logs = {pipeline: Log(pipeline) for pipeline in (MEDALLION, FEATURES, BATCHES)}
    updates = {update.id: update for update in UPDATES}
    for update in UPDATES:
        log = logs[update.pipeline]
        extra = {"validate_only": True} if update.validate_only else {}
        log.update(update.id, update.start, update.seconds, update.state, **extra)
        log.defines(update.id, update.start, *DEFINED.get(update.id, ()))
    for flow in FLOWS:
        update = updates[flow.update]
        details: dict[str, Any] = {"status": flow.status}
        if flow.rows is not None:
            # The silver tables are flows of changes, which have no output rows.
            name = "num_upserted_rows" if flow.dataset.startswith("silver") else "num_output_rows"
            details["metrics"] = {name: flow.rows}
        if flow.rules:
            full = ".".join((*SCHEMA, flow.dataset))
            details["data_quality"] = {
                "expectations": [
                    {"name": name, "dataset": full, "passed_records": passed, "failed_records": failed}
                    for name, passed, failed in flow.rules
                ]
            }
        at = update.start + timedelta(seconds=flow.after)
        logs[update.pipeline].add(update.id, at, "flow_progress", details, flow.dataset, flow.level)
    for log in logs.values():
        log.write(storage)


MONEY, WHOLE, TEXT, SHARE, DAY = (
    pa.decimal128(28, 2),
    pa.int64(),
    pa.string(),
    pa.float64(),
    pa.date32(),
)
CENTS = Decimal("0.01")


def _write_sales(storage: Storage) -> None:
    """Sixteen days; the newest week is days 9 to 15, the one before is days 2 to 8."""
    days = [FIRST_DAY + timedelta(days=day) for day, *_ in DAILY]
    _write(
        storage,
        "gold_daily_sales",
        {
            "order_date": (DAY, days),
            "orders": (WHOLE, [orders for _, orders, _, _ in DAILY]),
            "customers": (WHOLE, [customers for _, _, customers, _ in DAILY]),
            "units": (WHOLE, [2 * orders for _, orders, _, _ in DAILY]),
            "revenue": (MONEY, [revenue.quantize(CENTS) for *_, revenue in DAILY]),
            "average_order_value": (pa.decimal128(18, 2), [CENTS] * len(DAILY)),
            "cancelled_orders": (WHOLE, [1] * len(DAILY)),
            "returned_orders": (WHOLE, [2] * len(DAILY)),
            "lost_value": (MONEY, [Decimal("7.50")] * len(DAILY)),
        },
    )
    weeks = [DAILY[max(0, end - 6) : end + 1] for end in range(len(DAILY))]
    _write(
        storage,
        "gold_rolling_sales",
        {
            "metric_date": (DAY, days),
            "days_covered": (pa.int32(), [len(week) for week in weeks]),
            "orders_7d": (WHOLE, [sum(day[1] for day in week) for week in weeks]),
            "customers_7d": (WHOLE, [50 + end for end in range(len(weeks))]),
            "units_7d": (WHOLE, [sum(2 * day[1] for day in week) for week in weeks]),
            "revenue_7d": (MONEY, [sum((day[3] for day in week), Decimal(0)) for week in weeks]),
            "average_order_value_7d": (pa.decimal128(18, 2), [Decimal("9.99")] * len(weeks)),
            "average_daily_revenue_7d": (pa.decimal128(18, 2), [Decimal("88.80")] * len(weeks)),
        },
    )


# customer, segment, RFM segment, stage, churn risk, tier, value to date, predicted value
CUSTOMERS = [
    ("ana", "Premium", "Champions", "Active", "Low", "High", Decimal("900.00"), Decimal("300.00")),
    ("ben", "Standard", "Loyal", "Active", "Low", "High", Decimal("400.10"), Decimal("100.05")),
    ("cleo", "Standard", "Loyal", "Active", "Low", "Medium", Decimal("300.00"), Decimal("50.00")),
    ("dan", "Basic", "Lost", "Churned", "High", "Low", Decimal("20.00"), Decimal("0.00")),
    ("eve", "Basic", "Prospect", "Prospect", "Medium", "None", Decimal("0.00"), Decimal("0.00")),
]
# product, name, category, orders, units, revenue
PRODUCTS = [
    (f"p{n:02}", f"Product {n}", "Books" if n % 2 else "Toys", n, 2 * n, Decimal(n % 7) * 10)
    for n in range(25)
]


def _write_customers(storage: Storage) -> None:
    ids, segments, rfm, stages, risks, tiers, values, predicted = zip(*CUSTOMERS, strict=True)
    _write(
        storage,
        "gold_customer_segments",
        {
            "customer_id": (TEXT, ids),
            "customer_segment": (TEXT, segments),
            "rfm_segment": (TEXT, rfm),
            "lifecycle_stage": (TEXT, stages),
            "churn_risk": (TEXT, risks),
            "value_tier": (TEXT, tiers),
            "lifetime_value": (MONEY, values),
        },
    )
    totals = [value + more for value, more in zip(values, predicted, strict=True)]
    _write(
        storage,
        "gold_customer_lifetime_value",
        {
            "customer_id": (TEXT, ids),
            "historical_value": (MONEY, values),
            "predicted_value": (pa.decimal128(18, 2), predicted),
            "total_value": (MONEY, totals),
        },
    )


def _write_products(storage: Storage) -> None:
    ids, names, categories, orders, units, revenue = zip(*PRODUCTS, strict=True)
    many = len(PRODUCTS)
    _write(
        storage,
        "gold_product_performance",
        {
            "product_id": (TEXT, ids),
            "product_name": (TEXT, names),
            "category": (TEXT, categories),
            "orders": (WHOLE, orders),
            "units": (WHOLE, units),
            "revenue": (MONEY, revenue),
            "average_price": (pa.decimal128(10, 2), [Decimal("5.00")] * many),
            "returns_rate": (SHARE, [0.25] * many),
            "popularity_score": (SHARE, [float(n) for n in range(many)]),
            "lifecycle_stage": (TEXT, ["Growth"] * many),
        },
    )


def _write_order_analytics(storage: Storage) -> None:
    _write(
        storage,
        "gold_order_business_metrics",
        {
            "date_ordered": (DAY, [FIRST_DAY, FIRST_DAY + timedelta(days=1)]),
            "orders": (WHOLE, [3, 0]),
            "items_sold": (WHOLE, [5, 0]),
            "customers": (WHOLE, [2, 0]),
            "revenue": (MONEY, [Decimal("30.30"), Decimal(0)]),
            "average_order_value": (pa.decimal128(18, 2), [Decimal("10.10"), Decimal(0)]),
            "unearning_orders": (WHOLE, [1, 2]),
            "unearning_share": (SHARE, [0.25, 1.0]),
        },
    )
    _write(
        storage,
        "gold_order_item_sales",
        {
            "order_item": (TEXT, ["lamp", "desk", "chair"]),
            "orders": (WHOLE, [1, 1, 1]),
            "items_sold": (WHOLE, [1, 2, 2]),
            "customers": (WHOLE, [1, 1, 1]),
            "revenue": (MONEY, [Decimal("4.30"), Decimal("13.00"), Decimal("13.00")]),
            "average_price": (pa.decimal128(18, 2), [Decimal("4.30"), Decimal("6.50"), Decimal("6.50")]),
        },
    )
    _write(
        storage,
        "gold_order_customer_analytics",
        {
            "customer_id": (TEXT, ["ben", "ana"]),
            "orders": (WHOLE, [1, 2]),
            "items_bought": (WHOLE, [1, 4]),
            "revenue": (MONEY, [Decimal("4.30"), Decimal("26.00")]),
            "last_order_date": (DAY, [FIRST_DAY, FIRST_DAY]),
            "recency_days": (pa.int32(), [1, 1]),
            "favourite_item": (TEXT, ["lamp", None]),
            "revenue_share": (SHARE, [0.125, 0.875]),
            "revenue_rank": (pa.int32(), [2, 1]),
        },
    )


def write_activation(storage: Storage, *, empty: bool = False) -> None:
    """The tables of activation, each with all its columns."""
    run = {name: (sync, kind, days) for name, sync, kind, days, *_ in RUNS}
    rows: dict[str, list[dict[str, Any]]] = {
        "state": [],
        "runs": [
            {"run_id": name, "sync": sync, "kind": kind, "event": event, "at": at, "due": due}
            for name, sync, kind, days, ended, still in RUNS
            for event, at, due in (
                ("STARTED", arrival(days), None),
                (ended, arrival(days) + timedelta(minutes=5), still),
            )
        ],
        "receipts": [
            {"run_id": name, "person": person, "operation": operation, "message_id": message}
            | {"sync": run[name][0], "accepted_at": arrival(run[name][2])}
            for name, person, operation, message in RECEIPTS
        ],
        "rejected": [
            {"run_id": name, "reason": reason, "status": status}
            | {"sync": run[name][0], "rejected_at": arrival(run[name][2])}
            for name, reason, status in REJECTED
        ],
        "requests": [
            {"at": arrival(days), "status": status, "seconds": seconds} for days, status, seconds in REQUESTS
        ],
    }
    kinds = {
        "string": TEXT,
        "int": pa.int32(),
        "bigint": WHOLE,
        "double": SHARE,
        "boolean": pa.bool_(),
        "timestamp": pa.timestamp("us", "UTC"),
    }
    for name, found in rows.items():
        columns = [column.split(" ") for column in SCHEMAS[f"activation_{name}"].split(", ")]
        given = [] if empty else found
        _write(
            storage,
            f"activation_{name}",
            {column: (kinds[kind], [row.get(column) for row in given]) for column, kind in columns},
        )


def _write(storage: Storage, name: str, columns: dict[str, tuple[pa.DataType, Any]]) -> None:
    rows = pa.table({column: pa.array(values, kind) for column, (kind, values) in columns.items()})
    path = storage.table_path(TableName(*SCHEMA, name))
    path.mkdir(parents=True)
    write_deltalake(str(path), rows)

"""Feature tables in plain Python: every snapshot looks at every event again. The expectation of the tests.

Rows are dictionaries by primary key without the key's columns; `as_of` is text in UTC.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import combinations
from typing import Any

Event = dict[str, Any]
Row = dict[str, Any]
Table = dict[tuple[str, ...], Row]

DEVICES = ("mobile", "desktop", "tablet")
EPOCH_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
START = datetime(2023, 12, 1, tzinfo=UTC)  # before any event
MONTH = timedelta(days=28)


def moment(record: Event) -> datetime:
    """When the order was placed or the session began."""
    time: datetime = record.get("order_timestamp") or record["session_timestamp"]
    return time


def known(records: list[Event], point: datetime) -> list[Event]:
    """Each order and session as its newest record from before the point says, if it happened before it."""
    newest: dict[str, Event] = {}
    for record in records:
        key = record.get("order_id") or record["session_id"]
        if record["recorded_at"] < point and (key not in newest or order_of(record) > order_of(newest[key])):
            newest[key] = record
    return [record for record in newest.values() if moment(record) < point]


def order_of(record: Event) -> tuple[datetime, int, int]:
    return record["recorded_at"], record.get("status_step", 0), record["record_hash"]


def everything(records: list[Event]) -> list[Event]:
    return records


def by_snapshot(
    records: list[Event],
    chosen: Callable[[list[Event]], list[Event]] = everything,
    grid_days: int = 7,
) -> Iterator[tuple[str, datetime, list[Event]]]:
    """Customer, snapshot, and what is known of the customer then, from the first at which there is something.

    Snapshots end at the newest record.
    """
    last = max(max(record["recorded_at"], moment(record)) for record in records)
    customers: set[str] = set()
    point = EPOCH_MONDAY
    while point <= last:
        if point > START:
            current = by_customer(chosen(known(records, point)))
            customers |= current.keys()
            for customer in customers:
                yield customer, point, current.get(customer, [])
        point += timedelta(days=grid_days)


def by_customer(rows: list[Event]) -> dict[str, list[Event]]:
    return {c: [row for row in rows if row["customer_id"] == c] for c in {row["customer_id"] for row in rows}}


def days(delta: timedelta) -> float:
    # Features count whole seconds.
    return int(delta.total_seconds()) / 86_400


def floor(time: datetime) -> datetime:
    return time.replace(microsecond=0)


def since(rows: list[Event], start: datetime, end: datetime | None = None) -> list[Event]:
    return [row for row in rows if moment(row) >= start and (end is None or moment(row) < end)]


def paid(orders: list[Event]) -> list[Event]:
    return [row for row in orders if row["status"] not in ("cancelled", "returned")]


def share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def expected_engagement(orders: list[Event], sessions: list[Event]) -> Table:
    def counts(rows: list[Event]) -> list[int]:
        fields = ("page_views", "cart_adds", "session_duration_seconds")
        return [len(rows), *[sum(row[field] for row in rows) for field in fields]]

    def score(values: list[float]) -> float:
        return sum(
            w * x / (x + h) for w, x, h in zip((0.4, 0.3, 0.2, 0.1), values, (4, 20, 2, 1200), strict=True)
        )

    def segment(value: float) -> str:
        return "high" if value >= 0.5 else "medium" if value >= 0.25 else "low" if value > 0 else "inactive"

    result: Table = {}
    names = ("sessions", "page_views", "cart_adds", "session_seconds")
    for customer, point, own in by_snapshot(sessions):
        first = min(moment(row) for row in own)
        every, recent = counts(own), counts(since(own, point - MONTH))
        usual = [x * 28 / max(28.0, days(point - floor(first))) for x in every]
        result[customer, f"{point:%F %T}"] = {
            **dict(zip(names, every, strict=True)),
            **{f"{name}_28d": value for name, value in zip(names, recent, strict=True)},
            "engagement_score_28d": score([float(x) for x in recent]),
            "engagement_segment_28d": segment(score([float(x) for x in recent])),
            "engagement_score": score(usual),
            "engagement_segment": segment(score(usual)),
        }
    return result


def expected_devices(orders: list[Event], sessions: list[Event]) -> Table:
    result: Table = {}
    for customer, point, own in by_snapshot(sessions):
        used = Counter(row["device_type"] for row in own)
        recent = Counter(row["device_type"] for row in since(own, point - MONTH))
        result[customer, f"{point:%F %T}"] = {
            "sessions": used.total(),
            **{f"{device}_share": used[device] / used.total() for device in DEVICES},
            "preferred_device": max(DEVICES, key=lambda device: used[device]),  # the first of equals
            "preferred_device_share": max(used.values()) / used.total(),
            "devices_used": len(used),
            "is_multi_device": len(used) > 1,
            "preferred_device_28d": max(DEVICES, key=lambda device: recent[device]) if recent else None,
            "devices_used_28d": len(recent),
        }
    return result


def expected_purchases(orders: list[Event], sessions: list[Event]) -> Table:
    result: Table = {}
    for customer, point, own in by_snapshot(orders, paid):
        recent = since(own, point - MONTH)
        times = sorted(floor(moment(row)) for row in own)
        count, spend = len(own), sum((row["total_order_value"] for row in own), Decimal(0))
        categories = Counter(row["category"] or "unknown" for row in own)
        favourite = min(categories, key=lambda name: (-categories[name], name), default=None)
        part_of_day = Counter(time.hour // 6 for time in times)
        result[customer, f"{point:%F %T}"] = {
            "orders": count,
            "units": sum(row["quantity"] for row in own),
            "spend": spend,
            "orders_28d": len(recent),
            "spend_28d": sum((row["total_order_value"] for row in recent), Decimal(0)),
            "average_order_value": share(float(spend), count),
            "average_units": share(sum(row["quantity"] for row in own), count),
            "average_days_between_orders": days(times[-1] - times[0]) / (count - 1) if count > 1 else None,
            "categories": len(categories),
            "category_diversity": 1 - sum((n / count) ** 2 for n in categories.values()) if count else None,
            "favourite_category": favourite,
            "favourite_category_share": share(max(categories.values(), default=0), count),
            "night_share": share(part_of_day[0], count),
            "morning_share": share(part_of_day[1], count),
            "afternoon_share": share(part_of_day[2], count),
            "evening_share": share(part_of_day[3], count),
            "weekend_share": share(sum(time.weekday() >= 5 for time in times), count),
        }
    return result


def expected_value(orders: list[Event], sessions: list[Event]) -> Table:
    result: Table = {}
    for customer, point, own in by_snapshot(orders, paid):
        key = customer, f"{point:%F %T}"
        values = [row["total_order_value"] for row in own]
        result[key] = {
            "historical_value": sum(values, Decimal(0)),
            "orders": len(values),
            "average_order_value": None,
            "tenure_days": None,
            "orders_per_30_days": 0.0,
            "expected_orders_365d": None,
            "predicted_value_365d": None,
        }
        if own:
            tenure = days(point - floor(min(moment(row) for row in own)))
            mean, expected = float(sum(values)) / len(values), 365 * len(values) / (90 + tenure)
            result[key] |= {
                "average_order_value": mean,
                "tenure_days": tenure,
                "orders_per_30_days": len(values) * 30 / max(tenure, 30),
                "expected_orders_365d": expected,
                "predicted_value_365d": mean * expected,
            }
    return result


def expected_churn(orders: list[Event], sessions: list[Event], grid_days: int = 7) -> Table:
    def activities(records: list[Event]) -> list[Event]:
        return [row for row in records if "session_id" in row] + paid(
            [row for row in records if "order_id" in row]
        )

    def kinds(rows: list[Event]) -> Counter[str]:
        return Counter("order" if "order_id" in row else "session" for row in rows)

    result: Table = {}
    for customer, point, own in by_snapshot(orders + sessions, activities, grid_days):
        last = {next(iter(kinds([row]))): moment(row) for row in sorted(own, key=moment)}
        silence = {kind: days(point - floor(time)) for kind, time in last.items()}
        recent, before = (
            kinds(since(own, point - MONTH)),
            kinds(since(own, point - 2 * MONTH, point - MONTH)),
        )
        a, b, quiet = recent.total(), before.total(), min(silence.values(), default=None)
        trend = (a - b) / (a + b) if a else -1.0
        recency = 1.0 if quiet is None else min(quiet / 60, 1)
        result[customer, f"{point:%F %T}"] = {
            "days_since_last_order": silence.get("order"),
            "days_since_last_session": silence.get("session"),
            "days_since_last_activity": quiet,
            "tenure_days": days(point - floor(min(moment(row) for row in own))) if own else None,
            "orders_28d": recent["order"],
            "sessions_28d": recent["session"],
            "orders_previous_28d": before["order"],
            "sessions_previous_28d": before["session"],
            "activity_trend": trend,
            "churn_risk_score": 0.7 * recency + 0.3 * (1 - trend) / 2,
            "churn_risk_band": "low" if recency < 0.5 else "medium" if recency < 1 else "high",
        }
    return result


def expected_copurchase(orders: list[Event], sessions: list[Event]) -> Table:
    result: Table = {}
    previous: Counter[tuple[str, str]] = Counter()
    baskets: dict[datetime, dict[str, set[str]]] = {}
    for customer, point, own in by_snapshot(orders, paid):
        baskets.setdefault(point, {})[customer] = {row["product_id"] for row in own}
    for point, found in baskets.items():
        alone = Counter(product for basket in found.values() for product in basket)
        both = Counter(pair for basket in found.values() for pair in combinations(sorted(basket), 2))
        buyers = sum(map(bool, found.values()))
        for one, other in both.keys() | previous.keys():
            count = both[one, other]
            if previous[one, other] != count:
                result[one, other, f"{point:%F %T}"] = {
                    "customers_both": count,
                    "customers_product": alone[one],
                    "customers_other": alone[other],
                    "customers": buyers,
                    "support": share(count, buyers),
                    "confidence": share(count, alone[one]),
                    "reverse_confidence": share(count, alone[other]),
                    "lift": share(count * buyers, alone[one] * alone[other]),
                }
        previous = both
    return result


ORACLES: dict[str, Callable[[list[Event], list[Event]], Table]] = {
    "customer_engagement": expected_engagement,
    "device_preference": expected_devices,
    "purchase_behaviour": expected_purchases,
    "churn_risk": expected_churn,
    "lifetime_value": expected_value,
    "product_copurchase": expected_copurchase,
}

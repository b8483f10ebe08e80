"""Feature tables in plain Python: every snapshot looks at every event anew. The expectation of the tests.

Rows are dictionaries by primary key without the key's columns; `as_of` is text in UTC.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import combinations
from typing import Any

Event = dict[str, Any]
Row = dict[str, Any]
Table = dict[tuple[str, ...], Row]

DEVICES = ("mobile", "desktop", "tablet")
EPOCH_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)


def snapshot_times(times: Iterable[datetime], newest: datetime, days: int = 7) -> list[datetime]:
    """Grid points after the first of `times` and not after `newest`."""
    first, points = min(times), []
    point = EPOCH_MONDAY
    while point <= newest:
        if point > first:
            points.append(point)
        point += timedelta(days=days)
    return points


def by_customer(rows: list[Event]) -> dict[str, list[Event]]:
    return {c: [row for row in rows if row["customer_id"] == c] for c in {row["customer_id"] for row in rows}}


def days(delta: timedelta) -> float:
    # Features count whole seconds.
    return int(delta.total_seconds()) / 86_400


def floor(time: datetime) -> datetime:
    return time.replace(microsecond=0)


def within(rows: list[Event], column: str, end: datetime, start: datetime | None = None) -> list[Event]:
    return [row for row in rows if row[column] < end and (start is None or row[column] >= start)]


def paid(orders: list[Event]) -> list[Event]:
    return [row for row in orders if row["status"] not in ("cancelled", "returned")]


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
    newest = max(row["session_timestamp"] for row in sessions)
    names = ("sessions", "page_views", "cart_adds", "session_seconds")
    for customer, own in by_customer(sessions).items():
        first = min(row["session_timestamp"] for row in own)
        for point in snapshot_times([first], newest):
            every = counts(within(own, "session_timestamp", point))
            recent = counts(within(own, "session_timestamp", point, point - timedelta(days=28)))
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
    newest = max(row["session_timestamp"] for row in sessions)
    for customer, own in by_customer(sessions).items():
        for point in snapshot_times([row["session_timestamp"] for row in own], newest):
            used = Counter(row["device_type"] for row in within(own, "session_timestamp", point))
            recently = within(own, "session_timestamp", point, point - timedelta(days=28))
            recent = Counter(row["device_type"] for row in recently)
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
    newest = max(row["order_timestamp"] for row in orders)
    for customer, own in by_customer(paid(orders)).items():
        for point in snapshot_times([row["order_timestamp"] for row in own], newest):
            known = within(own, "order_timestamp", point)
            recent = within(own, "order_timestamp", point, point - timedelta(days=28))
            times = sorted(floor(row["order_timestamp"]) for row in known)
            count, spend = len(known), sum(row["total_order_value"] for row in known)
            categories = Counter(row["category"] or "unknown" for row in known)
            favourite = min(categories, key=lambda name: (-categories[name], name))
            part_of_day = Counter(time.hour // 6 for time in times)
            result[customer, f"{point:%F %T}"] = {
                "orders": count,
                "units": sum(row["quantity"] for row in known),
                "spend": spend,
                "orders_28d": len(recent),
                "spend_28d": sum((row["total_order_value"] for row in recent), Decimal(0)),
                "average_order_value": float(spend) / count,
                "average_units": sum(row["quantity"] for row in known) / count,
                "average_days_between_orders": days(times[-1] - times[0]) / (count - 1)
                if count > 1
                else None,
                "categories": len(categories),
                "category_diversity": 1 - sum((n / count) ** 2 for n in categories.values()),
                "favourite_category": favourite,
                "favourite_category_share": categories[favourite] / count,
                "night_share": part_of_day[0] / count,
                "morning_share": part_of_day[1] / count,
                "afternoon_share": part_of_day[2] / count,
                "evening_share": part_of_day[3] / count,
                "weekend_share": sum(time.weekday() >= 5 for time in times) / count,
            }
    return result


def expected_value(orders: list[Event], sessions: list[Event]) -> Table:
    result: Table = {}
    newest = max(row["order_timestamp"] for row in orders)
    for customer, own in by_customer(paid(orders)).items():
        first = min(row["order_timestamp"] for row in own)
        for point in snapshot_times([first], newest):
            values = [row["total_order_value"] for row in within(own, "order_timestamp", point)]
            tenure, mean = days(point - floor(first)), float(sum(values)) / len(values)
            expected = 365 * len(values) / (90 + tenure)
            result[customer, f"{point:%F %T}"] = {
                "historical_value": sum(values),
                "orders": len(values),
                "average_order_value": mean,
                "tenure_days": tenure,
                "orders_per_30_days": len(values) * 30 / max(tenure, 30),
                "expected_orders_365d": expected,
                "predicted_value_365d": mean * expected,
            }
    return result


def expected_churn(orders: list[Event], sessions: list[Event], grid_days: int = 7) -> Table:
    newest = max(*[o["order_timestamp"] for o in orders], *[s["session_timestamp"] for s in sessions])
    activities = [
        {"customer_id": row["customer_id"], "time": row["order_timestamp"], "kind": "order"}
        for row in paid(orders)
    ]
    activities += [
        {"customer_id": row["customer_id"], "time": row["session_timestamp"], "kind": "session"}
        for row in sessions
    ]
    month = timedelta(days=28)
    result: Table = {}
    for customer, own in by_customer(activities).items():
        for point in snapshot_times([row["time"] for row in own], newest, grid_days):
            known = within(own, "time", point)
            last = {row["kind"]: row["time"] for row in sorted(known, key=lambda row: row["time"])}
            silence = {kind: days(point - floor(time)) for kind, time in last.items()}
            recent = Counter(row["kind"] for row in within(known, "time", point, point - month))
            before = Counter(row["kind"] for row in within(known, "time", point - month, point - 2 * month))
            a, b, quiet = recent.total(), before.total(), min(silence.values())
            trend = (a - b) / (a + b) if a else -1.0
            result[customer, f"{point:%F %T}"] = {
                "days_since_last_order": silence.get("order"),
                "days_since_last_session": silence.get("session"),
                "days_since_last_activity": quiet,
                "tenure_days": days(point - floor(min(row["time"] for row in known))),
                "orders_28d": recent["order"],
                "sessions_28d": recent["session"],
                "orders_previous_28d": before["order"],
                "sessions_previous_28d": before["session"],
                "activity_trend": trend,
                "churn_risk_score": 0.7 * min(quiet / 60, 1) + 0.3 * (1 - trend) / 2,
                "churn_risk_band": "high" if quiet >= 60 else "medium" if quiet >= 30 else "low",
            }
    return result


def expected_copurchase(orders: list[Event], sessions: list[Event]) -> Table:
    newest = max(row["order_timestamp"] for row in orders)
    result: Table = {}
    previous: dict[tuple[str, str], int] = {}
    for point in snapshot_times([row["order_timestamp"] for row in paid(orders)], newest):
        known = within(paid(orders), "order_timestamp", point)
        baskets = {c: {row["product_id"] for row in own} for c, own in by_customer(known).items()}
        alone = Counter(product for basket in baskets.values() for product in basket)
        both = Counter(pair for basket in baskets.values() for pair in combinations(sorted(basket), 2))
        for (one, other), count in both.items():
            if previous.get((one, other)) != count:
                result[one, other, f"{point:%F %T}"] = {
                    "customers_both": count,
                    "customers_product": alone[one],
                    "customers_other": alone[other],
                    "customers": len(baskets),
                    "support": count / len(baskets),
                    "confidence": count / alone[one],
                    "reverse_confidence": count / alone[other],
                    "lift": (count / len(baskets))
                    / (alone[one] / len(baskets) * alone[other] / len(baskets)),
                }
        previous = dict(both)
    return result


ORACLES: dict[str, Callable[[list[Event], list[Event]], Table]] = {
    "customer_engagement": expected_engagement,
    "device_preference": expected_devices,
    "purchase_behaviour": expected_purchases,
    "churn_risk": expected_churn,
    "lifetime_value": expected_value,
    "product_copurchase": expected_copurchase,
}

"""Reads what there is to export: updates in the event logs, their events, and the business's days."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ecommerce_lakehouse.observability.health_sql import EVENT_LOG_PREFIX
from ecommerce_lakehouse.observability.metrics_export.events import (
    Event,
    Row,
    UpdateMetrics,
    details_of,
    metrics_of,
)
from ecommerce_lakehouse.observability.metrics_export.sources import Source

START = datetime(1970, 1, 1, tzinfo=UTC)
UPDATE_ID = re.compile(r"[A-Za-z0-9_.:-]+")
READ_DETAILS = (
    "create_update",
    "update_progress",
    "flow_progress",
    "dataset_definition",
    "update_resources",
    "cluster_resources",
)
DAILY = (
    "orders",
    "units",
    "revenue",
    "average_order_value",
    "customers",
    "cancelled_orders",
    "returned_orders",
    "lost_value",
)
OF_ORDER_BATCHES = (
    "orders",
    "items_sold",
    "revenue",
    "average_order_value",
    "customers",
    "unearning_orders",
    "unearning_share",
)


@dataclass(frozen=True)
class Extent:
    """How much of an update its event log has; `first` and `last` event are in microseconds since 1970."""

    update_id: str
    event_log: str
    events: int
    first: int
    last: int


def updates_in(source: Source, tables: Sequence[str]) -> list[Extent]:
    """Every update in the event logs among `tables`, the oldest first. Reads two narrow columns."""
    found = []
    at = source.micros("timestamp")
    for log in (table for table in tables if table.startswith(EVENT_LOG_PREFIX)):
        rows = source.rows(
            log,
            f"origin.update_id AS update_id, count(*) AS events, min({at}) AS first, max({at}) AS last",
            "WHERE origin.update_id IS NOT NULL GROUP BY origin.update_id",
        )
        # An id becomes part of a statement, so one that no platform would give is skipped.
        found += [Extent(row[0], log, *row[1:]) for row in rows if UPDATE_ID.fullmatch(row[0])]
    return sorted(found, key=lambda extent: (extent.first, extent.update_id))


def metrics_for(source: Source, lakehouse: str, updates: Sequence[Extent]) -> list[UpdateMetrics]:
    """The metrics of these updates; reads the files of their event logs that cover their time."""
    found: list[UpdateMetrics] = []
    for log in sorted({update.event_log for update in updates}):
        chosen = [update for update in updates if update.event_log == log]
        events = _events(source, log, chosen)
        found += [
            metrics_of(update.update_id, lakehouse, f"{lakehouse}.{log}", events[update.update_id])
            for update in chosen
        ]
    return found


def business_days(source: Source, lakehouse: str, tables: Sequence[str]) -> dict[str, list[Row]]:
    """The business's figures of each date, by the table that takes them; only of gold tables that exist."""
    found = {}
    if "gold_daily_sales" in tables:
        found["business_daily_metrics"] = _sales(source, lakehouse, tables)
    if "gold_order_business_metrics" in tables:
        found["business_order_metrics"] = _days(
            source, lakehouse, "gold_order_business_metrics", "date_ordered", OF_ORDER_BATCHES
        )
    return found


def _sales(source: Source, lakehouse: str, tables: Sequence[str]) -> list[Row]:
    rolling: dict[object, tuple[object, object]] = {}
    if "gold_rolling_sales" in tables:
        rows = source.rows("gold_rolling_sales", "metric_date, customers_7d, revenue_7d")
        rolling = {row[0]: (row[1], row[2]) for row in rows}
    days = _days(source, lakehouse, "gold_daily_sales", "order_date", DAILY)
    for row in days:
        row["active_customers_7d"], row["revenue_7d"] = rolling.get(row["metric_date"], (None, None))
    return days


def _days(source: Source, lakehouse: str, table: str, date: str, columns: Sequence[str]) -> list[Row]:
    days = []
    for day, *values in source.rows(table, f"{date}, {', '.join(columns)}"):
        row: Row = {"lakehouse": lakehouse, "metric_date": day, **dict(zip(columns, values, strict=True))}
        row["active_customers"] = row.pop("customers")
        days.append(row)
    return sorted(days, key=lambda row: row["metric_date"])


def instant(micros: int) -> datetime:
    """Microseconds since 1970 as an instant in UTC."""
    return START + timedelta(microseconds=micros)


def _events(source: Source, log: str, updates: Sequence[Extent]) -> dict[str, list[Event]]:
    ids = ", ".join(f"'{update.update_id}'" for update in updates)
    types = ", ".join(f"'{name}'" for name in READ_DETAILS)
    # A file holds the events of one period: with these bounds the reader skips the others.
    begin = source.instant(min(update.first for update in updates))
    end = source.instant(max(update.last for update in updates))
    rows = source.rows(
        log,
        f"origin.update_id AS update_id, {source.micros('timestamp')} AS at, event_type, level, message, "
        f"CASE WHEN event_type IN ({types}) THEN details END AS details, "
        "origin.pipeline_id AS pipeline_id, origin.pipeline_name AS pipeline_name, "
        "origin.dataset_name AS dataset_name, origin.flow_name AS flow_name",
        f"WHERE timestamp >= {begin} AND timestamp <= {end} AND origin.update_id IN ({ids})",
    )
    found: dict[str, list[Event]] = {update.update_id: [] for update in updates}
    for update_id, at, kind, level, message, details, *names in rows:
        found[update_id].append(
            Event(instant(at), kind, level or "", message or "", details_of(details), *names)
        )
    return found

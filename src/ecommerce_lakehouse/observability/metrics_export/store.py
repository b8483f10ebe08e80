"""Writes rows to the database; a repeat changes nothing: `missing`, `write_updates`, `write_days`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import Connection
from psycopg.sql import SQL, Composable, Identifier, Placeholder

from ecommerce_lakehouse.observability.metrics_export.events import Row, UpdateMetrics
from ecommerce_lakehouse.observability.metrics_export.reading import Extent, instant

KEYS = {
    "pipeline_updates": ("update_id",),
    "dataset_metrics": ("update_id", "dataset_name"),
    "expectation_metrics": ("update_id", "dataset_name", "expectation_name"),
    "resource_metrics": ("update_id",),
    "business_daily_metrics": ("lakehouse", "metric_date"),
    "business_order_metrics": ("lakehouse", "metric_date"),
}


def missing(connection: Connection, lakehouse: str, updates: Sequence[Extent]) -> list[Extent]:
    """The updates of which the event log has more than the database, in the given order.

    An event log only grows. So an update is complete if as many events, up to the same last one, were
    exported. No watermark is kept, so none can be wrong.
    """
    rows = connection.execute(
        "SELECT update_id, events, last_event_at FROM pipeline_updates WHERE lakehouse = %s", (lakehouse,)
    )
    have = {row[0]: row[1:] for row in rows}
    return [u for u in updates if have.get(u.update_id) != (u.events, instant(u.last))]


def write_updates(connection: Connection, metrics: Sequence[UpdateMetrics]) -> int:
    """Write updates with their metrics, all or none; returns how many were written.

    One export writes at a time. An update of which another export has written more in the meantime is left.
    """
    with connection.transaction():
        _one_at_a_time(connection)
        rows = connection.execute(
            "SELECT update_id, events FROM pipeline_updates WHERE update_id = ANY(%s)",
            ([item.update["update_id"] for item in metrics],),
        )
        have = {row[0]: row[1] for row in rows}
        newer = [item for item in metrics if item.update["events"] >= have.get(item.update["update_id"], 0)]
        _upsert(connection, "pipeline_updates", [item.update for item in newer])
        _upsert(connection, "dataset_metrics", [row for item in newer for row in item.datasets])
        _upsert(connection, "expectation_metrics", [row for item in newer for row in item.expectations])
        _upsert(connection, "resource_metrics", [item.resources for item in newer])
    return len(newer)


def write_days(connection: Connection, lakehouse: str, table: str, days: Sequence[Row]) -> int:
    """Make the lakehouse's rows of a table by date equal to `days`; returns how many rows that changed."""
    with connection.transaction():
        _one_at_a_time(connection)
        gone = connection.execute(
            SQL("DELETE FROM {} WHERE lakehouse = %s AND metric_date <> ALL(%s)").format(Identifier(table)),
            (lakehouse, [row["metric_date"] for row in days]),
        ).rowcount
        return gone + _upsert(connection, table, days)


def _one_at_a_time(connection: Connection) -> None:
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '.export', 0))")


def _upsert(connection: Connection, table: str, rows: Sequence[Row]) -> int:
    """Insert or update rows by the table's key; unchanged rows are not written."""
    if not rows:
        return 0
    columns = list(rows[0])
    values = [column for column in columns if column not in KEYS[table]]
    changes: list[Composable] = [SQL("{0} = excluded.{0}").format(Identifier(column)) for column in values]
    if table == "pipeline_updates":
        changes.append(SQL("exported_at = now()"))
    statement = SQL(
        "INSERT INTO {table} AS old ({columns}) VALUES ({given}) ON CONFLICT ({key}) DO UPDATE SET {changes} "
        "WHERE ({before}) IS DISTINCT FROM ({after})"
    ).format(
        table=Identifier(table),
        columns=SQL(", ").join(map(Identifier, columns)),
        given=SQL(", ").join(map(Placeholder, columns)),
        key=SQL(", ").join(map(Identifier, KEYS[table])),
        changes=SQL(", ").join(changes),
        before=SQL(", ").join(Identifier("old", column) for column in values),
        after=SQL(", ").join(Identifier("excluded", column) for column in values),
    )
    with connection.cursor() as cursor:
        cursor.executemany(statement, [{name: _storable(row[name]) for name in columns} for row in rows])
        return cursor.rowcount


def _storable(value: Any) -> Any:
    """PostgreSQL's text has no NUL character."""
    return value.replace("\0", "") if isinstance(value, str) else value

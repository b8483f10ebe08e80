"""One relation over the event logs of all pipelines, and the SQL of health and charts on it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

FOLDER = Path(__file__).parent / "sql"
EVENT_LOG_PREFIX = "event_log_"
EVENTS = "pipeline_events"
"""The relation's name: a view on Databricks, resolved by the runtime on a laptop."""
PLAIN = ("timestamp", "level", "message", "event_type", "details")
ORIGIN = ("pipeline_id", "pipeline_name", "update_id", "dataset_name")
LOG_COLUMNS = (*PLAIN, "origin")
"""The columns that make a table with that prefix an event log."""


def events_sql(event_logs: Sequence[str]) -> str:
    """The query of `pipeline_events` over these event logs: one row per event of any pipeline.

    Columns: `timestamp`, `level`, `message`, `event_type`, `details` (JSON), and of the event's origin
    `pipeline_id`, `pipeline_name`, `update_id`, `dataset_name`. They are named one by one, because an event
    log from an older runtime may have other columns, in another order.
    """
    origin = ", ".join(f"origin.{name} AS {name}" for name in ORIGIN)
    return " UNION ALL ".join(f"SELECT {', '.join(PLAIN)}, {origin} FROM {log}" for log in event_logs)


def health_sql(name: str, events: str, start: datetime, middle: datetime, now: datetime) -> str:
    """The query `sql/<name>.sql` in Databricks SQL; `events` names the relation `pipeline_events`.

    The current period is after `middle` up to `now`, the previous one after `start` up to `middle`; all
    three in UTC.
    """
    instants = ", ".join(
        f"timestamp'{at:%Y-%m-%d %H:%M:%S.%f}+00:00' AS {column}"
        for column, at in (("start", start), ("middle", middle), ("now", now))
    )
    # Not every column: on a laptop only the columns that a query names are read.
    chosen = f"SELECT {', '.join((*PLAIN, *ORIGIN))} FROM {events}"
    query = sql_file(name)
    judged = f",\n\njudged AS ({sql_file('judged')})" if "FROM judged" in query else ""
    return f"WITH events AS ({chosen}),\n\nperiod AS (SELECT {instants}){judged}\n\n{query}"


def sql_file(name: str) -> str:
    """The text of `sql/<name>.sql` without its comments."""
    lines = (FOLDER / f"{name}.sql").read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith("--"))

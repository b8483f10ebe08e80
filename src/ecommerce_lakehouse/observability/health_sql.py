"""The SQL of health, alerts and charts, complete with the event logs that it reads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

FOLDER = Path(__file__).parent / "sql"
EVENT_LOG_PREFIX = "event_log_"
# One row per event of any of the pipelines, with what the queries need of it.
EVENTS = """\
  SELECT
    timestamp, level, message, event_type, details,
    origin.pipeline_id AS pipeline_id, origin.pipeline_name AS pipeline_name,
    origin.update_id AS update_id, origin.dataset_name AS dataset_name
  FROM {log}"""


def health_sql(name: str, event_logs: Sequence[str], start: datetime, middle: datetime, now: datetime) -> str:
    """The query `sql/<name>.sql` over these event logs, in Databricks SQL.

    The current period is after `middle` up to `now`, the previous one after `start` up to `middle`; all
    three in UTC. `event_logs` are tables as the place where it runs calls them; at least one.
    """
    instants = ", ".join(
        f"timestamp'{at:%Y-%m-%d %H:%M:%S.%f}+00:00' AS {column}"
        for column, at in (("start", start), ("middle", middle), ("now", now))
    )
    return f"WITH events AS (\n{events_sql(event_logs)}\n),\n\nperiod AS (SELECT {instants})\n\n{_text(name)}"


def alert_sql(name: str, event_logs: Sequence[str]) -> str:
    """The query of an alert, `sql/<name>.sql`, over these event logs; it reads the clock itself."""
    return f"WITH events AS (\n{events_sql(event_logs)}\n)\n\n{_text(name)}"


def events_sql(event_logs: Sequence[str]) -> str:
    """The events of all these logs, as every query on them begins."""
    return "\n  UNION ALL\n".join(EVENTS.format(log=log) for log in event_logs)


def _text(name: str) -> str:
    """The file without its comments."""
    lines = (FOLDER / f"{name}.sql").read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith("--"))

"""`/monitoring`: updates, rows, failures and freshness over time, from the published event logs.

`/health`, by contrast, says whether the server answers.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from lakerun.errors import LakehouseError
from lakerun.formats import plural
from lakerun.plugins import Monitoring, Trends
from lakerun.sql.query import query
from lakerun.tables.storage import Storage, TableName
from lakerun.tables.table_info import columns_of, open_table, rows_of
from lakerun.workspace.errors import ApiError, invalid, missing
from lakerun.workspace.pages.charts import Chart, Series, bar_chart, line_chart
from lakerun.workspace.pages.render import render

if TYPE_CHECKING:
    from lakerun.workspace.services import Services

logger = logging.getLogger(__name__)
PERIODS = (7, 30, 90)
DEFAULT_DAYS = 30
EVENT_LOG_PREFIX = "event_log"
LINES = 4  # styles of lines, see style.css


def router(services: Services, monitoring: Monitoring) -> APIRouter:
    routes = APIRouter()
    storage = services.storage

    @routes.get("/monitoring")
    def health(request: Request, schema: str = "", days: int = DEFAULT_DAYS) -> Response:
        if days not in PERIODS:
            raise invalid(f"days: {days} is none of {', '.join(map(str, PERIODS))}.")
        schemas = _event_logs(storage)
        if schema and schema not in schemas:
            raise missing("Schema with an event log", schema)
        chosen = schema or next(iter(schemas), "")
        found = _trends(monitoring, storage, schemas[chosen], days) if chosen else None
        return render(
            request,
            "health.html",
            schemas=list(schemas),
            chosen=chosen,
            days=days,
            periods=PERIODS,
            trends=found,
            command=monitoring.command,
            charts=_charts(found) if found else (),
            follow=0,
        )

    return routes


def _event_logs(storage: Storage) -> dict[str, list[TableName]]:
    """The event logs of each schema that has one, by `catalog.schema`."""
    logs = [
        name
        for name in storage.tables()
        if name.table.startswith(EVENT_LOG_PREFIX) and _is_event_log(storage, name)
    ]
    grouped = groupby(logs, lambda name: f"{name.catalog}.{name.schema}")
    return {schema: list(members) for schema, members in grouped}


def _is_event_log(storage: Storage, name: TableName) -> bool:
    """Whether it has an event log's columns. A table that cannot be read does not hide the others."""
    try:
        columns = {column.name for column in columns_of(open_table(storage, name))}
    except LakehouseError as error:
        logger.warning("%s", error)
        return False
    return {"details", "event_type", "origin", "timestamp"} <= columns


def _trends(monitoring: Monitoring, storage: Storage, logs: Sequence[TableName], days: int) -> Trends:
    def run(sql: str) -> list[Mapping[str, Any]]:
        found = query(sql, storage)
        return [dict(zip(found.column_names, row, strict=True)) for row in rows_of(found)]

    quoted = [
        ".".join(f"`{part.replace('`', '``')}`" for part in (log.catalog, log.schema, log.table))
        for log in logs
    ]
    try:
        return monitoring.trends(run, quoted, days=days)
    except LakehouseError as error:
        raise ApiError("INVALID_STATE", str(error)) from None


def _charts(found: Trends) -> tuple[Chart, ...]:
    days = [day.day for day in found.days]
    total = found.total
    ended = (
        Series("Completed", "good", [day.completed for day in found.days]),
        Series("Failed", "bad", [day.failed for day in found.days]),
        Series("Canceled", "skip", [day.canceled for day in found.days]),
    )
    rate = [day.expectation_failure_percent for day in found.days]
    ages = found.oldest_ages()
    lines = [
        Series(
            pipeline, f"line-{number % LINES + 1}", [None if age is None else age / 3600 for age in values]
        )
        for number, (pipeline, values) in enumerate(ages.items())
    ]
    oldest = max((age for each in ages.values() if (age := each[-1]) is not None), default=None)
    return (
        bar_chart(
            "updates",
            "Updates",
            f"{plural(total.completed, 'update')} completed, {total.failed:,} failed, "
            f"{total.canceled:,} canceled.",
            "updates",
            days,
            ended,
        ),
        bar_chart(
            "rows",
            "Rows written",
            f"{plural(total.rows_written, 'row')} written by all datasets.",
            "rows",
            days,
            [Series("Rows", "plain", [day.rows_written for day in found.days])],
        ),
        line_chart(
            "failures",
            "Expectation failures",
            f"{total.failed_records:,} of {plural(total.judged_records, 'judged record')} failed.",
            "%",
            days,
            [Series("Failed records, %", "line-1", rate)],
        ),
        line_chart(
            "freshness",
            "Age of the oldest dataset",
            "No dataset has been up to date yet."
            if oldest is None
            else f"The oldest dataset was up to date {oldest / 3600:,.1f} hours ago.",
            "hours",
            days,
            lines,
        ),
    )

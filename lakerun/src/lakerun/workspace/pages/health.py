"""`/monitoring`: updates, rows, failures and freshness over time, from the published event logs.

`/health` is another route, which says whether the server answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from lakerun.errors import LakerunError
from lakerun.formats import plural
from lakerun.plugins import Monitoring, Trends
from lakerun.sql.query import query
from lakerun.tables.arrow_rows import rows_of
from lakerun.tables.storage import Storage
from lakerun.tables.unions import tables_by_schema
from lakerun.workspace.errors import ApiError, invalid, missing
from lakerun.workspace.pages.charts import Chart, Series, bar_chart, line_chart
from lakerun.workspace.pages.render import render

if TYPE_CHECKING:
    from lakerun.workspace.services import Services

PERIODS = (7, 30, 90)
DEFAULT_DAYS = 30
LINES = 4  # styles of lines, see style.css


def router(services: Services, monitoring: Monitoring) -> APIRouter:
    routes = APIRouter()
    storage = services.storage

    @routes.get("/monitoring")
    def health(request: Request, schema: str = "", days: int = DEFAULT_DAYS) -> Response:
        if days not in PERIODS:
            raise invalid(f"days: {days} is not one of {', '.join(map(str, PERIODS))}.")
        union = services.plugins.unions[monitoring.events]
        schemas = {".".join(schema): schema for schema in tables_by_schema(storage, union)}
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


def _trends(monitoring: Monitoring, storage: Storage, schema: tuple[str, str], days: int) -> Trends:
    def run(sql: str) -> list[Mapping[str, Any]]:
        found = query(sql, storage, catalog=schema[0], schema=schema[1])
        return [dict(zip(found.column_names, row, strict=True)) for row in rows_of(found)]

    try:
        return monitoring.trends(run, days=days)
    except LakerunError as error:
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
            f"{total.failed_records:,} of {plural(total.judged_records, 'checked record')} failed.",
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

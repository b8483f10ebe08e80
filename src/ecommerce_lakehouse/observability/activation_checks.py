"""What Customer.io answered, against the environment's targets: `activation_checks`."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.observability.health_checks import Check, Period, RunSql, check_against, percent
from ecommerce_lakehouse.observability.lakehouse import Lakehouse

REQUESTS, RUNS = "activation_requests", "activation_runs"


def activation_checks(
    lakehouse: Lakehouse, tables: Collection[str], config: LakehouseConfig, period: Period
) -> list[Check]:
    """Success rate and mean response time of requests, and messages still due; none without their tables.

    A request that rejects a row has succeeded: it is the row's fault. `tables` are the lakehouse's.
    """
    checks = []
    if REQUESTS in tables:
        checks += _requests(lakehouse.rows, lakehouse.reference(REQUESTS), config, period)
    if RUNS in tables:
        checks.append(_due(lakehouse.rows, lakehouse.reference(RUNS), period[2]))
    return checks


def _requests(run: RunSql, table: str, config: LakehouseConfig, period: Period) -> list[Check]:
    start, middle, now = map(_literal, period)
    found = run(
        f"""
        SELECT CASE WHEN at > {middle} THEN 'current' ELSE 'previous' END AS period, count(*) AS requests,
          count_if(status < 500 AND status NOT IN (401, 403, 408, 429)) AS answered, avg(seconds) AS seconds
        FROM {table} WHERE at > {start} AND at <= {now} GROUP BY 1
        """
    )
    rows = {row["period"]: row for row in found}
    rate, seconds = (
        {name: percent(row["answered"], row["requests"]) for name, row in rows.items()},
        {name: float(row["seconds"]) for name, row in rows.items()},
    )
    note = "" if "current" in rows else "nothing was sent in this period"
    targets = config.health
    return [
        check_against(
            "Customer.io success rate",
            "",
            rate.get("current"),
            rate.get("previous"),
            targets.activation_success_percent,
            "%",
            passes_above=True,
            note=note,
        ),
        check_against(
            "Customer.io response time",
            "",
            seconds.get("current"),
            seconds.get("previous"),
            targets.activation_response_seconds,
            "s",
            note=note,
        ),
    ]


def _due(run: RunSql, table: str, now: datetime) -> Check:
    (row,) = run(
        f"""
        SELECT sum(due) AS due FROM
          (SELECT due, row_number() OVER (PARTITION BY sync ORDER BY at DESC) AS n FROM {table}
           WHERE due IS NOT NULL AND at <= {_literal(now)}) AS newest
        WHERE n = 1
        """
    )
    due = None if row["due"] is None else float(row["due"])
    return check_against("Customer.io messages due", "", due, None, 1, "messages", note="of the last runs")


def _literal(moment: datetime) -> str:
    return f"TIMESTAMP '{moment.isoformat(sep=' ')}'"

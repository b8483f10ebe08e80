"""Brings a PostgreSQL database up to date with the event logs and gold tables: `export_metrics`."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg
from psycopg import Connection

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.observability.lakehouse import lakehouse_of
from ecommerce_lakehouse.observability.metrics_export.database import connected, password_of
from ecommerce_lakehouse.observability.metrics_export.failures import ExportError, is_temporary, reason
from ecommerce_lakehouse.observability.metrics_export.migrations import migrate
from ecommerce_lakehouse.observability.metrics_export.reading import business_days, metrics_for, updates_in
from ecommerce_lakehouse.observability.metrics_export.sources import Source
from ecommerce_lakehouse.observability.metrics_export.store import missing, write_days, write_updates

UPDATES_AT_ONCE = 50
FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.5, 20.0


@dataclass
class Exported:
    """What an export wrote: new or longer updates, changed days, migrations. `seconds` is its whole time."""

    updates: int = 0
    days: int = 0
    migrations: int = 0
    attempts: int = 0
    seconds: float = 0.0


def export_metrics(
    config: LakehouseConfig,
    *,
    source: Source | None = None,
    on_retry: Callable[[str], None] = lambda line: None,
) -> Exported:
    """Write to PostgreSQL what it lacks of the event logs and gold tables.

    What it lacks is found by comparing, so the next export makes up for one that was killed or could not
    reach the server. A server that is down or slow is tried again, with growing pauses, until
    `postgres_budget_seconds` have passed; `on_retry` gets the reason. Raises ExportError, in one line, when
    the time is used up, or at once for an error that will not pass by itself.
    """
    began = time.monotonic()
    deadline = began + config.postgres_budget_seconds
    done = Exported()
    password = password_of(config)
    source = source or lakehouse_of(config).source()
    delay = FIRST_DELAY_SECONDS
    while True:
        done.attempts += 1
        try:
            with connected(config, password, deadline) as connection:
                _bring_up_to_date(connection, config, source, done, deadline)
            done.seconds = time.monotonic() - began
            return done
        except psycopg.Error as error:
            why = reason(error)
            if password:
                why = why.replace(password.get_secret_value(), "***")
            if not is_temporary(error):
                raise ExportError(why) from None
        wait = delay * random.uniform(0.75, 1.25)
        if time.monotonic() + wait >= deadline:
            tries = f"{done.attempts} attempt{'' if done.attempts == 1 else 's'}"
            raise ExportError(f"{why} ({tries} in {time.monotonic() - began:.0f} s)")
        on_retry(f"{why}; trying again in {wait:.1f} s")
        time.sleep(wait)
        delay = min(delay * 2, LONGEST_DELAY_SECONDS)


def _bring_up_to_date(
    connection: Connection, config: LakehouseConfig, source: Source, done: Exported, deadline: float
) -> None:
    lakehouse = f"{config.catalog}.{config.schema}"
    done.migrations += len(migrate(connection, config.postgres_schema))
    tables = source.tables()
    to_do = missing(connection, lakehouse, updates_in(source, tables))
    for number in range(0, len(to_do), UPDATES_AT_ONCE):
        if time.monotonic() > deadline:
            left = len(to_do) - number
            raise ExportError(f"the time for an export has run out with {left} updates left")
        chunk = to_do[number : number + UPDATES_AT_ONCE]
        done.updates += write_updates(connection, metrics_for(source, lakehouse, chunk))
    for table, days in business_days(source, lakehouse, tables).items():
        done.days += write_days(connection, lakehouse, table, days)

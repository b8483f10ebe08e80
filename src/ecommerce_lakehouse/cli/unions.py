"""The relations over several tables that local queries may name: `UNIONS`."""

from __future__ import annotations

from ecommerce_lakehouse.observability.health_sql import EVENT_LOG_PREFIX, EVENTS, LOG_COLUMNS, events_sql
from lakerun.plugins import TableUnion

UNIONS = {EVENTS: TableUnion(prefix=EVENT_LOG_PREFIX, columns=LOG_COLUMNS, sql=events_sql)}

"""The rows of the runtime's test tables, as tables of the shop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
from unit import cli_data

from lakerun.tables.storage import Storage

SCHEMA, PIPELINE = "data_eng", "medallion_dlt_pipeline"


def table(storage: Storage, name: str, rows: pa.Table, **options: Any) -> Path:
    """Write a Delta table of the shop's schema and give its folder."""
    return cli_data.table(storage, name, rows, schema=SCHEMA, **options)


def lakehouse_tables(storage: Storage) -> None:
    """Four orders and the events of two updates."""
    table(storage, "silver_orders", cli_data.orders(), description="Valid orders")
    table(storage, f"event_log_{PIPELINE}", cli_data.event_log(PIPELINE))

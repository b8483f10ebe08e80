"""Raw lines as bronze has them, for the tests of parsing and quarantine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import DataFrame, SparkSession

INGESTED_AT = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
SCHEMA = "raw_line binary, source_file string, ingested_at timestamp, environment string"

GOOD = {
    "orders": {
        "order_id": "O-1",
        "customer_id": "C-1",
        "product_id": "P-1",
        "product_name": "Desk lamp",
        "category": "home",
        "price": 19.99,
        "quantity": 2,
        "status": "shipped",
        "order_timestamp": "2024-04-30T08:15:00",
        "updated_at": None,
    },
    "customer_profiles": {
        "customer_id": "C-1",
        "email": "ana@example.com",
        "age": 34,
        "gender": "female",
        "country": "PT",
        "signup_date": "2023-11-05",
        "loyalty_tier": "gold",
        "loyalty_points": 120,
        "updated_at": "2024-04-30T08:15:00",
    },
    "customer_activity": {
        "session_id": "S-1",
        "customer_id": "C-1",
        "session_timestamp": "2024-04-30T08:15:00",
        "session_duration_seconds": 300,
        "page_views": 7,
        "cart_adds": 1,
        "device_type": "mobile",
    },
}


def line(entity: str, **changes: Any) -> bytes:
    """A valid record of the entity as a line, with some fields changed."""
    return json.dumps(GOOD[entity] | changes).encode()


def bronze(spark: SparkSession, lines: Sequence[bytes] | Mapping[str, bytes]) -> DataFrame:
    """Bronze rows of the lines; `source_file` is a line's name, or its number."""
    named = lines if isinstance(lines, Mapping) else {str(n): each for n, each in enumerate(lines)}
    rows = [(bytearray(each), name, INGESTED_AT, "local") for name, each in named.items()]
    return spark.createDataFrame(rows, SCHEMA).coalesce(1)

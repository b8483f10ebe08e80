"""Small real Delta tables for the tests of queries and of the command line, written without Spark."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from lakerun.tables.storage import Storage, TableName

CATALOG, SCHEMA, PIPELINE = "main_dev", "sales", "orders_pipeline"
START = datetime(2024, 3, 1, 12, 0, 0, tzinfo=UTC)

ORDERS = [
    # order_id, customer_id, price, quantity, order_timestamp
    ("o1", "c1", "10.50", 2, START),
    ("o2", "c1", "99.99", 1, START + timedelta(days=1)),
    ("o3", "c2", "5.00", 10, START + timedelta(days=1, minutes=59, seconds=59)),
    ("o4", None, "7.25", 4, None),
]

EVENT_LOG = pa.schema(
    [
        ("id", pa.string()),
        (
            "sequence",
            pa.struct(
                [
                    ("data_plane_id", pa.struct([("instance", pa.string()), ("seq_no", pa.int64())])),
                    ("control_plane_seq_no", pa.int64()),
                ]
            ),
        ),
        (
            "origin",
            pa.struct(
                [
                    (name, pa.string())
                    for name in (
                        "pipeline_id",
                        "pipeline_name",
                        "update_id",
                        "dataset_name",
                        "flow_name",
                        "flow_id",
                    )
                ]
            ),
        ),
        ("timestamp", pa.timestamp("us", "UTC")),
        ("message", pa.string()),
        ("level", pa.string()),
        ("maturity_level", pa.string()),
        (
            "error",
            pa.struct(
                [
                    ("fatal", pa.bool_()),
                    (
                        "exceptions",
                        pa.list_(pa.struct([("class_name", pa.string()), ("message", pa.string())])),
                    ),
                ]
            ),
        ),
        ("details", pa.string()),
        ("event_type", pa.string()),
    ]
)


def table(storage: Storage, name: str, rows: pa.Table, *, schema: str = SCHEMA, **options: Any) -> Path:
    """Write a Delta table of the test catalog and return its folder."""
    path = storage.table_path(TableName(CATALOG, schema, name))
    write_deltalake(str(path), rows, **options)
    return path


def orders() -> pa.Table:
    """Four orders: one without customer and time, decimals, a binary column, a list and a struct."""
    return pa.table(
        {
            "order_id": [o[0] for o in ORDERS],
            "customer_id": pa.array([o[1] for o in ORDERS], pa.string()),
            "price": pa.array([Decimal(o[2]) for o in ORDERS], pa.decimal128(10, 2)),
            "quantity": pa.array([o[3] for o in ORDERS], pa.int32()),
            "order_timestamp": pa.array([o[4] for o in ORDERS], pa.timestamp("us", "UTC")),
            "order_date": pa.array([date(2024, 3, 1)] * 4, pa.date32()),
            "raw_line": pa.array([b'{"a": 1}', b"caf\xe9", b"", None], pa.binary()),
            "tags": pa.array([["new", "gift"], [], None, ["new"]], pa.list_(pa.string())),
            "ship": pa.array([{"city": "Lyon"}, {"city": None}, None, {"city": "Oslo"}]),
        }
    )


def event(number: int, kind: str, details: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """One row of an event log, `number` seconds after the start."""
    origin = {"pipeline_name": PIPELINE, "update_id": "u1", **changes.pop("origin", {})}
    return {
        "id": f"e{number}",
        "sequence": {"control_plane_seq_no": number},
        "origin": origin,
        "timestamp": START + timedelta(seconds=number),
        "message": f"event {number}",
        "level": "INFO",
        "maturity_level": "STABLE",
        "details": json.dumps({kind: details}),
        "event_type": kind,
        **changes,
    }


def expectation(name: str, passed: int, failed: int) -> dict[str, Any]:
    return {"name": name, "dataset": "silver_orders", "passed_records": passed, "failed_records": failed}


def event_log(pipeline: str = PIPELINE) -> pa.Table:
    """Two updates of a pipeline: u1 takes 150 s, completes, and counts two batches; u2 fails after 30 s."""
    silver = {"dataset_name": "silver_orders", "flow_name": "silver_orders"}
    u2 = {"update_id": "u2"}
    rows = [
        event(0, "create_update", {"cause": "USER_ACTION"}),
        event(1, "update_progress", {"state": "INITIALIZING"}),
        event(
            20,
            "flow_progress",
            {
                "status": "RUNNING",
                "metrics": {"num_output_rows": 90},
                "data_quality": {
                    "dropped_records": 10,
                    "expectations": [
                        expectation("valid_price", 90, 10),
                        expectation("valid_quantity", 100, 0),
                    ],
                },
            },
            origin=silver,
        ),
        event(
            40,
            "flow_progress",
            {
                "status": "RUNNING",
                "metrics": {"num_output_rows": 45},
                "data_quality": {"dropped_records": 5, "expectations": [expectation("valid_price", 45, 5)]},
            },
            origin=silver,
        ),
        event(41, "flow_progress", {"status": "COMPLETED"}, origin=silver),
        event(150, "update_progress", {"state": "COMPLETED"}),
        event(1000, "create_update", {"cause": "USER_ACTION"}, origin=u2),
        event(1001, "update_progress", {"state": "RUNNING"}, origin=u2),
        event(
            1029,
            "flow_progress",
            {"status": "FAILED"},
            origin=silver | u2,
            level="ERROR",
            message="Flow 'silver_orders' has FAILED.",
            error={"fatal": True, "exceptions": [{"class_name": "Boom", "message": "no such thing"}]},
        ),
        event(1030, "update_progress", {"state": "FAILED"}, origin=u2, level="ERROR"),
    ]
    for row in rows:
        row["origin"] |= {"pipeline_name": pipeline}
    return pa.Table.from_pylist(rows, EVENT_LOG)

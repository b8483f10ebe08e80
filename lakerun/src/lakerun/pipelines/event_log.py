"""The pipeline event log, in the schema that Databricks documents, as a Delta table per pipeline.

Events are stored in the pipeline's state first and appended to the table in batches. Each append carries
the number of its last event as a Delta transaction, so that a kill in the middle publishes nothing twice.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lakerun.pipelines.results import Event, Level, Listener
from lakerun.pipelines.state import FlowProgress, Refreshed, State
from lakerun.redaction import redacted
from lakerun.tables.delta_table import Table

ORIGIN_FIELDS = (
    "cloud",
    "region",
    "org_id",
    "user_id",
    "pipeline_id",
    "pipeline_type",
    "pipeline_name",
    "cluster_id",
    "update_id",
    "maintenance_id",
    "table_id",
    "table_name",
    "dataset_name",
    "flow_id",
    "flow_name",
    "batch_id",
    "request_id",
    "uc_resource_id",
    "host",
    "materialization_name",
)
APP_ID = "lakehouse-event-log"


class EventLog:
    """Records the events of one update and publishes them to the pipeline's event log table."""

    def __init__(
        self, state: State, table: Path, origin: Mapping[str, str], listener: Listener | None = None
    ) -> None:
        self._state = state
        self._table = table
        self._origin = dict(origin)
        self._listener = listener
        self._publishing = threading.Lock()

    def emit(
        self,
        event_type: str,
        message: str,
        details: Mapping[str, Any],
        *,
        level: Level = "INFO",
        origin: Mapping[str, str] | None = None,
        error: Mapping[str, Any] | None = None,
        flow: tuple[str, FlowProgress] | None = None,
        dataset: tuple[str, Refreshed] | None = None,
    ) -> None:
        """Store an event with the progress that it reports, and call the listener. Secrets are redacted."""
        body: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "timestamp": datetime.now(UTC).isoformat(timespec="microseconds"),
            "level": level,
            "event_type": event_type,
            "message": redacted(message),
            "origin": self._origin | dict(origin or {}),
            "details": redacted(dict(details)),
            "error": redacted(dict(error)) if error else None,
        }
        number = self._state.record(body["origin"]["update_id"], body, flow=flow, dataset=dataset)
        if self._listener:
            self._listener(event_of(number, body))

    def publish(self) -> None:
        """Append the events that the table does not have yet, then forget them here."""
        with self._publishing:
            events = self._state.unpublished()
            if not events:
                return
            done = _append(self._table, events)
            self._state.published(done)


def event_of(number: int, body: Mapping[str, Any]) -> Event:
    """The event that a stored body describes."""
    return Event(
        id=body["id"],
        sequence=number,
        timestamp=datetime.fromisoformat(body["timestamp"]),
        level=body["level"],
        event_type=body["event_type"],
        message=body["message"],
        origin=body["origin"],
        details=body["details"],
        error=body["error"],
    )


def error_of(error: BaseException) -> dict[str, Any]:
    """An exception as a value of the log's `error` column."""
    import traceback

    frames = [
        {"declaring_class": frame.filename, "method_name": frame.name, "line_number": frame.lineno or 0}
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    return {
        "fatal": True,
        "exceptions": [{"class_name": type(error).__name__, "message": str(error)[:20000], "stack": frames}],
    }


def arrow_schema() -> Any:
    """The columns of the event log table."""
    import pyarrow as pa

    frame = pa.struct(
        [("declaring_class", pa.string()), ("method_name", pa.string()), ("line_number", pa.int64())]
    )
    failure = pa.struct([("class_name", pa.string()), ("message", pa.string()), ("stack", pa.list_(frame))])
    sequence = pa.struct(
        [
            ("control_plane_seq_no", pa.int64()),
            ("data_plane_id", pa.struct([("instance", pa.string()), ("seq_no", pa.int64())])),
        ]
    )
    return pa.schema(
        [
            ("id", pa.string()),
            ("sequence", sequence),
            ("origin", pa.struct([(name, pa.string()) for name in ORIGIN_FIELDS])),
            ("timestamp", pa.timestamp("us", tz="UTC")),
            ("message", pa.string()),
            ("level", pa.string()),
            ("maturity_level", pa.string()),
            ("error", pa.struct([("fatal", pa.bool_()), ("exceptions", pa.list_(failure))])),
            ("details", pa.string()),
            ("event_type", pa.string()),
        ]
    )


def _append(table: Path, events: list[tuple[int, dict[str, Any]]]) -> int:
    import pyarrow as pa
    from deltalake import CommitProperties, Transaction, write_deltalake

    last = events[-1][0]
    have = Table(table).last_transaction(APP_ID)
    rows = [_row(number, body) for number, body in events if number > have]
    if rows:
        table.parent.mkdir(parents=True, exist_ok=True)
        write_deltalake(
            str(table),
            pa.Table.from_pylist(rows, schema=arrow_schema()),
            mode="append",
            description="Pipeline event log",
            commit_properties=CommitProperties(app_transactions=[Transaction(APP_ID, last)]),
        )
    return last


def _row(number: int, body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": body["id"],
        "sequence": {
            "control_plane_seq_no": number,
            "data_plane_id": {"instance": "laptop", "seq_no": number},
        },
        "origin": {name: body["origin"].get(name) for name in ORIGIN_FIELDS},
        "timestamp": datetime.fromisoformat(body["timestamp"]),
        "message": body["message"],
        "level": body["level"],
        "maturity_level": "STABLE",
        "error": body["error"],
        "details": json.dumps(body["details"]),
        "event_type": body["event_type"],
    }

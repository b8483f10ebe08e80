"""A workspace on a free port, for which tests write documents, and small tables for its pages."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import uvicorn
from deltalake import write_deltalake
from guest import GUEST

from lakerun.plugins import Loaded
from lakerun.tables.storage import Storage, TableName
from lakerun.workspace.app import create_app
from lakerun.workspace.services import Services, Settings
from lakerun.workspace.store import Store

TOKEN = "token-of-the-tests"
JOB, RUN, PIPELINE = 11, 100, "0f6f9a3e-pipeline"
START = 1_700_000_000_000  # 2023-11-14 22:13:20 UTC
SCRIPT = "<script>alert(1)</script>"
STATES: dict[str, dict[str, str]] = {
    "SUCCESS": {"life_cycle_state": "TERMINATED", "result_state": "SUCCESS"},
    "FAILED": {"life_cycle_state": "TERMINATED", "result_state": "FAILED"},
    "RUNNING": {"life_cycle_state": "RUNNING"},
    "BLOCKED": {"life_cycle_state": "BLOCKED"},
}


@dataclass(frozen=True)
class Site:
    """A running server and its documents."""

    url: str
    services: Services

    @property
    def store(self) -> Store:
        return self.services.store

    @property
    def login(self) -> str:
        return f"{self.url}/login#token={TOKEN}"

    def visitor(self) -> httpx.Client:
        """A browser without a session, which does not follow redirects."""
        return httpx.Client(base_url=self.url)

    @contextmanager
    def reader(self) -> Iterator[httpx.Client]:
        """A browser that has signed in."""
        with self.visitor() as client:
            assert client.post("/login", data={"token": TOKEN}).status_code == 303
            yield client


@contextmanager
def serve(home: Path, plugins: Loaded = GUEST) -> Iterator[Site]:
    """A workspace over the data folder `home`, stopped at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = Settings(f"http://127.0.0.1:{port}", TOKEN)
    services = Services(settings, Storage(home), Store(home / "workspace" / "state.db"), plugins)
    app = create_app(services)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive()
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.02)
    try:
        yield Site(settings.host_url, services)
    finally:
        server.should_exit = True
        thread.join(timeout=20)


def put_job(site: Site, job_id: int = JOB, name: str = "nightly", **settings: Any) -> None:
    body = {"job_id": job_id, "created_time": START, "settings": {"name": name, "tasks": [], **settings}}
    site.store.put("job", job_id, body)


def put_run(
    site: Site,
    state: str,
    tasks: list[dict[str, Any]],
    *,
    run_id: int = RUN,
    job_id: int = JOB,
    **fields: Any,
) -> None:
    """A run that began at START and, unless it still runs, took 83 seconds."""
    body = {
        "run_id": run_id,
        "job_id": job_id,
        "run_name": "nightly",
        "state": {**STATES[state], "state_message": ""},
        "start_time": START,
        "end_time": 0 if state == "RUNNING" else START + 83_000,
        "trigger": "ONE_TIME",
        "tasks": tasks,
        **fields,
    }
    site.store.put("run", run_id, body, job_id)


def task(key: str, state: str, run_id: int, *after: str, **fields: Any) -> dict[str, Any]:
    """A task of a run; one that has ended took two seconds."""
    return {
        "run_id": run_id,
        "task_key": key,
        "attempt_number": 0,
        "depends_on": [{"task_key": each} for each in after],
        "state": {**STATES[state], "state_message": ""},
        "start_time": 0 if state == "BLOCKED" else START,
        "end_time": START + 2000 if state in ("SUCCESS", "FAILED") else 0,
        **fields,
    }


def put_output(site: Site, task_run_id: int, key: str = "load", **output: Any) -> None:
    metadata = {"job_id": JOB, "run_id": task_run_id, "job_run_id": RUN, "task_key": key}
    site.store.put("task_output", task_run_id, {"metadata": metadata, **output}, RUN)


def put_update(site: Site, update_id: str = "u-1", state: str = "RUNNING", **fields: Any) -> None:
    """An update of the one pipeline."""
    spec = {"name": "refinery", "catalog": "main", "schema": "shop"}
    pipeline = {"pipeline_id": PIPELINE, "name": "refinery", "state": "IDLE", "spec": spec}
    site.store.put("pipeline", PIPELINE, pipeline)
    update = {"update_id": update_id, "pipeline_id": PIPELINE, "state": state, "cause": "API_CALL"}
    site.store.put("update", update_id, {**update, "creation_time": START, **fields}, PIPELINE)


def put_event(
    site: Site,
    number: int,
    event_type: str,
    details: Mapping[str, Any],
    *,
    dataset: str = "",
    update_id: str = "u-1",
    level: str = "INFO",
    message: str = "",
    **fields: Any,
) -> None:
    """An event of an update, `number` seconds after START."""
    at = datetime.fromtimestamp(START / 1000 + number, UTC).isoformat()
    origin = {"update_id": update_id, **({"dataset_name": dataset, "flow_name": dataset} if dataset else {})}
    event = {
        "id": f"{update_id}-{number}",
        "timestamp": at,
        "level": level,
        "event_type": event_type,
        "message": message or f"{event_type} {number}",
        "origin": origin,
        "details": {event_type: dict(details)},
        **fields,
    }
    site.store.put("event", event["id"], event, update_id)


def put_flow(site: Site, number: int, target: str, *reads: str, update_id: str = "u-1") -> None:
    """The events of a dataset with one flow."""
    put_event(
        site,
        number,
        "dataset_definition",
        {"dataset_type": "STREAMING_TABLE", "num_flows": 1},
        dataset=target,
        update_id=update_id,
    )
    flow = {"output_dataset": target, "input_datasets": [{"dataset": {"name": read}} for read in reads]}
    put_event(site, number + 1, "flow_definition", flow, dataset=target, update_id=update_id)


def progress(status: str, rows: int | None = None, **expectations: tuple[int, int]) -> dict[str, Any]:
    """Details of a flow's progress; expectations as name=(passed, failed)."""
    details: dict[str, Any] = {"status": status}
    if rows is not None:
        details["metrics"] = {"num_output_rows": rows}
    if expectations:
        details["data_quality"] = {
            "dropped_records": 0,
            "expectations": [
                {"name": name, "dataset": "any", "passed_records": passed, "failed_records": failed}
                for name, (passed, failed) in expectations.items()
            ],
        }
    return details


def put_table(site: Site, table: str, rows: pa.Table, **options: Any) -> None:
    name = TableName("main", "shop", table)
    path = site.services.storage.table_path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_deltalake(str(path), rows, mode="append", **options)


def put_quarantine(site: Site, count: int) -> None:
    """`quarantine_orders` with `count` lines, each a minute newer; all break a rule, every third two."""
    put_table(
        site,
        "quarantine_orders",
        pa.table(
            {
                "raw_line": [f"line {n}".encode() for n in range(count)],
                "raw_text": [f'{{"id": {n}, "note": "{SCRIPT}"}}' for n in range(count)],
                "source_file": [f"file:/in/part_{n:03}.json" for n in range(count)],
                "ingested_at": pa.array(
                    [datetime.fromtimestamp(START / 1000 + 60 * n, UTC) for n in range(count)],
                    pa.timestamp("us", "UTC"),
                ),
                "environment": ["test"] * count,
                "broken_rules": [["valid_id"] + (["it's_json"] if n % 3 == 0 else []) for n in range(count)],
            }
        ),
    )

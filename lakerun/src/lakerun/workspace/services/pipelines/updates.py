"""Updates of pipelines, started through the API or by a job's task and run in a worker: `Updates`."""

from __future__ import annotations

import base64
import json
import logging
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from lakerun.bundles.review import check_supported
from lakerun.errors import LakerunError
from lakerun.jobs.tasks import TaskCall, TaskOutcome
from lakerun.pipelines.results import UPDATE_ENDED, Event
from lakerun.workspace.errors import ApiError, invalid, missing
from lakerun.workspace.paging import FOREIGN_TOKEN, checked_size, number_in, page_from, page_of
from lakerun.workspace.requests import read_json
from lakerun.workspace.services.checks import now_ms, without_none
from lakerun.workspace.services.compute.compute import Compute
from lakerun.workspace.services.compute.deployed import Deployed
from lakerun.workspace.services.jobs.notifications import notify_of_update
from lakerun.workspace.services.pipelines.pipeline_events import (
    event_body,
    event_filter,
    filtered_update,
    own_event,
)
from lakerun.workspace.store import Document, Store

logger = logging.getLogger(__name__)

CAUSES = ("API_CALL", "JOB_TASK", "USER_ACTION", "RETRY_ON_FAILURE", "SERVICE_UPGRADE", "SCHEMA_CHANGE")
OPTIONS = ("full_refresh", "validate_only", "refresh_selection", "full_refresh_selection")
LATEST_UPDATES = 5
PAGE = 100
TOKEN = ("filter", "order", "page")  # what the token of a page of events has
LARGEST_PAGE = 250
STOPPED = "The workspace stopped during the update."


class _Canceled(threading.Event):
    """Set when the update is stopped or its job is canceled; stopping it stops no other task of the job."""

    def __init__(self, also: threading.Event | None = None) -> None:
        super().__init__()
        self._also = also

    def is_set(self) -> bool:
        return super().is_set() or (self._also is not None and self._also.is_set())


@dataclass
class _Active:
    update_id: str
    canceled: _Canceled


class Updates:
    """One update of a pipeline at a time. Documents: "update" by pipeline, and its "event"s."""

    def __init__(self, store: Store, compute: Compute, deployed: Deployed) -> None:
        self._store = store
        self._compute = compute
        self._deployed = deployed
        self._lock = threading.Lock()
        self._active: dict[str, _Active] = {}

    def start(self, pipeline_id: str, request: Mapping[str, Any]) -> str:
        """Begin an update and return its id; RESOURCE_CONFLICT (409) while another one is active."""
        options = _options(request)
        cause = request.get("cause") or "API_CALL"
        if cause not in CAUSES:
            raise invalid(f"cause: '{cause}' is not one of {', '.join(CAUSES)}.")
        pipeline = self._pipeline(pipeline_id)
        active = self._begin(pipeline, options, cause)
        call = TaskCall(
            run_id=active.update_id,
            task_run_id=active.update_id,
            task_key=pipeline["name"],
            attempt=0,
            kind="pipeline",
            payload=options,
        )
        threading.Thread(
            target=self._run,
            args=(pipeline, active, call, lambda event: None),
            name=f"update-{active.update_id}",
            daemon=True,
        ).start()
        return active.update_id

    def run_task(
        self, call: TaskCall, on_event: Callable[[Event], None], canceled: threading.Event
    ) -> TaskOutcome:
        """Run the update of a job's pipeline task to its end."""
        try:
            pipeline = self._pipeline(str(call.payload["pipeline_id"]))
            active = self._begin(
                pipeline, _options(call.payload), "JOB_TASK", canceled, int(call.task_run_id)
            )
        except ApiError as error:
            return TaskOutcome(error=error.message)
        return self._run(pipeline, active, call, on_event)

    def get(self, pipeline_id: str, update_id: str) -> Document:
        """An update in the API's format, and its "result", which has the outcome of each dataset."""
        self._pipeline(pipeline_id)
        update = self._store.get("update", update_id)
        if update is None or update["pipeline_id"] != pipeline_id:
            raise ApiError("RESOURCE_DOES_NOT_EXIST", f"The specified update {update_id} was not found.")
        return update

    def list(
        self,
        pipeline_id: str,
        max_results: int = 25,
        page_token: str | None = None,
        until_update_id: str | None = None,
    ) -> Document:
        """A page of the pipeline's updates, the newest first."""
        self._pipeline(pipeline_id)
        size = checked_size(min(max_results, LARGEST_PAGE), LARGEST_PAGE, "max_results")
        newest = partial(self._store.list, "update", pipeline_id, newest_first=True)
        page, following = page_from(newest, page_token, size)
        if until_update_id in (ids := [update["update_id"] for update in page]):
            page, following = page[: ids.index(until_update_id) + 1], None
        offset = number_in(page_token)
        previous = str(max(0, offset - size)) if offset else None
        return without_none({"updates": page, "next_page_token": following, "prev_page_token": previous})

    def events(
        self,
        pipeline_id: str,
        filter: str | None = None,
        order_by: str | None = None,
        max_results: int = PAGE,
        page_token: str | None = None,
    ) -> Document:
        """A page of the pipeline's events, the newest first unless `order_by` is `timestamp asc`.

        A page token contains the filter and the order of the call that returned it.
        """
        self._pipeline(pipeline_id)
        size = checked_size(min(max_results, LARGEST_PAGE), LARGEST_PAGE, "max_results")
        token = _read_token(page_token) if page_token else {}
        if token:
            filter, order_by = token.get("filter"), token.get("order")
        order = (order_by or "timestamp desc").lower().split()
        if order[:1] != ["timestamp"] or order[1:] not in ([], ["asc"], ["desc"]):
            raise invalid(f"order_by: 'timestamp asc' or 'timestamp desc' is expected, not '{order_by}'.")
        newest_first = order[1:] != ["asc"]
        wanted = event_filter(filter or "")
        matching = (e for e in self._all_events(pipeline_id, filter or "", newest_first) if wanted(e))
        page, following = page_of(matching, token.get("page"), size)
        if following:
            following = _token(filter=filter, order=order_by, page=following)
        return without_none({"events": page, "next_page_token": following})

    def stop(self, pipeline_id: str) -> None:
        """Cancel the active update, if there is one."""
        self._pipeline(pipeline_id)
        with self._lock:
            active = self._active.get(pipeline_id)
        if active:
            self._set(active.update_id, state="STOPPING")
            active.canceled.set()

    def state_of(self, pipeline_id: str) -> Document:
        """The `state` and `latest_updates` of `GET pipelines/{id}`."""
        latest = self._store.list("update", pipeline_id, newest_first=True, limit=LATEST_UPDATES)
        with self._lock:
            active = pipeline_id in self._active
        stopping = active and bool(latest) and latest[0]["state"] == "STOPPING"
        return {
            "state": "STOPPING" if stopping else "RUNNING" if active else "IDLE",
            "latest_updates": [
                {
                    "update_id": update["update_id"],
                    "state": update["state"],
                    "creation_time": datetime.fromtimestamp(update["creation_time"] / 1000, UTC)
                    .isoformat(timespec="milliseconds")
                    .replace("+00:00", "Z"),
                }
                for update in latest
            ],
        }

    def follow(self, pipeline_id: str) -> None:
        """Delete the updates of a deleted pipeline; called after each change of a pipeline."""
        if self._store.get("pipeline", pipeline_id) is not None:
            return
        with self._lock:
            if active := self._active.get(pipeline_id):
                active.canceled.set()
        for update in self._store.list("update", pipeline_id):
            self._store.delete_children("event", update["update_id"])
        self._store.delete_children("update", pipeline_id)

    def recover(self) -> None:
        """Mark the updates that were active when the workspace stopped as failed."""
        for update in self._store.list("update"):
            if update["state"] not in UPDATE_ENDED:
                self._finish(update["update_id"], "FAILED", STOPPED)

    def close(self) -> None:
        """Cancel the active updates."""
        with self._lock:
            for active in self._active.values():
                active.canceled.set()

    def _pipeline(self, pipeline_id: str) -> Document:
        pipeline = self._store.get("pipeline", pipeline_id)
        if pipeline is None:
            raise missing("Pipeline", pipeline_id)
        return pipeline

    def _begin(
        self,
        pipeline: Document,
        options: Document,
        cause: str,
        canceled: threading.Event | None = None,
        task_run_id: int | None = None,
    ) -> _Active:
        pipeline_id = pipeline["pipeline_id"]
        active = _Active(str(uuid.uuid4()), _Canceled(canceled))
        with self._lock:
            if other := self._active.get(pipeline_id):
                raise ApiError(
                    "RESOURCE_CONFLICT",
                    f"An active update {other.update_id} already exists for pipeline '{pipeline['name']}'.",
                )
            self._active[pipeline_id] = active
        update: Document = {
            "pipeline_id": pipeline_id,
            "update_id": active.update_id,
            "config": pipeline["spec"],
            "cause": cause,
            "state": "QUEUED",
            "creation_time": now_ms(),
            **options,
            **({} if task_run_id is None else {"task_run_id": task_run_id}),
        }
        self._store.put("update", active.update_id, update, pipeline_id)
        return active

    def _run(
        self,
        pipeline: Document,
        active: _Active,
        call: TaskCall,
        on_event: Callable[[Event], None],
    ) -> TaskOutcome:
        update_id = active.update_id

        def record(event: Event) -> None:
            self._store.put("event", event.id, event_body(event), update_id)
            progress = event.details.get("update_progress")
            if progress and progress["state"] not in UPDATE_ENDED and not active.canceled.is_set():
                self._set(update_id, state=progress["state"])
            on_event(event)

        try:
            outcome = self._execute(pipeline, active, call, record)
        except LakerunError as error:
            outcome = TaskOutcome(error=str(error))
        except Exception as error:
            logger.exception("update %s failed", update_id)
            outcome = TaskOutcome(error=f"{type(error).__name__}: {error}")
        if outcome.update is not None:
            self._set(update_id, result=json.loads(json.dumps(asdict(outcome.update))))
        state = "CANCELED" if outcome.canceled else "FAILED" if outcome.error else "COMPLETED"
        with self._lock:
            del self._active[pipeline["pipeline_id"]]
        self._finish(update_id, state, outcome.error)
        return outcome

    def _execute(
        self, pipeline: Document, active: _Active, call: TaskCall, record: Callable[[Event], None]
    ) -> TaskOutcome:
        """Run the task with the pipeline's deployed files and wheels, and this update's id."""
        spec = pipeline["spec"]
        update = self._store.get("update", active.update_id) or {}
        deployed = self._deployed.pipeline(pipeline["pipeline_id"], spec)
        check_supported(deployed)  # before a worker starts Spark
        prepared = TaskCall(
            run_id=call.run_id,
            task_run_id=call.task_run_id,
            task_key=call.task_key,
            attempt=call.attempt,
            kind="pipeline",
            payload={**call.payload, "update_id": active.update_id, "cause": update.get("cause")},
            parameters=call.parameters,
            dependencies=deployed.dependencies,
            pipeline=deployed,
        )
        self._set(active.update_id, state="WAITING_FOR_RESOURCES")
        with self._compute.data_folder(f"pipeline {pipeline['name']} in the local workspace"):
            return self._compute.execute(prepared, record, active.canceled)

    def _finish(self, update_id: str, state: str, error: str | None) -> None:
        """Record the end of an update, with an event if the worker did not send one."""
        update = self._store.get("update", update_id)
        if update is None:
            return  # the pipeline was deleted meanwhile
        reported = any(
            event["details"].get("update_progress", {}).get("state") == state
            for event in self._store.list("event", update_id, newest_first=True, limit=20)
        )
        if not reported:
            spec = update["config"]
            origin = {
                "cloud": "laptop",
                "pipeline_id": update["pipeline_id"],
                "pipeline_name": spec.get("name", ""),
                "pipeline_type": "WORKSPACE",
                "update_id": update_id,
            }
            message = f"Update {update_id[:6]} is {state}." + (f" {error}" if error else "")
            event = own_event(origin, state, message, error if state == "FAILED" else None)
            self._store.put("event", event["id"], event, update_id)
        self._set(update_id, state=state)
        notify_of_update(self._store, {**update, "state": state})

    def _set(self, update_id: str, **fields: Any) -> None:
        with self._store.transaction():
            update = self._store.get("update", update_id)
            if update is not None:
                self._store.put("update", update_id, update | fields, update["pipeline_id"])

    def _all_events(self, pipeline_id: str, filter: str, newest_first: bool) -> Iterator[Document]:
        """The events, update by update: a pipeline has only one update at a time."""
        only = filtered_update(filter)
        updates = self._store.list("update", pipeline_id, newest_first=newest_first)
        for update in updates:
            if only is None or update["update_id"] == only:
                yield from self._store.list("event", update["update_id"], newest_first=newest_first)


def _options(request: Mapping[str, Any]) -> Document:
    """The checked options of an update, from a request or a pipeline task."""
    flags = {name: request.get(name) or False for name in OPTIONS[:2]}
    for name, value in flags.items():
        if value in ("true", "false"):
            flags[name] = value == "true"
        elif not isinstance(value, bool):
            raise invalid(f"{name}: true or false is expected.")
    selections = {name: request.get(name) or [] for name in OPTIONS[2:]}
    for name, tables in selections.items():
        if not isinstance(tables, list) or not all(isinstance(table, str) for table in tables):
            raise invalid(f"{name}: a list of table names is expected.")
    for name in ("reset_checkpoint_selection", "replace_where_overrides", "rewind_spec", "parameters"):
        if request.get(name):
            raise ApiError("NOT_IMPLEMENTED", f"{name} is not part of the local workspace.")
    return {**flags, **selections}


def _token(**content: str | None) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


def _read_token(token: str) -> dict[str, str | None]:
    try:
        found = read_json(base64.urlsafe_b64decode(token))
    except ValueError:
        found = None
    texts = (str, type(None))
    if not isinstance(found, dict) or not all(isinstance(found.get(name), texts) for name in TOKEN):
        raise invalid(FOREIGN_TOKEN)
    return found

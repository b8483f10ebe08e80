"""Starts, queues, watches and cancels runs of jobs: `Runs`."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lakerun.bundles.job_specs import job_from_settings
from lakerun.bundles.model import JobSpec
from lakerun.bundles.review import check_supported
from lakerun.errors import LakerunError
from lakerun.jobs.results import JobResult, TaskUpdate
from lakerun.jobs.runner import chosen_tasks, run_job
from lakerun.workspace.errors import ApiError, invalid
from lakerun.workspace.services.checks import now_ms
from lakerun.workspace.services.compute.compute import Compute
from lakerun.workspace.services.compute.deployed import Deployed
from lakerun.workspace.services.jobs import run_documents as documents
from lakerun.workspace.services.jobs.deployed_tasks import DeployedResources, DeployedTasks
from lakerun.workspace.services.jobs.notifications import notify_of_run
from lakerun.workspace.services.jobs.run_requests import RunNow, with_overrides
from lakerun.workspace.services.pipelines.updates import Updates
from lakerun.workspace.store import Document, Store

logger = logging.getLogger(__name__)

STOPPED = "The workspace stopped during the run."
QUEUED = {
    "code": "MAX_CONCURRENT_RUNS_REACHED",
    "message": "Queued because the job has as many active runs as max_concurrent_runs allows.",
}


@dataclass
class _Live:
    """A run that has not ended. `callers` are the jobs whose run-job tasks led to it."""

    run: Document
    spec: JobSpec
    settings: Mapping[str, Any]
    given: Mapping[str, str]
    only: tuple[str, ...]
    callers: tuple[str, ...] = ()
    canceled: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)
    result: JobResult | None = None

    @property
    def run_id(self) -> int:
        return int(self.run["run_id"])

    @property
    def job_id(self) -> int:
        return int(self.run["job_id"])


class Runs:
    """Documents: "run" by job, "task_output" by run, "run_request" while a run has not ended."""

    def __init__(
        self,
        *,
        host_url: str,
        user: str,
        store: Store,
        compute: Compute,
        deployed: Deployed,
        updates: Updates,
    ) -> None:
        self._host_url = host_url
        self._user = user
        self._store = store
        self._compute = compute
        self._deployed = deployed
        self._updates = updates
        self._resources = DeployedResources(store, deployed)
        self._lock = threading.RLock()
        self._live: dict[int, _Live] = {}
        self._queues: dict[int, list[int]] = defaultdict(list)
        self._closed = False

    def run_now(self, request: RunNow, trigger: str = "ONE_TIME") -> Document:
        """Start a run of a job, or queue or skip it; returns `run_id` and `number_in_job`.

        INVALID_PARAMETER_VALUE for a job, a parameter or a task in `only` that does not exist. A request
        with the idempotency token of an earlier one gets the earlier run.
        """
        job = self._store.get("job", request.job_id)
        if job is None:
            raise invalid(f"Job {request.job_id} does not exist.")
        settings = with_overrides(job["settings"], request)
        with self._lock, self._store.transaction():
            token = request.idempotency_token
            if token and (earlier := self._store.get("idempotency", token)):
                return {"run_id": earlier["run_id"], "number_in_job": earlier["run_id"]}
            live = self._new(
                job_id=request.job_id,
                settings=settings,
                given=request.job_parameters,
                only=tuple(request.only),
                overriding=request.overriding(),
                trigger=trigger,
            )
            if token:
                self._store.put("idempotency", token, {"run_id": live.run_id}, live.run_id)
        self._admit(live)
        return {"run_id": live.run_id, "number_in_job": live.run_id}

    def submit(self, body: Mapping[str, Any]) -> Document:
        """Run tasks once, without a job: `runs/submit`."""
        settings = {**body, "name": body.get("run_name") or "Untitled"}
        token = body.get("idempotency_token")
        with self._lock, self._store.transaction():
            if token and (earlier := self._store.get("idempotency", str(token))):
                return {"run_id": earlier["run_id"]}
            live = self._new(
                job_id=self._store.next_id(),
                settings=settings,
                given={},
                only=(),
                overriding={},
                trigger="ONE_TIME",
                run_type="SUBMIT_RUN",
            )
            if token:
                self._store.put("idempotency", str(token), {"run_id": live.run_id}, live.run_id)
        self._admit(live)
        return {"run_id": live.run_id}

    def is_active(self, job_id: int) -> bool:
        """Whether a run of the job is active or queued."""
        with self._lock:
            return any(live.job_id == job_id for live in self._live.values())

    def cancel(self, run_id: int) -> None:
        """Cancel a run, by its id or by that of one of its tasks, unless it has ended."""
        run = self._store.get("run", run_id)
        if run is None:
            output = self._store.get("task_output", run_id)
            if output is None:
                raise invalid(f"run_id: Run {run_id} does not exist.")
            run_id = output["metadata"]["job_run_id"]
        with self._lock:
            live = self._live.get(run_id)
            if live is None or live.canceled.is_set():
                return
            live.canceled.set()
            queue = self._queues[live.job_id]
            if run_id in queue:
                queue.remove(run_id)
                self._end(live, documents.ended("CANCELED", "Run cancelled while it was queued."))
                return
            live.run |= documents.waiting("TERMINATING", "Run cancelled.")
            self._save(live)

    def cancel_all(self, job_id: int | None, queued_only: bool = False) -> None:
        """Cancel the runs of a job, or only its queued ones; without a job, the queued ones of all jobs."""
        if job_id is None and not queued_only:
            raise invalid("job_id: required unless all_queued_runs is true.")
        with self._lock:
            chosen = [
                live.run_id
                for live in self._live.values()
                if job_id in (None, live.job_id)
                and (not queued_only or live.run_id in self._queues[live.job_id])
            ]
        for run_id in chosen:
            self.cancel(run_id)

    def delete(self, run_id: int) -> None:
        """Delete a run that has ended; INVALID_STATE for one that has not."""
        run = self._store.get("run", run_id)
        if run is None:
            raise invalid(f"Run {run_id} does not exist.")
        if documents.is_active(run):
            raise ApiError("INVALID_STATE", f"Run {run_id} is active: cancel it before you delete it.")
        with self._store.transaction():
            self._store.delete("run", run_id)
            self._store.delete_children("task_output", run_id)

    def recover(self) -> None:
        """After a restart, mark active runs as failed and queue the queued ones again."""
        for run in self._store.list("run"):
            if documents.is_active(run):
                live = self._still_queued(run)
                if live is None:
                    self._interrupt(run)
                else:
                    self._admit(live)

    def close(self) -> None:
        """Mark active runs as interrupted; queued runs stay queued for the next start."""
        with self._lock:
            self._closed = True
            for live in self._live.values():
                live.canceled.set()
                if live.run_id not in self._queues[live.job_id]:
                    self._interrupt(live.run)

    def _still_queued(self, run: Document) -> _Live | None:
        request = self._store.get("run_request", run["run_id"])
        if run["state"]["life_cycle_state"] != "QUEUED" or request is None:
            return None
        try:
            spec = job_from_settings(request["settings"], str(run["job_id"]))
        except LakerunError:  # stored by another version
            return None
        live = _Live(run, spec, request["settings"], request["given"], tuple(request["only"]))
        with self._lock:
            self._live[live.run_id] = live
        return live

    def _new(
        self,
        *,
        job_id: int,
        settings: Mapping[str, Any],
        given: Mapping[str, str],
        only: tuple[str, ...],
        overriding: Mapping[str, Any],
        trigger: str,
        run_type: str = "JOB_RUN",
        run_id: int | None = None,
        parent_task_run_id: int | None = None,
        callers: tuple[str, ...] = (),
    ) -> _Live:
        if self._closed:
            raise ApiError("INVALID_STATE", "The workspace is stopping.")
        try:
            spec = job_from_settings(settings, str(job_id))
            check_supported(spec)
            chosen_tasks(spec, only)
        except LakerunError as error:
            raise invalid(str(error)) from None
        for name in given:
            if name not in spec.parameters:
                known = ", ".join(spec.parameters) or "none"
                raise invalid(f"job_parameters: the job has no parameter '{name}'; it has: {known}.")
        run_id = run_id or self._store.next_id()
        run = documents.new_run(
            run_id=run_id,
            job_id=job_id,
            settings=settings,
            spec=spec,
            given=given,
            overriding=overriding,
            user=self._user,
            page_url=f"{self._host_url}/jobs/{job_id}/runs/{run_id}",
            now=now_ms(),
            trigger=trigger,
            run_type=run_type,
            parent_task_run_id=parent_task_run_id,
        )
        live = _Live(run, spec, settings, given, only, callers)
        request = {"settings": dict(settings), "given": dict(given), "only": list(only)}
        with self._store.transaction():
            self._store.put("run_request", run_id, request, job_id)
            self._store.put("run", run_id, run, job_id)
        with self._lock:
            self._live[run_id] = live
        return live

    def _admit(self, live: _Live) -> None:
        """Start a run, or queue or skip it if its job has its maximum of active runs."""
        spec = live.spec
        with self._lock:
            queue = self._queues[live.job_id]
            active = sum(1 for other in self._live.values() if other.job_id == live.job_id) - len(queue) - 1
            if active < spec.max_concurrent_runs:
                self._launch(live)
            elif spec.queue:
                queue.append(live.run_id)
                live.run |= documents.waiting("QUEUED", QUEUED["message"], QUEUED)
                self._save(live)
            else:
                reason = f"the job has {spec.max_concurrent_runs} active runs, its max_concurrent_runs."
                self._end(live, documents.skipped(f"Skipped: {reason}"))

    def _launch(self, live: _Live) -> None:
        live.run |= {"queue_duration": max(0, now_ms() - live.run["start_time"])}
        live.run |= documents.waiting("RUNNING")
        self._save(live)
        threading.Thread(target=self._run, args=(live,), name=f"run-{live.run_id}", daemon=True).start()

    def _run(self, live: _Live) -> None:
        notify_of_run(self._store, live.settings, live.run, "on_start")
        try:
            with self._compute.data_folder(f"job {live.spec.name} in the local workspace"):
                live.result = self._run_tasks(live)
            end = documents.end_of_run(live.result)
        except LakerunError as error:
            end = documents.interrupted(str(error))
        except Exception as error:
            logger.exception("run %s failed", live.run_id)
            end = documents.interrupted(f"{type(error).__name__}: {error}")
        with self._lock:
            self._end(live, end)

    def _run_tasks(self, live: _Live) -> JobResult:
        trigger = live.run["trigger"]

        def nested(
            job_id: str, given: Mapping[str, str], task_run_id: str, nested_id: str, stopped: threading.Event
        ) -> JobResult:
            return self._run_nested_job(live, job_id, given, int(task_run_id), int(nested_id), stopped)

        return run_job(
            live.spec,
            live.given,
            resources=self._resources,
            task_runner=DeployedTasks(live.settings, self._deployed, self._compute, self._updates),
            on_task=lambda update: self._on_task(live, update),
            canceled=live.canceled,
            only=live.only,
            run_id=str(live.run_id),
            trigger={"ONE_TIME": "onetime", "PERIODIC": "periodic"}.get(trigger, trigger.lower()),
            workspace={"id": "0", "url": self._host_url},
            new_id=lambda: str(self._store.next_id()),
            run_nested_job=nested,
            callers=live.callers,
        )

    def _run_nested_job(
        self,
        caller: _Live,
        job_id: str,
        given: Mapping[str, str],
        task_run_id: int,
        nested_id: int,
        stopped: threading.Event,
    ) -> JobResult:
        """Start a run for a run-job task and wait for it."""
        job = self._store.get("job", job_id)
        if job is None:
            raise LakerunError(f"run_job_task.job_id: Job {job_id} does not exist.")
        live = self._new(
            job_id=int(job_id),
            settings=job["settings"],
            given=given,
            only=(),
            overriding={},
            trigger="RUN_JOB_TASK",
            run_id=nested_id,
            parent_task_run_id=task_run_id,
            callers=(*caller.callers, caller.spec.key),
        )
        self._admit(live)
        while not live.done.wait(0.1):
            if stopped.is_set():
                self.cancel(live.run_id)
        if live.result is None:
            raise LakerunError(live.run["state"]["state_message"])
        return live.result

    def _on_task(self, live: _Live, update: TaskUpdate) -> None:
        if update.run_id != str(live.run_id):
            return
        with self._lock:
            if self._closed:
                return
            settings = {task["task_key"]: task for task in live.settings.get("tasks") or []}
            entry = documents.apply_task_update(live.run, update, settings, live.run["run_page_url"])
            metadata = {
                "job_id": live.job_id,
                "run_id": entry["run_id"],
                "job_run_id": live.run_id,
                "task_key": entry["task_key"],
            }
            output: Document = {"metadata": metadata}
            if update.ended:
                output |= documents.task_output(entry, update.outcome, update.state, update.message)
            with self._store.transaction():
                self._store.put("task_output", entry["run_id"], output, live.run_id)
                self._save(live)

    def _end(self, live: _Live, end: Document) -> None:
        """Record the end of a run, and start the next run in its job's queue. The caller holds the lock."""
        if self._closed:
            live.done.set()
            return
        now = now_ms()
        for task in live.run["tasks"]:
            if documents.is_active(task):
                task |= {**end, "end_time": now}
        duration = now - live.run["start_time"]
        live.run |= {**end, "end_time": now, "run_duration": duration, "execution_duration": duration}
        with self._store.transaction():
            self._save(live)
            self._store.delete("run_request", live.run_id)
        self._live.pop(live.run_id, None)
        notify_of_run(self._store, live.settings, live.run)
        live.done.set()
        queue = self._queues[live.job_id]
        if queue:
            self._launch(self._live[queue.pop(0)])

    def _interrupt(self, run: Document) -> None:
        end = documents.interrupted(STOPPED)
        for task in run["tasks"]:
            if documents.is_active(task):
                task |= {**end, "end_time": now_ms()}
        self._store.put("run", run["run_id"], run | {**end, "end_time": now_ms()}, run["job_id"])
        self._store.delete("run_request", run["run_id"])

    def _save(self, live: _Live) -> None:
        self._store.put("run", live.run_id, live.run, live.job_id)

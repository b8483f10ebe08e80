"""Runs tasks in workers, one for each version of deployed code: `Compute`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from lakerun.errors import LakerunError
from lakerun.jobs.packages.installed import Packages, PackageSet
from lakerun.jobs.packages.notebook_packages import dependencies_of
from lakerun.jobs.tasks import TaskCall, TaskOutcome
from lakerun.pipelines.results import Event
from lakerun.tables.storage import Storage
from lakerun.workspace.services.compute.worker_process import OnOutput, ReadSecret, WorkerProcess

WORKERS = 2  # each may have a Java process, which takes a quarter of the machine's memory
CANCEL_GRACE_SECONDS = 15.0


@dataclass
class _Slot:
    worker: WorkerProcess
    busy: int = 0
    used: float = field(default_factory=time.monotonic)


class Compute:
    """The workspace's compute, a `TaskRunner`: tasks with the same packages share a worker and its session.

    A new worker replaces idle ones whose wheels are superseded, and the longest idle beyond `WORKERS`.
    `on_output` is called with the output of running tasks; `read_secret` answers `dbutils.secrets.get`.
    Workers get the environment variables in `environment`, and those of the process that started the
    server except the `hidden_variables`.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        on_output: OnOutput = lambda task_run_id, text: None,
        read_secret: ReadSecret,
        environment: Mapping[str, str] | None = None,
        hidden_variables: Collection[str] = (),
        grace_seconds: float = CANCEL_GRACE_SECONDS,
    ) -> None:
        self._storage = storage
        self._on_output = on_output
        self._read_secret = read_secret
        self._environment = dict(environment or {})
        self._hidden = frozenset(hidden_variables)
        self._grace_seconds = grace_seconds
        self._packages = Packages(storage.home / "workspace" / "wheels", storage)
        self._lock = threading.Lock()
        self._slots: dict[str, _Slot] = {}
        self._holders = 0
        self._held = ExitStack()
        self._closed = False

    def execute(
        self, call: TaskCall, on_event: Callable[[Event], None], canceled: threading.Event
    ) -> TaskOutcome:
        """Run one attempt of a task in the worker of its packages."""
        try:
            packages = self._packages.prepare(
                dependencies_of(call), lambda line: self._on_output(call.task_run_id, f"{line}\n")
            )
        except LakerunError as error:
            return TaskOutcome(error=str(error))
        with self._leased(packages) as worker:
            prepared = replace(call, dependencies=())  # on the worker's import path
            return worker.execute(prepared, on_event, canceled, self._grace_seconds)

    def workers(self) -> list[dict[str, object]]:
        """The live workers: pid, packages of the wheels, number of running tasks, start time in ms."""
        with self._lock:
            return [
                {
                    "pid": slot.worker.pid,
                    "packages": sorted(slot.worker.packages.packages),
                    "tasks": slot.busy,
                    "start_time": int(slot.worker.started * 1000),
                }
                for slot in self._slots.values()
                if slot.worker.alive
            ]

    @contextmanager
    def data_folder(self, purpose: str) -> Iterator[None]:
        """Lock the data folder for this workspace, in which several holders share the lock.

        Raises BusyError, which names the holder, while a command outside of the workspace has the lock.
        """
        with self._lock:
            if self._holders == 0:
                self._held.enter_context(self._storage.exclusive(purpose))
            self._holders += 1
        try:
            yield
        finally:
            with self._lock:
                self._holders -= 1
                if self._holders == 0:
                    self._held.close()

    def close(self) -> None:
        """Stop every worker; running tasks fail."""
        with self._lock:
            self._closed = True
            slots, self._slots = list(self._slots.values()), {}
        for slot in slots:
            slot.worker.stop()

    @contextmanager
    def _leased(self, packages: PackageSet) -> Iterator[WorkerProcess]:
        with self._lock:
            if self._closed:
                raise LakerunError("The workspace is stopping.")
            slot = self._slots.get(packages.key)
            if slot is None or not slot.worker.alive:
                self._make_room(packages)
                slot = self._slots[packages.key] = _Slot(self._start(packages))
            slot.busy += 1
        try:
            yield slot.worker
        finally:
            with self._lock:
                slot.busy -= 1
                slot.used = time.monotonic()

    def _start(self, packages: PackageSet) -> WorkerProcess:
        return WorkerProcess(
            packages,
            home=self._storage.home,
            log=self._storage.log_path("worker"),
            environment=self._environment,
            hidden_variables=self._hidden,
            on_output=self._on_output,
            read_secret=self._read_secret,
        )

    def _make_room(self, packages: PackageSet) -> None:
        """Stop idle workers: those whose wheels are superseded, and the longest idle beyond the limit."""
        self._slots = {key: slot for key, slot in self._slots.items() if slot.worker.alive}
        idle = sorted((s for s in self._slots.values() if s.busy == 0), key=lambda slot: slot.used)
        for slot in idle:
            superseded = bool(slot.worker.packages.packages & packages.packages)
            if superseded or len(self._slots) >= WORKERS:
                slot.worker.stop()
                del self._slots[slot.worker.packages.key]

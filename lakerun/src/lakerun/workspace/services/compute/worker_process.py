"""The server's side of one worker, a child process that runs tasks with the code of wheels."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from lakerun.jobs.packages.installed import PackageSet
from lakerun.jobs.tasks import TaskCall, TaskOutcome
from lakerun.pipelines.results import Event
from lakerun.workspace.protocol import CALL, EVENT, OUTCOME, PROTOCOL, Channel, Message

OnOutput = Callable[[str, str], None]
"""Called with a task's output while it runs: task run id, text."""
ReadSecret = Callable[[str, str], str]
"""A secret's value by scope and key; the task gets an exception's text as its error."""

POLL_SECONDS = 0.1
LOG_BYTES = 10 * 2**20  # if the log is larger, the next worker starts a new one


class WorkerProcess:
    """The process starts with the object; its Spark session starts with the first task that uses it."""

    def __init__(
        self,
        packages: PackageSet,
        *,
        home: Path,
        log: Path,
        environment: Mapping[str, str],
        hidden_variables: Collection[str] = (),
        on_output: OnOutput,
        read_secret: ReadSecret,
    ) -> None:
        self.packages = packages
        self.log = log
        self.started = time.time()
        self._on_output = on_output
        self._read_secret = read_secret
        self._tasks: dict[str, queue.SimpleQueue[Message]] = {}
        self._lock = threading.Lock()
        self._ended: str | None = None
        self._process = _start(packages, home, log, environment, hidden_variables)
        self._channel = Channel(_pipe(self._process.stdout), _pipe(self._process.stdin))
        threading.Thread(target=self._listen, name=f"worker-{self.pid}", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._ended is None and self._process.poll() is None

    def execute(
        self,
        call: TaskCall,
        on_event: Callable[[Event], None],
        canceled: threading.Event,
        grace_seconds: float,
    ) -> TaskOutcome:
        """Run one attempt. If it does not end in time after `canceled`, the worker is killed."""
        inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        with self._lock:
            if self._ended is not None:
                return TaskOutcome(error=self._ended)
            self._tasks[call.task_run_id] = inbox
        try:
            return self._run(call, inbox, on_event, canceled, grace_seconds)
        finally:
            with self._lock:
                self._tasks.pop(call.task_run_id, None)

    def stop(self) -> None:
        """Kill the worker and the processes that it started; running tasks fail."""
        self._kill("The worker was stopped.")

    def _run(
        self,
        call: TaskCall,
        inbox: queue.SimpleQueue[Message],
        on_event: Callable[[Event], None],
        canceled: threading.Event,
        grace_seconds: float,
    ) -> TaskOutcome:
        self._send("execute", id=call.task_run_id, call=CALL.dump_python(call, mode="json"))
        deadline: float | None = None
        while True:
            if canceled.is_set() and deadline is None:
                deadline = time.monotonic() + grace_seconds
                self._send("cancel", id=call.task_run_id)
            if deadline is not None and time.monotonic() > deadline:
                self._kill(f"The worker was stopped: task {call.task_key} did not end when it was canceled.")
                return TaskOutcome(canceled=True, error="The task was canceled.")
            try:
                message = inbox.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
            match message["type"]:
                case "event":
                    on_event(EVENT.validate_python(message["event"]))
                case "output":
                    self._on_output(call.task_run_id, message["text"])
                case "done":
                    return OUTCOME.validate_python(message["outcome"])
                case "ended":
                    return TaskOutcome(canceled=canceled.is_set(), error=message["reason"])

    def _listen(self) -> None:
        for message in self._channel.messages():
            match message["type"]:
                case "hello" if message["protocol"] != PROTOCOL:
                    self._kill("lakerun has changed since the workspace started: restart the workspace.")
                case "secret":
                    threading.Thread(target=self._answer, args=(message,), daemon=True).start()
                case "event" | "output" | "done":
                    if inbox := self._tasks.get(message["id"]):
                        inbox.put(message)
        self._end(self._exit_reason())

    def _answer(self, message: Message) -> None:
        try:
            value = self._read_secret(message["scope"], message["key"])
        except Exception as error:
            self._send("secret", request=message["request"], error=str(error))
        else:
            self._send("secret", request=message["request"], value=value)

    def _send(self, kind: str, **fields: object) -> None:
        with suppress(OSError):  # the listener reports how the worker ended
            self._channel.send(kind, **fields)

    def _exit_reason(self) -> str:
        code = self._process.wait()
        if code == -signal.SIGKILL:
            return "The worker was killed while the task ran, as happens when the machine's memory runs out."
        how = f"was ended by signal {-code}" if code < 0 else f"exited with code {code}"
        return f"The worker {how} while the task ran. {_last_line(self.log)}".rstrip()

    def _kill(self, reason: str) -> None:
        self._end(reason)
        with suppress(ProcessLookupError):
            # The worker leads its own process group, which includes the Java process of its session.
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _end(self, reason: str) -> None:
        with self._lock:
            if self._ended is not None:
                return
            self._ended = reason
            for inbox in self._tasks.values():
                inbox.put({"type": "ended", "reason": reason})


def _start(
    packages: PackageSet,
    home: Path,
    log: Path,
    environment: Mapping[str, str],
    hidden_variables: Collection[str],
) -> subprocess.Popen[bytes]:
    # A pipeline's and a job's settings reach the code as configuration and parameters, as on Databricks, and
    # not through the environment of the process that started the server.
    inherited = {name: value for name, value in os.environ.items() if name not in hidden_variables}
    folder = home / "workspace" / "scratch"
    folder.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_suffix(".old.log"))
    with log.open("ab") as output:
        return subprocess.Popen(
            # -P: do not import from the working directory.
            [sys.executable, "-P", "-m", "lakerun.workspace.worker", *_folders(packages)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            cwd=folder,
            env={
                **inherited,
                "LAKEHOUSE_HOME": str(home.absolute()),
                **environment,
            },
            start_new_session=True,
        )


def _folders(packages: PackageSet) -> list[str]:
    """Those that come first on the worker's import path, and after a dash those that come last."""
    return [*map(str, (*packages.wheels, *packages.installed)), "-", *map(str, packages.sources)]


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def _last_line(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 4096))
        lines = file.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""

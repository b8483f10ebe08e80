"""A worker's main: runs tasks that the server sends over its standard input, with this package's engine.

Started by `services/compute/worker_process.py` with the folders of the deployed wheels. The
protocol has file descriptors of its own, so that printed output never gets into it.
"""

from __future__ import annotations

import itertools
import logging
import os
import sys
import threading
from concurrent.futures import Future
from typing import IO, TYPE_CHECKING, Any

import lakerun
from lakerun.errors import LakerunError
from lakerun.jobs.local_task_runner import LocalTaskRunner
from lakerun.jobs.tasks import TaskCall, TaskOutcome
from lakerun.tables.storage import Storage
from lakerun.workspace.protocol import CALL, EVENT, OUTCOME, PROTOCOL, Channel, Message

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

logger = logging.getLogger(__name__)

REDACTED = "[REDACTED]"
# The server ends a worker whose task does not stop: nothing may be left behind in a warm worker.
NEVER_LEAVE_BEHIND = float("inf")


def main() -> None:
    """Serve until the server closes the connection."""
    _search_first(sys.argv[1:])
    channel = Channel(*_take_over_standard_streams())
    secrets = _Secrets(channel)
    log = logging.StreamHandler(sys.stderr)
    log.setFormatter(_Redacting(secrets))
    logging.basicConfig(level=logging.WARNING, handlers=[log])
    worker = _Worker(channel, Storage.default(), secrets)
    channel.send("hello", protocol=PROTOCOL, package=lakerun.__file__)
    for message in channel.messages():
        worker.handle(message)
    # Tasks may still run, but without a server nobody hears of them. Java ends with its standard input.
    os._exit(0)


def _search_first(folders: list[str]) -> None:
    """Let code find the wheels before what is installed, here and in Python processes that it starts.

    They hold nothing that the runtime imports later: `Wheels` does not unpack it.
    """
    sys.path[:0] = folders
    others = [found] if (found := os.environ.get("PYTHONPATH")) else []
    os.environ["PYTHONPATH"] = os.pathsep.join([*folders, *others])


class _Worker:
    def __init__(self, channel: Channel, storage: Storage, secrets: _Secrets) -> None:
        self._channel = channel
        self._storage = storage
        self._canceled: dict[str, threading.Event] = {}
        self._secrets = secrets
        self._task_runner = LocalTaskRunner(
            storage,
            self._session,
            secrets=self._secrets.get,
            stop_seconds=NEVER_LEAVE_BEHIND,
            on_output=self._output,
        )

    def handle(self, message: Message) -> None:
        match message["type"]:
            case "execute":
                self._canceled[message["id"]] = threading.Event()
                threading.Thread(target=self._execute, args=(message,), daemon=True).start()
            case "cancel":
                if canceled := self._canceled.get(message["id"]):
                    canceled.set()
            case "secret":
                self._secrets.answered(message)

    def _execute(self, message: Message) -> None:
        task = message["id"]
        try:
            call = CALL.validate_python(message["call"])
            outcome = self._task_runner.execute(
                call,
                lambda event: self._channel.send(
                    "event", id=task, event=EVENT.dump_python(event, mode="json")
                ),
                self._canceled[task],
            )
        except BaseException as error:  # else the server would wait forever
            logger.exception("task %s could not be run", task)
            outcome = TaskOutcome(error=f"{type(error).__name__}: {error}")
        del self._canceled[task]
        body = self._secrets.redacted(OUTCOME.dump_python(outcome, mode="json", fallback=str))
        self._channel.send("done", id=task, outcome=body)

    def _output(self, call: TaskCall, line: str) -> None:
        self._channel.send("output", id=call.task_run_id, text=self._secrets.redacted(line) + "\n")

    def _session(self) -> SparkSession:
        from lakerun.spark.session import get_session

        return get_session(self._storage.log_path("worker"))


class _Secrets:
    """Values that the server gives to tasks; a task's output shows none of them."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._numbers = itertools.count()
        self._waiting: dict[int, Future[str]] = {}
        self._given: set[str] = set()

    def get(self, scope: str, key: str) -> str:
        """The value; LakerunError with the server's reason where there is none."""
        request = next(self._numbers)
        answer = self._waiting[request] = Future()
        self._channel.send("secret", request=request, scope=scope, key=key)
        return answer.result()

    def answered(self, message: Message) -> None:
        answer = self._waiting.pop(message["request"])
        if "error" in message:
            answer.set_exception(LakerunError(message["error"]))
            return
        self._given.add(message["value"])
        answer.set_result(message["value"])

    def redacted(self, value: Any) -> Any:
        """`value` (text or JSON) without the secrets."""
        if isinstance(value, str):
            for secret in sorted(self._given.copy(), key=len, reverse=True):
                if secret:
                    value = value.replace(secret, REDACTED)
            return value
        if isinstance(value, dict):
            return {key: self.redacted(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.redacted(item) for item in value]
        return value


class _Redacting(logging.Formatter):
    """Keeps secrets out of the worker's log."""

    def __init__(self, secrets: _Secrets) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        return str(self._secrets.redacted(super().format(record)))


def _take_over_standard_streams() -> tuple[IO[bytes], IO[bytes]]:
    """The two ends of the protocol; from now on, printed output goes to the worker's log."""
    incoming = os.fdopen(os.dup(0), "rb")
    outgoing = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return incoming, outgoing


if __name__ == "__main__":
    main()

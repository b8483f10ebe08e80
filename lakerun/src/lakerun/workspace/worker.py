"""The main program of a worker: runs the tasks that the server sends to its standard input.

Started by `services/compute/worker_process.py` with the folders of the deployed wheels. The protocol
uses its own file descriptors, so that printed output cannot get into it.
"""

from __future__ import annotations

import itertools
import logging
import os
import sys
import threading
from concurrent.futures import Future
from typing import IO, TYPE_CHECKING

import lakerun
from lakerun.errors import LakerunError
from lakerun.jobs.local_task_runner import LocalTaskRunner
from lakerun.jobs.tasks import TaskCall, TaskOutcome
from lakerun.redaction import RedactingFormatter, redacted
from lakerun.spark.connect import is_asked_for
from lakerun.tables.storage import Storage
from lakerun.workspace.protocol import CALL, EVENT, OUTCOME, PROTOCOL, Channel, Message

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

logger = logging.getLogger(__name__)

# The server kills a worker whose task does not stop, as a worker must not keep abandoned tasks.
NEVER_ABANDON = float("inf")


def main() -> None:
    """Serve until the server closes the connection."""
    _search_first(sys.argv[1:])
    channel = Channel(*_take_over_standard_streams())
    secrets = _Secrets(channel)
    log = logging.StreamHandler(sys.stderr)
    log.setFormatter(RedactingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[log])
    worker = _Worker(channel, Storage.default(), secrets)
    channel.send("hello", protocol=PROTOCOL, package=lakerun.__file__)
    for message in channel.messages():
        worker.handle(message)
    # Tasks may still be running, but no server waits for them. Java ends when its standard input closes.
    os._exit(0)


def _search_first(folders: list[str]) -> None:
    """Import from these folders before installed packages, and from those after a dash last.

    Python processes that tasks start import from them too. The first ones have no module that the runtime
    needs: `Packages` leaves those out.
    """
    dash = folders.index("-") if "-" in folders else len(folders)
    first, last = folders[:dash], folders[dash + 1 :]
    sys.path[:0] = first
    sys.path += last
    others = [found] if (found := os.environ.get("PYTHONPATH")) else []
    os.environ["PYTHONPATH"] = os.pathsep.join([*first, *others, *last])


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
            stop_seconds=NEVER_ABANDON,
            on_output=self._output,
            spark_connect=is_asked_for(),
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
        except BaseException as error:  # otherwise the server would wait forever
            logger.exception("task %s could not be run", task)
            outcome = TaskOutcome(error=f"{type(error).__name__}: {error}")
        del self._canceled[task]
        body = redacted(OUTCOME.dump_python(outcome, mode="json", fallback=str))
        self._channel.send("done", id=task, outcome=body)

    def _output(self, call: TaskCall, line: str) -> None:
        self._channel.send("output", id=call.task_run_id, text=line + "\n")

    def _session(self) -> SparkSession:
        from lakerun.spark.session import get_session

        return get_session(self._storage.log_path("worker"))


class _Secrets:
    """Asks the server for the secrets of tasks."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._numbers = itertools.count()
        self._waiting: dict[int, Future[str]] = {}

    def get(self, scope: str, key: str) -> str:
        """The value; LakerunError with the server's reason if there is none."""
        request = next(self._numbers)
        answer = self._waiting[request] = Future()
        self._channel.send("secret", request=request, scope=scope, key=key)
        return answer.result()

    def answered(self, message: Message) -> None:
        answer = self._waiting.pop(message["request"])
        if "error" in message:
            answer.set_exception(LakerunError(message["error"]))
            return
        answer.set_result(message["value"])


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

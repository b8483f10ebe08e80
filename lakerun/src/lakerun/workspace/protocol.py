"""The protocol between the server and a worker: one JSON object per line, `type` first.

To the worker: execute (id, call), cancel (id), secret (request, value or error), ping.
From the worker: hello (protocol, package), event (id, event), output (id, text), done (id, outcome),
secret (request, scope, key), pong.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import IO, Any

from pydantic import TypeAdapter

from lakerun.jobs.tasks import TaskCall, TaskOutcome
from lakerun.pipelines.results import Event

PROTOCOL = 1

Message = dict[str, Any]

CALL: TypeAdapter[TaskCall] = TypeAdapter(TaskCall)
OUTCOME: TypeAdapter[TaskOutcome] = TypeAdapter(TaskOutcome)
EVENT: TypeAdapter[Event] = TypeAdapter(Event)


class Channel:
    """One end of the connection. Several threads may send; only one reads."""

    def __init__(self, incoming: IO[bytes], outgoing: IO[bytes]) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._lock = threading.Lock()

    def send(self, kind: str, **fields: Any) -> None:
        """Send a message; OSError if the other side is gone."""
        line = json.dumps({"type": kind, **fields}).encode() + b"\n"
        with self._lock:
            self._outgoing.write(line)
            self._outgoing.flush()

    def messages(self) -> Iterator[Message]:
        """The other side's messages, until it closes the connection or a kill cuts a line short."""
        for line in self._incoming:
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                return

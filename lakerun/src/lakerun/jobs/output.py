"""Captures a task's output separately from that of other tasks that run at the same time: `captured`."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lakerun.console import Console, console, process_console
from lakerun.redaction import redacted

logger = logging.getLogger(__name__)
LIMIT_BYTES = 1_000_000


class TaskOutput:
    """Text that a task wrote: its last megabyte, and its last line that is not empty.

    Each line also goes to `on_line` and, prefixed with `name`, to the process's log. Secrets are redacted.
    Thread-safe.
    """

    def __init__(
        self,
        name: str,
        arguments: list[str] | None = None,
        on_line: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.name = name
        self._on_line = on_line
        self.arguments = arguments or [name]
        self.last_line = ""
        self._rest = ""
        self._kept: list[str] = []
        self._size = 0
        self._cut = False
        self._lock = threading.RLock()

    def write(self, text: str) -> None:
        with self._lock:
            self._kept.append(text)
            self._size += len(text.encode("utf-8", "replace"))
            if self._size > 2 * LIMIT_BYTES:
                self._trim()
            *lines, self._rest = (self._rest + text).split("\n")
            for line in lines:
                self._log(line)

    def finish(self) -> None:
        """Log the rest, which does not end in a newline."""
        with self._lock:
            self._log(self._rest)
            self._rest = ""

    @property
    def text(self) -> str:
        """The text; if it was too long, only its end, after a line that says so."""
        with self._lock:
            self._trim()
            head = "... the beginning was cut off\n" if self._cut else ""
            return str(redacted(head + "".join(self._kept)))

    def _trim(self) -> None:
        if self._size > LIMIT_BYTES:
            kept = "".join(self._kept).encode("utf-8", "replace")[-LIMIT_BYTES:]
            # Start with a whole line.
            self._kept = [
                kept.partition(b"\n")[2].decode("utf-8", "replace") or kept.decode("utf-8", "ignore")
            ]
            self._size = len(self._kept[0].encode("utf-8"))
            self._cut = True

    def _log(self, line: str) -> None:
        if not line.strip():
            return
        line = redacted(line)
        self.last_line = line.strip()
        # A console handler that a task installed would send the line back here.
        with process_console():
            logger.info("%s: %s", self.name, line)
            self._on_line(line)


@contextmanager
def captured(output: TaskOutput) -> Iterator[TaskOutput]:
    """Send the output of this thread and of those that it starts to `output`, with its own `sys.argv`."""
    with console(Console(output, output, output.arguments)):
        try:
            yield output
        finally:
            output.finish()

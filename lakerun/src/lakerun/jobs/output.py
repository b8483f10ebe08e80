"""What a task prints, kept apart from what other tasks print at the same time: `captured`.

`sys.stdout`, `sys.stderr` and `sys.argv` belong to the process. While tasks run, stand-ins ask which task the
current thread works for. Threads that a task starts work for it too.
"""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Callable, Iterator, MutableSequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, TextIO

logger = logging.getLogger(__name__)
LIMIT_BYTES = 1_000_000


class TaskOutput:
    """Text that a task wrote: the last megabyte of it, and its last line that is not empty.

    Each line also goes to the process's log, after `name`, and to `on_line`. Safe to write to from several
    threads.
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
        """Log what does not end in a newline."""
        with self._lock:
            self._log(self._rest)
            self._rest = ""

    @property
    def text(self) -> str:
        """What was written; its end alone, after a line that says so, where it was long."""
        with self._lock:
            self._trim()
            head = "... the beginning was cut off\n" if self._cut else ""
            return head + "".join(self._kept)

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
        self.last_line = line.strip()
        # A handler that a task put on the console would send the line back to here.
        token = _current.set(None)
        try:
            logger.info("%s: %s", self.name, line)
            self._on_line(line)
        finally:
            _current.reset(token)


_current: ContextVar[TaskOutput | None] = ContextVar("task_output", default=None)
_lock = threading.Lock()
_captures = 0
_saved: dict[str, Any] = {}


@contextmanager
def captured(output: TaskOutput) -> Iterator[TaskOutput]:
    """Within, what this thread and those that it starts print goes to `output`, and `sys.argv` is its own."""
    _install()
    token = _current.set(output)
    try:
        yield output
    finally:
        _current.reset(token)
        output.finish()
        _uninstall()


class _Stream(io.TextIOBase):
    """Stands for a stream of the process: writes to the current task's output, else to what it replaced."""

    encoding = "utf-8"

    def __init__(self, name: str) -> None:
        self.fallback: TextIO = getattr(sys, name)

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if output := _current.get():
            output.write(text)
        else:
            with suppress(ValueError):  # the log of a run that has ended
                self.fallback.write(text)
        return len(text)

    def flush(self) -> None:
        if _current.get() is None:
            with suppress(ValueError):
                self.fallback.flush()

    def close(self) -> None:
        """Nothing: the stream that it replaced stays open, and Python closes this one at its very end."""

    def fileno(self) -> int:
        return self.fallback.fileno()

    def isatty(self) -> bool:
        return _current.get() is None and self.fallback.isatty()


class _Arguments(MutableSequence[str]):
    """Stands for `sys.argv`: the current task's arguments, else the process's."""

    def __init__(self, fallback: list[str]) -> None:
        self.fallback = fallback

    @property
    def _list(self) -> list[str]:
        output = _current.get()
        return self.fallback if output is None else output.arguments

    def __getitem__(self, index: Any) -> Any:
        return self._list[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        self._list[index] = value

    def __delitem__(self, index: Any) -> None:
        del self._list[index]

    def __len__(self) -> int:
        return len(self._list)

    def insert(self, index: int, value: str) -> None:
        self._list.insert(index, value)

    def __eq__(self, other: object) -> bool:
        return self._list == (list(other) if isinstance(other, _Arguments) else other)

    def __add__(self, other: list[str]) -> list[str]:
        return self._list + list(other)

    def __radd__(self, other: list[str]) -> list[str]:
        return other + self._list

    def __repr__(self) -> str:
        return repr(self._list)


# They live as long as the process: `print` in another thread may still hold one that was taken back.
_streams = {"stdout": _Stream("stdout"), "stderr": _Stream("stderr")}
_arguments = _Arguments(sys.argv)


def _install() -> None:
    global _captures
    with _lock:
        _captures += 1
        # Checked each time: while a task runs, something else may redirect the process's streams.
        for name, stream in _streams.items():
            if getattr(sys, name) is not stream:
                stream.fallback = getattr(sys, name)
                setattr(sys, name, stream)
        if not isinstance(sys.argv, _Arguments):
            _arguments.fallback = sys.argv
            sys.argv = _arguments  # type: ignore[assignment]
        if _captures == 1:
            _saved["start"] = threading.Thread.start
            threading.Thread.start = _inheriting(threading.Thread.start)  # type: ignore


def _uninstall() -> None:
    global _captures
    with _lock:
        _captures -= 1
        if _captures == 0:
            for name, stream in _streams.items():
                if getattr(sys, name) is stream:
                    setattr(sys, name, stream.fallback)
            if isinstance(sys.argv, _Arguments):
                sys.argv = _arguments.fallback
            threading.Thread.start = _saved["start"]  # type: ignore[method-assign]


def _inheriting(start: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    """`Thread.start` that lets the new thread work for the task of the one that starts it."""

    def start_for_task(thread: threading.Thread) -> None:
        output, run = _current.get(), thread.run
        if output is not None:

            def run_for_task() -> None:
                _current.set(output)
                run()

            thread.run = run_for_task  # type: ignore[method-assign]
        start(thread)

    return start_for_task

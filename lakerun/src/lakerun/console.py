"""Gives threads their own `sys.stdout`, `sys.stderr` and `sys.argv`: `console`.

These belong to the process. While a console is in use, they are replaced by objects that use the current
thread's console. Threads inherit the console of the thread that starts them.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, MutableSequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Literal, Protocol, TextIO

from lakerun.patches import ARGUMENTS, STDERR, STDOUT, THREAD_START, Patch, Replace, patched


class Writer(Protocol):
    """Gets the printed text, from several threads."""

    def write(self, text: str, /) -> object: ...


@dataclass(frozen=True)
class Console:
    """A thread's streams and arguments; None for the process's own."""

    stdout: Writer | None = None
    stderr: Writer | None = None
    arguments: list[str] | None = None


PROCESS = Console()


@contextmanager
def console(own: Console) -> Iterator[None]:
    """In this context, the thread and those that it starts have this console."""
    replacements: dict[Patch, Replace] = {
        STDOUT: lambda stream: _Stream("stdout", stream),
        STDERR: lambda stream: _Stream("stderr", stream),
        ARGUMENTS: _Arguments,
        THREAD_START: _inheriting,
    }
    with patched(replacements):
        token = _current.set(own)
        try:
            yield
        finally:
            _current.reset(token)


@contextmanager
def process_console() -> Iterator[None]:
    """In this context, the thread has the process's own console."""
    token = _current.set(PROCESS)
    try:
        yield
    finally:
        _current.reset(token)


def current_console() -> Console:
    """The console of this thread."""
    return _current.get()


_current: ContextVar[Console] = ContextVar("console", default=PROCESS)


class _Stream(io.TextIOBase):
    """Replaces a stream of the process: writes to the thread's console, or else to the replaced stream.

    It also works after it was removed, as another thread's `print` may still have it.
    """

    encoding = "utf-8"

    def __init__(self, name: Literal["stdout", "stderr"], replaced: TextIO) -> None:
        self._of: Callable[[Console], Writer | None] = attrgetter(name)
        self._replaced = replaced

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if own := self._of(_current.get()):
            own.write(text)
        else:
            with suppress(ValueError):  # the log of a run that has ended
                self._replaced.write(text)
        return len(text)

    def flush(self) -> None:
        if self._of(_current.get()) is None:
            with suppress(ValueError):
                self._replaced.flush()

    def close(self) -> None:
        """Do nothing: the replaced stream stays open, and Python closes this one at its exit."""

    def fileno(self) -> int:
        return self._replaced.fileno()

    def isatty(self) -> bool:
        return self._of(_current.get()) is None and self._replaced.isatty()


class _Arguments(MutableSequence[str]):
    """Replaces `sys.argv`: the arguments of the thread's console, or else the process's."""

    def __init__(self, replaced: list[str]) -> None:
        self._replaced = replaced

    @property
    def _list(self) -> list[str]:
        own = _current.get().arguments
        return self._replaced if own is None else own

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


def _inheriting(start: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    """`Thread.start` that gives the new thread the context, and so the console, of the one that starts it."""

    def start_with_context(thread: threading.Thread) -> None:
        if _current.get() is not PROCESS:
            context, run = copy_context(), thread.run
            thread.run = lambda: context.run(run)  # type: ignore[method-assign]
        start(thread)

    return start_with_context

"""Ends code that takes longer than its limit, in the thread that runs it: `within_limit`."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from lakerun.errors import LakerunError

Result = TypeVar("Result")

AGAIN_SECONDS = 1.0


class _TimedOut(BaseException):
    """Raised in code whose time is over. Its `except Exception` must not catch it."""


def within_limit(
    seconds: float, name: str, interrupt: Callable[[], object], code: Callable[[], Result]
) -> Result:
    """Result of `code`, which ends with a LakerunError after so many seconds; 0 means no limit.

    `interrupt` ends what the code may wait for outside of Python. Code that sleeps ends when it wakes.
    """
    if not seconds:
        return code()
    thread = threading.get_ident()
    begun, ended, late, deciding = threading.Event(), threading.Event(), threading.Event(), threading.RLock()

    def watch() -> None:
        begun.wait()
        wait = seconds
        while not ended.wait(wait):
            with deciding:
                if ended.is_set():
                    return
                late.set()
                interrupt()
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(thread), ctypes.py_object(_TimedOut)
                )
            wait = AGAIN_SECONDS  # code may catch it, or start another Spark job

    threading.Thread(target=watch, name=f"limit-{thread}", daemon=True).start()
    failed: BaseException | None = None
    # The clock starts inside `try`, and code is called in this frame: a context manager has gaps, on its way
    # in and out, where the exception would escape.
    try:
        begun.set()
        result = code()
    except _TimedOut:
        pass
    except BaseException as error:
        failed = error
    while True:
        try:
            with deciding:
                ended.set()
            if late.is_set():
                for _ in range(100):  # what was raised at the last moment arrives here
                    time.sleep(0)
            break
        except _TimedOut:
            continue
    if late.is_set() and (failed is None or isinstance(failed, Exception)):
        raise LakerunError(f"{name} took longer than its timeout of {seconds:g} s.") from failed
    if failed is not None:
        raise failed
    return result

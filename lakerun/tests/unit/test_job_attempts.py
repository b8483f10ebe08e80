"""Attempts of a task: retries, time limits, cancellation."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from unit.job_lab import JobLab, error_of, states

FAIL = "raise RuntimeError('broken')"
FAILURES = ("FAILED", "TIMEDOUT", "CANCELED", "UPSTREAM_FAILED", "UPSTREAM_CANCELED")


@pytest.fixture
def lab(tmp_path: Path) -> JobLab:
    return JobLab(tmp_path)


# Retries and time limits ------------------------------------------------------------------------------

COUNTING = """
from collections.abc import Iterator
from pathlib import Path
import sys
file = Path(sys.argv[1])
count = int(file.read_text()) + 1 if file.exists() else 1
file.write_text(str(count))
print("attempt", sys.argv[2])
if count < 3:
    raise RuntimeError(f"try {count}")
"""


@pytest.mark.parametrize(
    ("max_retries", "state", "attempts"),
    [(0, "FAILED", 1), (1, "FAILED", 2), (2, "SUCCESS", 3), (-1, "SUCCESS", 3)],
)
def test_a_failed_task_is_retried(lab: JobLab, max_retries: int, state: str, attempts: int) -> None:
    counter = str(lab.folder / "count")
    spec = lab.job(
        lab.script("load", COUNTING, counter, "{{task.execution_count}}", max_retries=max_retries),
        lab.script(
            "after", "import sys; print(sys.argv[1:])", "{{tasks.load.execution_count}}", after="load"
        ),
    )
    result = lab.run(spec)
    assert (result.tasks[0].state, result.tasks[0].attempts) == (state, attempts)
    ended = [u for u in lab.updates if u.key == "load" and u.ended]
    assert [u.attempt for u in ended] == list(range(attempts))
    assert [u.will_retry for u in ended] == [True] * (attempts - 1) + [False]
    assert len({u.task_run_id for u in ended}) == attempts
    assert [u.outcome.logs.splitlines()[0] for u in ended if u.outcome] == [
        f"attempt {number + 1}" for number in range(attempts)
    ]
    if state == "SUCCESS":
        assert lab.last("after").message == "['3']"


def test_a_retry_waits_for_its_interval(lab: JobLab) -> None:
    spec = lab.job(lab.script("load", FAIL, max_retries=1, min_retry_interval_millis=700))
    lab.run(spec)
    first, second = [u.started for u in lab.updates if u.state == "RUNNING"]
    assert first is not None
    assert second is not None
    assert 0.65 <= (second - first).total_seconds() < 1.5


LOOP = "import time\nwhile True: time.sleep(0.01)"


@pytest.mark.parametrize(("retry_on_timeout", "attempts"), [(False, 1), (True, 2)])
def test_a_task_that_takes_too_long_is_stopped(lab: JobLab, retry_on_timeout: bool, attempts: int) -> None:
    slow = lab.script("slow", LOOP, timeout_seconds=1, max_retries=1, retry_on_timeout=retry_on_timeout)
    clock = time.monotonic()
    result = lab.run(lab.job(slow, lab.script("after", "", after="slow")))
    assert time.monotonic() - clock < attempts * 1.9
    assert states(result) == {"slow": "TIMEDOUT", "after": "UPSTREAM_FAILED"}
    assert result.tasks[0].attempts == attempts
    assert error_of(result, "slow") == "the task took longer than its timeout of 1 s"
    assert result.state == "FAILED"


def test_a_task_that_does_not_stop_is_abandoned(lab: JobLab, monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(threading.enumerate())
    wakes = threading.Event()
    monkeypatch.setitem(sys.modules, "alarm_clock", wakes)  # type: ignore[arg-type]
    clock = time.monotonic()
    try:
        result = lab.run(
            lab.job(lab.script("deaf", "import alarm_clock; alarm_clock.wait(60)", timeout_seconds=1))
        )
        assert result.tasks[0].state == "TIMEDOUT"
        # Its timeout, and the half second that it has to stop.
        assert 1.5 <= time.monotonic() - clock < 4.0
        assert len(set(threading.enumerate()) - before) == 1
    finally:
        wakes.set()
        for thread in set(threading.enumerate()) - before:
            thread.join()  # otherwise it would get the output of a later test


def test_a_job_that_takes_too_long_stops_all_its_tasks(lab: JobLab) -> None:
    result = lab.run(lab.job(lab.script("a", LOOP), lab.script("b", "", after="a"), timeout_seconds=1))
    assert states(result) == {"a": "CANCELED", "b": "UPSTREAM_CANCELED"}
    assert (result.state, result.error) == ("TIMEDOUT", "the run took longer than its timeout of 1 s")


# Cancellation -----------------------------------------------------------------------------------------


def test_a_canceled_run_stops_running_tasks_and_starts_no_others(lab: JobLab) -> None:
    spec = lab.job(
        lab.script("quick", ""),
        lab.script("slow", f"print('begun')\n{LOOP}", max_retries=3, after="quick"),
        lab.script("after", "", after="slow"),
        lab.script("clean_up", "print('cleaned')", after="slow", run_if="ALL_DONE"),
    )
    threading.Timer(0.8, lab.canceled.set).start()
    clock = time.monotonic()
    result = lab.run(spec)
    assert time.monotonic() - clock < 2.5
    assert states(result) == {
        "quick": "SUCCESS",
        "slow": "CANCELED",
        "after": "UPSTREAM_CANCELED",
        "clean_up": "CANCELED",
    }
    assert (result.state, result.error) == ("CANCELED", "the run was canceled")
    assert lab.logs("slow").startswith("begun\n")
    assert lab.last("slow").attempt == 0


def test_code_that_catches_every_exception_is_canceled_too(lab: JobLab) -> None:
    stubborn = """
    import time
    while True:
        try:
            time.sleep(0.01)
        except Exception:
            pass
    """
    threading.Timer(0.3, lab.canceled.set).start()
    assert states(lab.run(lab.job(lab.script("a", stubborn)))) == {"a": "CANCELED"}


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Let Ctrl-C reach this process, even if the shell started it in the background, where it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_stops_the_tasks_before_it_ends_the_process(lab: JobLab) -> None:
    spec = lab.job(lab.script("a", LOOP), lab.script("b", "", after="a"))
    threading.Timer(0.4, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        lab.run(spec)
    assert [lab.last(key).state for key in ("a", "b")] == ["CANCELED", "UPSTREAM_CANCELED"]


def test_a_run_canceled_before_it_starts_runs_nothing(lab: JobLab) -> None:
    lab.canceled.set()
    result = lab.run(lab.job(lab.script("a", "")))
    assert (states(result), result.state) == ({"a": "CANCELED"}, "CANCELED")

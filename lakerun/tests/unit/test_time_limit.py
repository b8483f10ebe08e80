"""Code ends at its time limit, whatever it does, and is left alone when it has ended before."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from lakerun.errors import LakerunError
from lakerun.jobs import time_limit as module
from lakerun.jobs.time_limit import within_limit
from unit.job_lab import JobLab

LATE = r"^The code took longer than its timeout of 0\.05 s\.$"


def busy(seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.001)


def test_code_ends_at_its_limit_and_what_it_waits_for_is_interrupted() -> None:
    interrupted: list[float] = []
    begin = time.monotonic()
    with pytest.raises(LakerunError, match=LATE):
        within_limit(0.05, "The code", lambda: interrupted.append(time.monotonic()), busy)
    assert 0.05 <= time.monotonic() - begin < 10
    assert len(interrupted) == 1


def test_an_error_after_the_interruption_is_the_timeout() -> None:
    """As of a Spark job that was canceled."""

    def broken() -> None:
        while True:
            try:
                busy()
            finally:
                raise ValueError

    with pytest.raises(LakerunError, match=LATE):
        within_limit(0.05, "The code", lambda: None, broken)


def test_code_that_catches_everything_is_interrupted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.05)
    caught: list[BaseException] = []

    def stubborn() -> None:
        while len(caught) < 3:
            try:
                busy()
            except BaseException as error:
                caught.append(error)

    with pytest.raises(LakerunError, match=LATE):
        within_limit(0.05, "The code", lambda: None, stubborn)
    assert len(caught) == 3


def test_code_that_ends_in_time_is_left_alone() -> None:
    for seconds in (0, 0.05):
        assert within_limit(seconds, "The code", lambda: None, lambda: 7) == 7
    with pytest.raises(KeyError):
        within_limit(0.05, "The code", lambda: None, lambda: {}["absent"])
    busy(0.15)


@pytest.mark.parametrize("limit", [0.0001, 0.005])
def test_no_race_at_the_limit_leaves_an_exception_behind(limit: float) -> None:
    """Code that ends about when its time is over either succeeds or took too long; nothing comes later.

    The shorter limit is over before a thread has started.
    """
    ends = set()
    for step in range(-30, 30):
        try:
            within_limit(
                limit, "The code", lambda: None, lambda length=step: busy(limit * (1 + length * 0.01))
            )
            ends.add("in time")
        except LakerunError:
            ends.add("late")
        busy(0.001)
    assert ends <= {"in time", "late"}
    for thread in threading.enumerate():
        if thread.name.startswith("limit-"):
            thread.join(5)
            assert not thread.is_alive()


def test_a_notebook_that_another_runs_has_a_limit(tmp_path: Path) -> None:
    lab = JobLab(tmp_path)
    lab.write_notebook("slow", "import time\nwhile True: time.sleep(0.01)")
    lab.write_notebook("quick", "dbutils.notebook.exit('done')")
    outer = lab.notebook(
        "outer",
        """
        import time
        try:
            dbutils.notebook.run("slow", 1)
        except Exception as error:
            late = str(error)
        quick = dbutils.notebook.run("quick", 1)
        time.sleep(1.1)
        print(late, quick)
        """,
    )
    lab.run(lab.job(outer))
    assert lab.last("outer").message == "Notebook 'slow' took longer than its timeout of 1 s. done"

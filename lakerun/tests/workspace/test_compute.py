"""Workers: how they run and stop tasks, and end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lakerun.jobs.tasks import TaskCall, TaskOutcome
from lakerun.tables.storage import Storage
from lakerun.workspace.services.compute.compute import Compute


@pytest.fixture
def compute(tmp_path: Path) -> Iterator[Compute]:
    found = Compute(
        Storage(tmp_path),
        read_secret=lambda scope, key: "",
        hidden_variables=("SHOP_ENV",),
        grace_seconds=1,
    )
    yield found
    found.close()


def test_a_task_that_ignores_its_cancellation_is_killed_with_its_worker(tmp_path: Path) -> None:
    canceled = threading.Event()
    compute = Compute(
        Storage(tmp_path),
        read_secret=lambda scope, key: "",
        on_output=lambda task_run_id, text: threading.Timer(0.5, canceled.set).start(),  # it sleeps by then
        grace_seconds=1,
    )
    deaf = "import time\nprint('asleep')\ntime.sleep(60)\n"
    started = time.monotonic()
    outcome = _run(compute, tmp_path, deaf, canceled)
    assert (outcome.canceled, outcome.error) == (True, "The task was canceled.")
    assert time.monotonic() - started < 30
    assert compute.workers() == []
    assert _run(compute, tmp_path, "print('next')").logs == "next\n"
    compute.close()


def test_output_that_bypasses_python_does_not_disturb_the_protocol(compute: Compute, tmp_path: Path) -> None:
    raw = "import os, sys\nos.write(1, b'raw\\n')\nsys.__stdout__.write('{}\\n')\n"
    code = f"{raw}print('seen')\nsys.stdin.read()\n"
    outcome = _run(compute, tmp_path, code)
    assert (outcome.error, outcome.logs) == (None, "seen\n")


def test_a_worker_gives_its_tasks_spark_connect_where_the_variable_asks_for_it(
    compute: Compute, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEHOUSE_SPARK_CONNECT", "1")
    code = "from pyspark.sql.utils import is_remote\nprint(is_remote())"
    assert _run(compute, tmp_path, code).logs == "True\n"


def test_a_task_does_not_see_the_hidden_variables_of_the_server(
    compute: Compute, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_ENV", "prod")
    assert _run(compute, tmp_path, "import os\nprint(os.environ.get('SHOP_ENV'))").logs == "None\n"


def test_closing_ends_the_workers(compute: Compute, tmp_path: Path) -> None:
    _run(compute, tmp_path, "print(1)")
    (worker,) = compute.workers()
    process = psutil.Process(int(str(worker["pid"])))
    compute.close()
    process.wait(5)


def _run(compute: Compute, folder: Path, code: str, canceled: threading.Event | None = None) -> TaskOutcome:
    file = folder / "task.py"
    file.write_text(code)
    call = TaskCall("1", str(time.monotonic_ns()), "task", 0, "spark_python", {"python_file": str(file)})
    return compute.execute(call, lambda event: None, canceled or threading.Event())

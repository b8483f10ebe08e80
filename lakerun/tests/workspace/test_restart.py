"""Runs that were active when the workspace was killed or stopped, after its next start."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.config import Config

from lakerun.tables.storage import Storage
from lakerun.workspace import server
from lakerun.workspace.services import Services, Settings
from lakerun.workspace.store import Store
from workspace.run_lab import Lab, life, result, serving


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_active_run_has_failed_and_a_queued_one_runs(tmp_path: Path, number: signal.Signals) -> None:
    storage = Storage(tmp_path)
    info = server.start(storage, "127.0.0.1", _free_port())
    process = psutil.Process(info.pid)
    try:
        store = Store(tmp_path / "workspace" / "state.db")
        # The server's own services, only for the paths of files.
        services = Services(Settings(host_url=info.url, token=server.token(storage)), storage, store)
        client = WorkspaceClient(config=Config(host=info.url, token=server.token(storage)))
        lab = Lab(info.url, services, client)
        gate = tmp_path / "gate"
        script = (
            "import os, pathlib, time\nprint(os.getpid(), flush=True)\n"
            f"while not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.02)\n"
        )
        job_id = lab.job(lab.script("wait", script), queue={"enabled": True})
        going, queued = lab.start(job_id), lab.start(job_id)
        lab.wait(lambda: lab.run(going), lambda run: run["tasks"])
        out = lab.wait(lambda: lab.output(lab.run(going), "wait"), lambda out: out.get("logs"))
        worker = psutil.Process(int(out["logs"]))
        assert life(lab.run(queued)) == "QUEUED"
    finally:
        os.kill(info.pid, number)
        process.wait(20)
    worker.wait(10)  # it ends with its server
    services.close()
    gate.touch()

    with serving(tmp_path) as again:
        run = again.run(going)
        assert (life(run), result(run)) == ("INTERNAL_ERROR", "FAILED")
        assert run["state"]["state_message"] == "The workspace stopped during the run."
        assert result(run["tasks"][0]) == "FAILED"
        assert run["end_time"] >= run["start_time"] > 0
        assert result(again.ended(queued)) == "SUCCESS"


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

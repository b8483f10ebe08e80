"""Managers of the bundle's jobs, against a workspace that really runs them."""

from __future__ import annotations

from pathlib import Path

import pytest
from workspace.run_lab import serving

from ecommerce_lakehouse.activation.managers.jobs import DeploymentManager, JobError, PipelineManager

BUNDLED = {"kind": "BUNDLE", "metadata_file_path": "/Workspace/Shared/shop/metadata.json"}
READY = {
    "deployment": BUNDLED,
    "max_concurrent_runs": 1,
    "email_notifications": {"on_failure": ["data-eng@example.com"]},
}


def test_a_job_is_run_and_what_became_of_it_is_known(tmp_path: Path) -> None:
    with serving(tmp_path) as lab:
        good = lab.script("good", "import sys\nprint('sent', sys.argv[1:])\n")
        bad = lab.script("bad", "raise ValueError('no table')\n")
        parameters = [{"name": "environment", "default": "dev"}]
        lab.job(good, name="[dev ann] customerio_sync", parameters=parameters, **READY)
        lab.job(bad, name="nightly", schedule={
            "quartz_cron_expression": "0 0 3 * * ?", "timezone_id": "UTC", "pause_status": "PAUSED"
        })  # fmt: skip
        lab.job(good, name="[dev ann] twice")
        lab.job(good, name="[dev bob] twice")
        pipeline, deployment = PipelineManager(lab.client), DeploymentManager(lab.client)

        before = deployment.check(["customerio_sync"])
        assert [(f.name.partition(": ")[2], f.ok) for f in before] == [
            ("deployed", True),
            ("one at a time", True),
            ("failure is heard", True),
        ]
        run = pipeline.run("customerio_sync", environment="local")
        assert (run.result, run.seconds > 0) == ("SUCCESS", True)
        found = lab.run(run.run_id)
        assert [(p["name"], p["value"]) for p in found["job_parameters"]] == [("environment", "local")]
        assert pipeline.run("nightly").result == "FAILED"
        assert [(r.run_id, r.result) for r in pipeline.runs("customerio_sync")] == [(run.run_id, "SUCCESS")]
        calls = pipeline.get_metrics()["calls"]
        assert calls["customerio_sync"]["messages"] == {"done": 1}
        assert calls["nightly"]["messages"] == {"failed": 1}

        after = deployment.check(["customerio_sync", "nightly", "absent"])
        assert {f.name: f.ok for f in after} == {
            "customerio_sync: deployed": True,
            "customerio_sync: one at a time": True,
            "customerio_sync: failure is heard": True,
            "customerio_sync: last run": True,
            "nightly: deployed": False,
            "nightly: one at a time": True,
            "nightly: failure is heard": False,
            "nightly: scheduled": False,
            "nightly: last run": False,
            "absent: deployed": False,
        }
        with pytest.raises(JobError, match="run: databricks bundle deploy"):
            pipeline.run("absent")
        with pytest.raises(JobError, match=r"there are 2 of it: .*\[dev bob\] twice"):
            pipeline.runs("twice")

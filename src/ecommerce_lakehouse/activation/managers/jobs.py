"""The bundle's jobs from a notebook: `PipelineManager` runs them, `DeploymentManager` says what is deployed.

The stages of a pipeline are the tasks of a job in `resources`, and `databricks bundle deploy` deploys them.
Both managers only use the workspace's API for jobs.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from ecommerce_lakehouse.activation.managers.base import Manager
from ecommerce_lakehouse.activation.managers.metrics import Metrics
from ecommerce_lakehouse.activation.managers.setup import Finding
from ecommerce_lakehouse.errors import ShopError

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.jobs import BaseJob, BaseRun, Run


class JobError(ShopError):
    """The job does not exist, or its name is not unique."""

    code = "NO_SUCH_JOB"


@dataclass(frozen=True, slots=True)
class JobRun:
    """One run of a job. `result` is empty until it has ended, then SUCCESS, FAILED, CANCELED and so on."""

    run_id: int
    result: str
    started: datetime
    seconds: float
    message: str


class JobsManager(Manager):
    """What both managers need: the jobs of the workspace by their names in the bundle.

    In development mode a job's name has the developer's prefix, such as `[dev ann] customerio_sync`.
    """

    def __init__(self, workspace: WorkspaceClient, *, metrics: Metrics | None = None) -> None:
        super().__init__(metrics=metrics)
        self._workspace = workspace

    def _job(self, name: str) -> BaseJob:
        found = list(self._workspace.jobs.list(name=name))
        if not found:
            found = [job for job in self._workspace.jobs.list() if _name(job).endswith(f"] {name}")]
        if len(found) != 1:
            names = ", ".join(_name(job) for job in found)
            reason = f"there are {len(found)} of it: {names}" if found else "run: databricks bundle deploy"
            raise JobError(f"The workspace has no one job '{name}'; {reason}")
        return found[0]


class PipelineManager(JobsManager):
    """Starts a job of the bundle and says how runs ended; tasks, retries and schedules are the job's own."""

    name: ClassVar[str] = "pipeline"

    def run(self, job: str, *, minutes: float = 60, **parameters: str) -> JobRun:
        """Run a job and wait for its end; a run that failed is a result, not an error.

        Raises:
            JobError: Not exactly one job has this name.
            TimeoutError: It has not ended after `minutes`; it goes on.
        """
        from databricks.sdk.errors import OperationFailed

        with self._measured(job) as call:
            waiter = self._workspace.jobs.run_now(_id(self._job(job)), job_parameters=parameters or None)
            with suppress(OperationFailed):  # how it failed is read below
                waiter.result(timedelta(minutes=minutes))
            run = _run_of(self._workspace.jobs.get_run(waiter.run_id))
            call.outcomes["done" if run.result == "SUCCESS" else "failed"] += 1
            return run

    def runs(self, job: str, limit: int = 10) -> list[JobRun]:
        """The newest runs of a job.

        Raises:
            JobError: Not exactly one job has this name.
        """
        with self._measured("runs") as call:
            found = self._workspace.jobs.list_runs(job_id=_id(self._job(job)), limit=min(limit, 25))
            runs = [_run_of(run) for run, _ in zip(found, range(limit), strict=False)]
            call.outcomes["done"] += 1
            return runs


class DeploymentManager(JobsManager):
    """Says whether jobs are deployed as production needs them; `databricks bundle deploy` deploys."""

    name: ClassVar[str] = "deployment"

    def check(self, jobs: Sequence[str]) -> list[Finding]:
        """Each job against what production needs, a line each.

        It was deployed by a bundle, its schedule is not paused, only one run at a time is allowed, somebody
        hears of a failure, and its last run succeeded. A job without a schedule or without a run has no line
        for it.
        """
        with self._measured("check") as call:
            found = [finding for job in jobs for finding in self._of(job)]
            call.outcomes["done"] += 1
            return found

    def _of(self, name: str) -> list[Finding]:
        try:
            job = self._job(name)
        except JobError as error:
            return [Finding(f"{name}: deployed", False, str(error))]
        settings = job.settings
        if settings is None:
            return [Finding(f"{name}: deployed", False, "the workspace does not show its settings")]
        kind = settings.deployment.kind.value if settings.deployment else "by hand"
        hears = (settings.email_notifications and settings.email_notifications.on_failure) or []
        found = [
            Finding(f"{name}: deployed", kind == "BUNDLE", kind),
            Finding(
                f"{name}: one at a time", settings.max_concurrent_runs == 1, str(settings.max_concurrent_runs)
            ),
            Finding(f"{name}: failure is heard", bool(hears), f"{len(hears)} addresses"),
        ]
        if settings.schedule:
            paused = settings.schedule.pause_status.value if settings.schedule.pause_status else "UNPAUSED"
            found.append(Finding(f"{name}: scheduled", paused == "UNPAUSED", paused))
        ended = [
            _run_of(run)
            for run in self._workspace.jobs.list_runs(job_id=_id(job), completed_only=True, limit=1)
        ]
        return found + [Finding(f"{name}: last run", r.result == "SUCCESS", r.result) for r in ended[:1]]


def _run_of(run: Run | BaseRun) -> JobRun:
    state = run.state
    result = state.result_state.value if state and state.result_state else ""
    if not result and state and state.life_cycle_state and state.life_cycle_state.value == "INTERNAL_ERROR":
        result = "FAILED"
    started = datetime.fromtimestamp((run.start_time or 0) / 1000, UTC)
    seconds = ((run.end_time or run.start_time or 0) - (run.start_time or 0)) / 1000
    return JobRun(run.run_id or 0, result, started, seconds, (state and state.state_message) or "")


def _name(job: BaseJob) -> str:
    return (job.settings and job.settings.name) or ""


def _id(job: BaseJob) -> int:
    return job.job_id or 0

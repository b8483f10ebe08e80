"""Starts runs of jobs when their schedules are due, while the workspace is up: `Scheduler`."""

from __future__ import annotations

import logging
from datetime import UTC

from apscheduler.schedulers.background import BackgroundScheduler

from lakerun.workspace.errors import ApiError
from lakerun.workspace.services.jobs.quartz import parse_quartz
from lakerun.workspace.services.jobs.run_requests import RunNow
from lakerun.workspace.services.jobs.runs import Runs
from lakerun.workspace.store import Store

logger = logging.getLogger(__name__)

# After the machine was asleep or busy, a run still starts if it is at most this late, once for all missed.
LATE_SECONDS = 60


class Scheduler:
    """Follows the jobs' `schedule`. Runs that were due while the workspace was down are skipped.

    `continuous` and `trigger`s on files or tables do not start runs here; the log warns of it.
    """

    def __init__(self, store: Store, runs: Runs) -> None:
        self._store = store
        self._runs = runs
        self._scheduler = BackgroundScheduler(timezone=UTC)

    def start(self) -> None:
        """Schedule every job."""
        self._scheduler.start()
        for job in self._store.list("job"):
            self.follow(job["job_id"])

    def close(self) -> None:
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def follow(self, job_id: int) -> None:
        """Follow the current settings of a job; called after each change and deletion."""
        if self._scheduler.get_job(str(job_id)):
            self._scheduler.remove_job(str(job_id))
        job = self._store.get("job", job_id)
        if job is None:
            return
        settings = job["settings"]
        for kind in ("continuous", "trigger"):
            if (settings.get(kind) or {"pause_status": "PAUSED"}).get("pause_status") != "PAUSED":
                logger.warning("Job %s: its '%s' starts no runs in the local workspace.", job_id, kind)
        schedule = settings.get("schedule")
        if not schedule or schedule.get("pause_status") == "PAUSED":
            return
        try:
            parsed = parse_quartz(schedule["quartz_cron_expression"], schedule.get("timezone_id") or "UTC")
        except ApiError as error:
            logger.error("Job %s is not scheduled: %s", job_id, error.message)
            return
        self._scheduler.add_job(
            self._due,
            parsed.trigger,
            args=(job_id,),
            id=str(job_id),
            misfire_grace_time=LATE_SECONDS,
            coalesce=True,
        )

    def _due(self, job_id: int) -> None:
        try:
            self._runs.run_now(RunNow(job_id=job_id), trigger="PERIODIC")
        except ApiError as error:
            logger.error("Job %s did not start on its schedule: %s", job_id, error.message)

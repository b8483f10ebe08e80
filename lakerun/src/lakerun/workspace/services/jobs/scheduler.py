"""Starts runs of jobs by their schedules and triggers, while the workspace is up: `Scheduler`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from lakerun.bundles.job_specs import job_from_settings
from lakerun.bundles.triggers import VOLUMES, TriggerSpec
from lakerun.errors import LakerunError
from lakerun.workspace.errors import ApiError
from lakerun.workspace.services.compute.deployed import Deployed
from lakerun.workspace.services.jobs.quartz import parse_quartz
from lakerun.workspace.services.jobs.run_requests import RunNow
from lakerun.workspace.services.jobs.runs import Runs
from lakerun.workspace.services.jobs.watches import (
    State,
    Watch,
    changed_tables,
    files_in,
    new_files,
    versions_of,
)
from lakerun.workspace.store import Document, Store

logger = logging.getLogger(__name__)

# After the machine was asleep or busy, a run still starts if it is at most this late, once for all missed.
LATE_SECONDS = 60
# After a failed run of a continuous job the next run waits, each time twice as long.
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 5, 600
ENDED_WELL = "SUCCESS"


class Scheduler:
    """Follows the jobs' `schedule`, `trigger` and `continuous`.

    Runs that were due while the workspace was down are skipped, but not files and commits of that time: the
    state of triggers is stored in documents of kind "watch".
    """

    look_every = 5.0
    """Seconds between two looks at what triggers watch."""

    def __init__(self, store: Store, runs: Runs, deployed: Deployed) -> None:
        self._store = store
        self._runs = runs
        self._deployed = deployed
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
        try:
            due = self._due_of(job) if job else None
        except (ApiError, LakerunError) as error:
            logger.error("Job %s is not scheduled: %s", job_id, getattr(error, "message", error))
            return
        if due is None:
            self._store.delete("watch", job_id)
            return
        when, run = due
        self._scheduler.add_job(
            run, when, id=str(job_id), misfire_grace_time=LATE_SECONDS, coalesce=True, max_instances=1
        )

    def _due_of(self, job: Document) -> tuple[Any, Callable[[], None]] | None:
        """The trigger of a job's runs and the action when it is due; None if nothing starts runs."""
        job_id, settings = job["job_id"], job["settings"]
        schedule = settings.get("schedule")
        if schedule and schedule.get("pause_status") != "PAUSED":
            parsed = parse_quartz(schedule["quartz_cron_expression"], schedule.get("timezone_id") or "UTC")
            return parsed.trigger, lambda: self._start(job_id, "PERIODIC")
        trigger = job_from_settings(settings, str(job_id)).trigger
        if trigger is None:
            return None
        often = IntervalTrigger(seconds=self.look_every)
        if trigger.kind == "interval":
            begin = datetime.fromtimestamp(job["created_time"] / 1000, UTC)
            every = timedelta(hours=trigger.hours)
            when = IntervalTrigger(hours=trigger.hours, start_date=begin + every)
            return when, lambda: self._start(job_id, "PERIODIC")
        if trigger.kind == "continuous":
            return often, lambda: self._continue(job_id)
        look, has_news, kind = self._watched(trigger)
        watch = self._watch(job_id, trigger, look, has_news)
        return often, lambda: self._look(job_id, watch, look, kind)

    def _start(self, job_id: int, kind: str) -> None:
        try:
            self._runs.run_now(RunNow(job_id=job_id), trigger=kind)
        except ApiError as error:
            logger.error("Job %s did not start: %s", job_id, error.message)

    # Continuous jobs ------------------------------------------------------------------------------------

    def _continue(self, job_id: int) -> None:
        """Start the next run after the last one has ended."""
        if self._runs.is_active(job_id):
            return
        failed = 0
        runs = self._store.list("run", job_id, newest_first=True, limit=10)
        for run in runs:
            if run["state"].get("result_state") == ENDED_WELL:
                break
            failed += 1
        wait = min(FIRST_WAIT_SECONDS * 2 ** (failed - 1), LONGEST_WAIT_SECONDS) if failed else 0
        if not runs or time.time() >= runs[0].get("end_time", 0) / 1000 + wait:
            self._start(job_id, "CONTINUOUS")

    # Files and tables -----------------------------------------------------------------------------------

    def _watched(
        self, trigger: TriggerSpec
    ) -> tuple[Callable[[], State], Callable[[State, State], bool], str]:
        """How to look, how to know that there is something new, and the kind of the runs."""
        if trigger.kind == "files":
            if not trigger.folder.startswith(VOLUMES):
                raise LakerunError(
                    f"trigger.file_arrival.url: '{trigger.folder}' is not a folder of a volume."
                )
            folder = self._deployed.path(trigger.folder)
            return lambda: files_in(folder), new_files, "FILE_ARRIVAL"
        storage = self._deployed.storage
        least = len(trigger.tables) if trigger.all_tables else 1
        return (
            lambda: versions_of(storage, trigger.tables),
            lambda seen, there: len(changed_tables(storage, seen, there)) >= least,
            "TABLE",
        )

    def _watch(
        self,
        job_id: int,
        trigger: TriggerSpec,
        look: Callable[[], State],
        has_news: Callable[[State, State], bool],
    ) -> Watch:
        """The stored state of a trigger; what is there now is not new to one that was changed."""
        stored: Mapping[str, Any] | None = self._store.get("watch", job_id)
        settings = trigger.model_dump(mode="json")
        if stored is None or stored["trigger"] != settings:
            stored = {"trigger": settings, "seen": look(), "started": None}
            self._store.put("watch", job_id, dict(stored))
        pause, quiet = trigger.pause_seconds, trigger.quiet_seconds
        return Watch(has_news, pause, quiet, stored["seen"], stored["started"])

    def _look(self, job_id: int, watch: Watch, look: Callable[[], State], kind: str) -> None:
        if watch.is_due(look(), time.time()):
            stored = self._store.get("watch", job_id) or {}
            self._store.put("watch", job_id, stored | {"seen": watch.seen, "started": watch.started})
            self._start(job_id, kind)

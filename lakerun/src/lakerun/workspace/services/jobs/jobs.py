"""Definitions of jobs: `JobService`. `Runs` runs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lakerun.workspace.errors import invalid, missing
from lakerun.workspace.paging import checked_size, page_of
from lakerun.workspace.services.access.permission_requests import PermissionChange
from lakerun.workspace.services.access.permissions import PermissionService
from lakerun.workspace.services.checks import check, now_ms
from lakerun.workspace.services.creations import CreationService
from lakerun.workspace.services.jobs.job_settings import checked_settings
from lakerun.workspace.store import Document, Store

MAX_JOBS_PER_PAGE = 100


class JobService:
    """Documents of kind "job". Listeners in `on_change` get the job's id after each change and deletion."""

    def __init__(
        self, store: Store, user: str, permissions: PermissionService, creations: CreationService
    ) -> None:
        self._store = store
        self._user = user
        self._permissions = permissions
        self._creations = creations
        self.on_change: list[Callable[[int], None]] = []
        creations.register("job", lambda id: self.delete(int(id)))

    def create(self, body: Document) -> int:
        """Create a job and return its id. The body has its settings and may have an `access_control_list`."""
        settings = dict(body)
        listed = settings.pop("access_control_list", None)
        access = None if listed is None else check(PermissionChange, {"access_control_list": listed})
        settings = checked_settings(settings)
        with self._store.transaction():
            job_id = self._store.next_id()
            self._store.put(
                "job",
                job_id,
                {
                    "job_id": job_id,
                    "creator_user_name": self._user,
                    "created_time": now_ms(),
                    "settings": settings,
                },
            )
            self._creations.note("job", job_id)
            if access is not None:
                self._permissions.update("jobs", str(job_id), access)
        self._changed(job_id)
        return job_id

    def get(self, job_id: int) -> Document:
        """The job's document with `run_as_user_name`; RESOURCE_DOES_NOT_EXIST if there is none."""
        job = self._store.get("job", job_id)
        if job is None:
            raise missing("Job", job_id)
        return self._shown(job)

    def page(
        self, *, name: str | None, limit: int, offset: int, token: str | None, tasks: bool
    ) -> tuple[list[Document], str | None]:
        """A page of jobs, the newest first, and the next page's token; `name` ignores case."""
        size = checked_size(limit, MAX_JOBS_PER_PAGE, "limit")
        found = [self._shown(job) for job in self._store.list("job", newest_first=True)]
        if name is not None:
            found = [job for job in found if job["settings"]["name"].lower() == name.lower()]
        page, following = page_of(found, token or str(offset), size)
        if not tasks:
            hidden = ("tasks", "job_clusters", "environments", "parameters")
            for job in page:
                job["settings"] = {k: v for k, v in job["settings"].items() if k not in hidden}
        return page, following

    def reset(self, job_id: int, settings: Document) -> None:
        """Replace all settings; `run_as` stays if the new ones do not have it, as on Databricks."""
        checked = checked_settings(settings, "new_settings")
        with self._store.transaction():
            job = self._stored(job_id)
            if "run_as" in job["settings"]:
                checked.setdefault("run_as", job["settings"]["run_as"])
            self._store.put("job", job_id, job | {"settings": checked})
        self._changed(job_id)

    def update(self, job_id: int, new_settings: Document, fields_to_remove: list[Any]) -> None:
        """Change some settings. Tasks, environments and clusters are merged by key; the rest is replaced."""
        with self._store.transaction():
            job = self._stored(job_id)
            settings = dict(job["settings"])
            for field in fields_to_remove:
                _remove(settings, field)
            for field, value in new_settings.items():
                key = {
                    "tasks": "task_key",
                    "environments": "environment_key",
                    "job_clusters": "job_cluster_key",
                }
                settings[field] = _merged(settings.get(field), value, key[field]) if field in key else value
            self._store.put("job", job_id, job | {"settings": checked_settings(settings, "new_settings")})
        self._changed(job_id)

    def delete(self, job_id: int) -> None:
        with self._store.transaction():
            self._stored(job_id)
            self._store.delete("job", job_id)
            self._permissions.forget("jobs", job_id)
        self._changed(job_id)

    def _stored(self, job_id: int) -> Document:
        job = self._store.get("job", job_id)
        if job is None:
            raise missing("Job", job_id)
        return job

    def _shown(self, job: Document) -> Document:
        run_as = job["settings"].get("run_as") or {}
        name = run_as.get("service_principal_name") or run_as.get("user_name") or self._user
        return {**job, "run_as_user_name": name}

    def _changed(self, job_id: int) -> None:
        for listener in self.on_change:
            listener(job_id)


def _merged(old: Any, new: Any, key: str) -> Any:
    if not isinstance(old, list) or not isinstance(new, list):
        return new
    by_key = {item.get(key): item for item in old if isinstance(item, dict)}
    for item in new:
        if not isinstance(item, dict) or not isinstance(item.get(key), str):
            return new  # the check of the settings reports the error
        by_key[item[key]] = item
    return list(by_key.values())


def _remove(settings: Document, field: Any) -> None:
    """Remove a setting such as `schedule`, or one item by its key, such as `tasks/load`."""
    if not isinstance(field, str):
        raise invalid(f"fields_to_remove: must hold names of fields; given: {field!r}.")
    name, _, item = field.partition("/")
    if not item:
        settings.pop(name, None)
    elif isinstance(settings.get(name), list):
        settings[name] = [part for part in settings[name] if not _is_named(part, item)]


def _is_named(part: Any, name: str) -> bool:
    keys = ("task_key", "environment_key", "job_cluster_key", "name")
    return isinstance(part, dict) and name in [part.get(key) for key in keys]

"""Jobs: `/api/2.2/jobs/...`, and the same under 2.1 and 2.0 for older clients."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, BackgroundTasks

from lakerun.workspace.api.routing import group
from lakerun.workspace.requests import Count, Whole
from lakerun.workspace.services import Services
from lakerun.workspace.services.checks import without_none
from lakerun.workspace.services.jobs.job_requests import JobId, JobSettings, ResetJob, UpdateJob

VERSIONS = ("2.2", "2.1", "2.0")


def router(services: Services) -> APIRouter:
    routes = group()
    for version in VERSIONS:
        routes.include_router(_routes(services), prefix=f"/api/{version}/jobs")
    return routes


def _routes(services: Services) -> APIRouter:
    routes = group()
    jobs = services.jobs

    @routes.post("/create")
    def create(body: JobSettings, after: BackgroundTasks) -> dict[str, Any]:
        job_id = jobs.create(body.given())
        after.add_task(services.creations.answered, "job", job_id)
        return {"job_id": job_id}

    @routes.get("/get")
    def get(job_id: Whole) -> dict[str, Any]:
        return jobs.get(job_id)

    @routes.get("/list")
    def list_jobs(
        name: str | None = None,
        limit: Whole = 20,
        offset: Count = 0,
        page_token: str | None = None,
        expand_tasks: bool = False,
    ) -> dict[str, Any]:
        found, following = jobs.page(
            name=name, limit=limit, offset=offset, token=page_token, tasks=expand_tasks
        )
        return without_none({"jobs": found, "has_more": following is not None, "next_page_token": following})

    @routes.post("/reset")
    def reset(body: ResetJob) -> dict[str, Any]:
        jobs.reset(body.job_id, body.new_settings.given())
        return {}

    @routes.post("/update")
    def update(body: UpdateJob) -> dict[str, Any]:
        changes = body.new_settings.given() if body.new_settings else {}
        jobs.update(body.job_id, changes, body.fields_to_remove)
        return {}

    @routes.post("/delete")
    def delete(body: JobId) -> dict[str, Any]:
        jobs.delete(body.job_id)
        return {}

    return routes

"""Jobs: `/api/2.2/jobs/...`, and the same under 2.1 and 2.0 for older clients."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, BackgroundTasks
from pydantic import BaseModel

from lakerun.workspace.services import Services
from lakerun.workspace.services.checks import without_none

VERSIONS = ("2.2", "2.1", "2.0")


class _Delete(BaseModel):
    job_id: int


class _Reset(BaseModel):
    job_id: int
    new_settings: dict[str, Any]


class _Update(BaseModel):
    job_id: int
    new_settings: dict[str, Any] = {}
    fields_to_remove: list[Any] = []


def router(services: Services) -> APIRouter:
    routes = APIRouter()
    for version in VERSIONS:
        routes.include_router(_routes(services), prefix=f"/api/{version}/jobs")
    return routes


def _routes(services: Services) -> APIRouter:
    routes = APIRouter()
    jobs = services.jobs

    @routes.post("/create")
    def create(body: dict[str, Any], after: BackgroundTasks) -> dict[str, Any]:
        job_id = jobs.create(body)
        after.add_task(services.creations.answered, "job", job_id)
        return {"job_id": job_id}

    @routes.get("/get")
    def get(job_id: int) -> dict[str, Any]:
        return jobs.get(job_id)

    @routes.get("/list")
    def list_jobs(
        name: str | None = None,
        limit: int = 20,
        offset: int = 0,
        page_token: str | None = None,
        expand_tasks: bool = False,
    ) -> dict[str, Any]:
        found, following = jobs.page(
            name=name, limit=limit, offset=offset, token=page_token, tasks=expand_tasks
        )
        return without_none({"jobs": found, "has_more": following is not None, "next_page_token": following})

    @routes.post("/reset")
    def reset(body: _Reset) -> dict[str, Any]:
        jobs.reset(body.job_id, body.new_settings)
        return {}

    @routes.post("/update")
    def update(body: _Update) -> dict[str, Any]:
        jobs.update(body.job_id, body.new_settings, body.fields_to_remove)
        return {}

    @routes.post("/delete")
    def delete(body: _Delete) -> dict[str, Any]:
        jobs.delete(body.job_id)
        return {}

    return routes

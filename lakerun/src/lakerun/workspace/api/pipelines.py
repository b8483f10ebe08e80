"""Pipelines: `/api/2.0/pipelines`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, BackgroundTasks

from lakerun.workspace.api.routing import group
from lakerun.workspace.requests import Whole
from lakerun.workspace.services import Services
from lakerun.workspace.services.checks import without_none
from lakerun.workspace.services.pipelines.pipeline_requests import PipelineDefinition


def router(services: Services) -> APIRouter:
    routes = group(prefix="/api/2.0/pipelines")
    pipelines = services.pipelines

    @routes.post("")
    def create(body: PipelineDefinition, after: BackgroundTasks) -> dict[str, Any]:
        pipeline_id = pipelines.create(body)
        after.add_task(services.creations.answered, "pipeline", pipeline_id)
        return {"pipeline_id": pipeline_id}

    @routes.get("")
    def list_pipelines(
        filter: str | None = None, max_results: Whole = 25, page_token: str | None = None
    ) -> dict[str, Any]:
        found, following = pipelines.page(filter=filter, size=max_results, token=page_token)
        return without_none({"statuses": found, "next_page_token": following})

    @routes.get("/{pipeline_id}")
    def get(pipeline_id: str) -> dict[str, Any]:
        return pipelines.get(pipeline_id)

    @routes.put("/{pipeline_id}")
    def edit(pipeline_id: str, body: PipelineDefinition) -> dict[str, Any]:
        pipelines.edit(pipeline_id, body)
        return {}

    @routes.delete("/{pipeline_id}")
    def delete(pipeline_id: str, cascade: bool = True) -> dict[str, Any]:
        pipelines.delete(pipeline_id, cascade=cascade)
        return {}

    return routes

"""Pipeline updates and events: `/api/2.0/pipelines/{pipeline_id}/...`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query

from lakerun.workspace.api.routing import group
from lakerun.workspace.requests import Whole
from lakerun.workspace.services.pipelines.pipeline_requests import StartUpdate

if TYPE_CHECKING:
    from lakerun.workspace.services import Services


def router(services: Services) -> APIRouter:
    """Start, list, read and stop updates; read events."""
    routes = group(prefix="/api/2.0/pipelines/{pipeline_id}")
    updates = services.updates

    @routes.post("/updates")
    def start(pipeline_id: str, body: StartUpdate | None = None) -> dict[str, str]:
        return {"update_id": updates.start(pipeline_id, body.given() if body else {})}

    @routes.get("/updates")
    def list_updates(
        pipeline_id: str,
        max_results: Whole = 25,
        page_token: str | None = None,
        until_update_id: str | None = None,
    ) -> dict[str, Any]:
        return updates.list(pipeline_id, max_results, page_token, until_update_id)

    @routes.get("/updates/{update_id}")
    def get(pipeline_id: str, update_id: str) -> dict[str, Any]:
        return {"update": updates.get(pipeline_id, update_id)}

    @routes.get("/events")
    def events(
        pipeline_id: str,
        filter: str | None = None,
        order_by: Annotated[list[str] | None, Query()] = None,
        max_results: Whole = 100,
        page_token: str | None = None,
    ) -> dict[str, Any]:
        order = order_by[0] if order_by else None
        return updates.events(pipeline_id, filter, order, max_results, page_token)

    @routes.post("/stop")
    def stop(pipeline_id: str) -> dict[str, Any]:
        updates.stop(pipeline_id)
        return {}

    return routes

"""`/api/2.0/lakeview/dashboards`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, BackgroundTasks, Request

from lakerun.workspace.api.routing import group
from lakerun.workspace.requests import Whole
from lakerun.workspace.services.checks import without_none
from lakerun.workspace.services.sql.dashboard_requests import DashboardDraft, Publication

if TYPE_CHECKING:
    from lakerun.workspace.services import Services


# The CLI records a dashboard only after it has created and published it. One that a killed deployment left
# unpublished would block its name for the next deployment.
DEPLOYMENT = "cmd/bundle_deploy"


def router(services: Services) -> APIRouter:
    dashboards = services.dashboards
    routes = group(prefix="/api/2.0/lakeview/dashboards")

    @routes.post("")
    def create(
        request: Request,
        body: DashboardDraft,
        after: BackgroundTasks,
        dataset_catalog: str | None = None,
        dataset_schema: str | None = None,
    ) -> dict[str, Any]:
        with services.store.transaction():
            created = dashboards.create(body, dataset_catalog, dataset_schema)
            services.creations.note("dashboard", created["dashboard_id"])
        if DEPLOYMENT not in request.headers.get("user-agent", ""):
            after.add_task(services.creations.answered, "dashboard", created["dashboard_id"])
        return created

    @routes.get("")
    def list_dashboards(
        page_size: Whole | None = None, page_token: str | None = None, show_trashed: bool = False
    ) -> dict[str, Any]:
        found, following = dashboards.page(page_size, page_token, show_trashed)
        return without_none({"dashboards": found, "next_page_token": following})

    @routes.get("/{id}")
    def get(id: str) -> dict[str, Any]:
        return dashboards.get(id)

    @routes.patch("/{id}")
    def update(
        id: str,
        body: DashboardDraft,
        dataset_catalog: str | None = None,
        dataset_schema: str | None = None,
    ) -> dict[str, Any]:
        return dashboards.update(id, body, dataset_catalog, dataset_schema)

    @routes.delete("/{id}")
    def trash(id: str) -> dict[str, Any]:
        with services.store.transaction():
            dashboards.trash(id)
            services.permissions.forget("dashboards", id)
            services.creations.answered("dashboard", id)
        return {}

    @routes.post("/{id}/published")
    def publish(id: str, body: Publication, after: BackgroundTasks) -> dict[str, Any]:
        published = dashboards.publish(id, body)
        after.add_task(services.creations.answered, "dashboard", id)
        return published

    @routes.get("/{id}/published")
    def published(id: str) -> dict[str, Any]:
        return dashboards.published(id)

    @routes.delete("/{id}/published")
    def unpublish(id: str) -> dict[str, Any]:
        dashboards.unpublish(id)
        return {}

    return routes

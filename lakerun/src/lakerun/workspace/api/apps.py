"""`/api/2.0/apps`: the apps that bundles declare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, BackgroundTasks

from lakerun.workspace.api.routing import group
from lakerun.workspace.requests import Whole
from lakerun.workspace.services.checks import without_none
from lakerun.workspace.services.compute.app_requests import AppReplacement, AppUpdate, NewApp

if TYPE_CHECKING:
    from lakerun.workspace.services import Services


def router(services: Services) -> APIRouter:
    apps = services.apps
    routes = group(prefix="/api/2.0/apps")

    @routes.post("")
    def create(body: NewApp, after: BackgroundTasks, no_compute: bool = False) -> dict[str, Any]:
        created = apps.create(body, no_compute=no_compute)
        after.add_task(services.creations.answered, "app", body.name)
        return created

    @routes.get("")
    def list_apps(
        page_size: Whole | None = None, page_token: str | None = None, space: str | None = None
    ) -> dict[str, Any]:
        found, following = apps.page(page_size, page_token, space)
        return without_none({"apps": found, "next_page_token": following})

    @routes.get("/{app_name}")
    def get(app_name: str) -> dict[str, Any]:
        return apps.get(app_name)

    @routes.patch("/{app_name}")
    def replace(app_name: str, body: AppReplacement) -> dict[str, Any]:
        return apps.replace(app_name, body)

    @routes.post("/{app_name}/update")
    def update(app_name: str, body: AppUpdate) -> dict[str, Any]:
        return apps.update(app_name, body)

    @routes.get("/{app_name}/update")
    def last_update(app_name: str) -> dict[str, Any]:
        return apps.last_update(app_name)

    @routes.post("/{app_name}/start")
    @routes.post("/{app_name}/deployments")
    def run(app_name: str) -> None:
        apps.refuse(app_name)

    @routes.post("/{app_name}/stop")
    def stop(app_name: str) -> dict[str, Any]:
        return apps.get(app_name)  # it is always stopped

    @routes.delete("/{app_name}")
    def delete(app_name: str) -> dict[str, Any]:
        with services.store.transaction():
            deleted = apps.get(app_name)
            apps.delete(app_name)
            services.permissions.forget("apps", app_name)
        return deleted

    return routes

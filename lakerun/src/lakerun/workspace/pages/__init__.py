"""The workspace's pages: runs, pipelines, tables, quarantine and health, rendered on the server.

`router` has the routes, `PageGate` requires a signed-in user, `error_page` shows an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import Response

from lakerun.workspace.errors import ApiError, missing
from lakerun.workspace.pages import health, overview, pipelines, quarantine, runs, session, tables
from lakerun.workspace.pages.render import navigation, render, static_file
from lakerun.workspace.pages.session import PageGate, Sessions, is_page, login_url

if TYPE_CHECKING:
    from lakerun.workspace.services import Services

__all__ = ["PageGate", "Sessions", "error_page", "is_page", "login_url", "navigation", "router"]


def router(services: Services) -> APIRouter:
    """The routes of all pages."""
    routes = APIRouter(default_response_class=Response, include_in_schema=False)
    for subject in (session, overview, runs, pipelines, tables):
        routes.include_router(subject.router(services))
    if services.plugins.quarantine:
        routes.include_router(quarantine.router(services, services.plugins.quarantine))
    if services.plugins.monitoring:
        routes.include_router(health.router(services, services.plugins.monitoring))

    @routes.get("/static/{name}")
    def static(name: str) -> Response:
        if (file := static_file(name)) is None:
            raise missing("File", name)
        return file

    return routes


def error_page(request: Request, error: ApiError) -> Response:
    """The error as a page, with its status."""
    return render(request, "error.html", status=error.status, error=error)

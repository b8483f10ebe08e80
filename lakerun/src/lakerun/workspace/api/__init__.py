"""HTTP routes, one module per API group: a thin layer over `workspace.services`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lakerun.workspace.api import (
    alerts,
    apps,
    catalog,
    clusters,
    dashboards,
    grants,
    identity,
    jobs,
    permissions,
    pipelines,
    runs,
    secrets,
    statements,
    tables,
    telemetry,
    updates,
    volume_files,
    warehouses,
    workspace_files,
)

if TYPE_CHECKING:
    from fastapi import APIRouter

    from lakerun.workspace.services import Services


def routers(services: Services) -> list[APIRouter]:
    """Every API group's routes."""
    groups: tuple[Callable[[Services], APIRouter], ...] = (
        identity.router,
        workspace_files.router,
        permissions.router,
        jobs.router,
        pipelines.router,
        apps.router,
        catalog.router,
        clusters.router,
        grants.router,
        telemetry.router,
        runs.router,
        updates.router,
        alerts.router,
        dashboards.router,
        secrets.router,
        statements.router,
        tables.router,
        volume_files.router,
        warehouses.router,
    )
    return [router(services) for router in groups]

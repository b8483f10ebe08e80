"""HTTP routes, one module per API group: thin over `workspace.services`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ecommerce_lakehouse.workspace.api import (
    alerts,
    dashboards,
    secrets,
    statements,
    tables,
    volume_files,
    warehouses,
)

if TYPE_CHECKING:
    from fastapi import APIRouter

    from ecommerce_lakehouse.workspace.services import Services


def routers(services: Services) -> list[APIRouter]:
    """Every API group's routes."""
    groups: tuple[Callable[[Services], APIRouter], ...] = (
        alerts.router,
        dashboards.router,
        secrets.router,
        statements.router,
        tables.router,
        volume_files.router,
        warehouses.router,
    )
    return [router(services) for router in groups]

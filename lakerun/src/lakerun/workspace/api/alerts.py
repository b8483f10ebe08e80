"""`/api/2.0/alerts`: alerts of version 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, BackgroundTasks

from lakerun.workspace.api.routing import group
from lakerun.workspace.requests import Whole
from lakerun.workspace.services.checks import without_none
from lakerun.workspace.services.sql.alert_model import Alert, AlertChange

if TYPE_CHECKING:
    from lakerun.workspace.services import Services


def router(services: Services) -> APIRouter:
    alerts = services.alerts
    routes = group(prefix="/api/2.0/alerts")

    @routes.post("")
    def create(body: Alert, after: BackgroundTasks) -> dict[str, Any]:
        with services.store.transaction():
            created = alerts.create(body)
            services.creations.note("alert", created["id"])
        after.add_task(services.creations.answered, "alert", created["id"])
        return created

    @routes.get("")
    def list_alerts(page_size: Whole | None = None, page_token: str | None = None) -> dict[str, Any]:
        found, following = alerts.page(page_size, page_token)
        return without_none({"alerts": found, "next_page_token": following})

    @routes.get("/{id}")
    def get(id: str) -> dict[str, Any]:
        return alerts.get(id)

    @routes.patch("/{id}")
    def update(id: str, body: AlertChange, update_mask: str = "*") -> dict[str, Any]:
        return alerts.update(id, body, update_mask)

    @routes.delete("/{id}")
    def trash(id: str, purge: bool = False) -> dict[str, Any]:
        alerts.trash(id, purge)
        services.permissions.forget("alertsv2", id)
        return {}

    return routes

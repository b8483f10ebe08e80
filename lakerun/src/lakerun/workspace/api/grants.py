"""Grants: `/api/2.1/unity-catalog/permissions` and `effective-permissions`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from lakerun.workspace.api.routing import group
from lakerun.workspace.services import Services
from lakerun.workspace.services.catalog.grant_requests import GrantChange


def router(services: Services) -> APIRouter:
    routes = group(prefix="/api/2.1/unity-catalog")
    grants = services.grants

    @routes.get("/permissions/{securable_type}/{full_name}")
    def get(securable_type: str, full_name: str, principal: str | None = None) -> dict[str, Any]:
        return {"privilege_assignments": grants.get(securable_type, full_name, principal)}

    @routes.patch("/permissions/{securable_type}/{full_name}")
    def update(securable_type: str, full_name: str, body: GrantChange) -> dict[str, Any]:
        return {"privilege_assignments": grants.update(securable_type, full_name, body)}

    @routes.get("/effective-permissions/{securable_type}/{full_name}")
    def effective(securable_type: str, full_name: str, principal: str | None = None) -> dict[str, Any]:
        assignments = [
            {**item, "privileges": [{"privilege": privilege} for privilege in item["privileges"]]}
            for item in grants.get(securable_type, full_name, principal)
        ]
        return {"privilege_assignments": assignments}

    return routes

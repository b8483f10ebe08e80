"""Object permissions: `/api/2.0/permissions/...`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from lakerun.workspace.api.routing import group
from lakerun.workspace.services import Services
from lakerun.workspace.services.access.permission_requests import PermissionChange


def router(services: Services) -> APIRouter:
    """A type may have two parts, as in `sql/warehouses`; an id has only one."""
    routes = group(prefix="/api/2.0/permissions")
    permissions = services.permissions

    @routes.get("/{object_type:path}/{object_id}")
    def get(object_type: str, object_id: str) -> dict[str, Any]:
        return permissions.get(object_type, object_id)

    @routes.put("/{object_type:path}/{object_id}")
    def put(object_type: str, object_id: str, body: PermissionChange) -> dict[str, Any]:
        return permissions.set(object_type, object_id, body)

    @routes.patch("/{object_type:path}/{object_id}")
    def patch(object_type: str, object_id: str, body: PermissionChange) -> dict[str, Any]:
        return permissions.update(object_type, object_id, body)

    return routes

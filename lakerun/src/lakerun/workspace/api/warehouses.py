"""`/api/2.0/sql/warehouses`, their configuration, and the older list of data sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from lakerun.workspace.api.routing import group
from lakerun.workspace.services.sql.warehouse_requests import WarehouseSettings

if TYPE_CHECKING:
    from lakerun.workspace.services import Services


def router(services: Services) -> APIRouter:
    warehouses = services.warehouses
    routes = group(prefix="/api/2.0")

    @routes.get("/sql/warehouses")
    def list_warehouses() -> dict[str, Any]:
        return {"warehouses": warehouses.list()}

    @routes.post("/sql/warehouses")
    def create(body: WarehouseSettings) -> dict[str, Any]:
        return {"id": warehouses.create(body)}

    @routes.get("/sql/warehouses/{id}")
    def get(id: str) -> dict[str, Any]:
        return warehouses.get(id)

    @routes.post("/sql/warehouses/{id}/edit")
    def edit(id: str, body: WarehouseSettings) -> dict[str, Any]:
        warehouses.edit(id, body)
        return {}

    @routes.delete("/sql/warehouses/{id}")
    def delete(id: str) -> dict[str, Any]:
        warehouses.delete(id)
        services.permissions.forget("sql/warehouses", id)
        return {}

    @routes.post("/sql/warehouses/{id}/start")
    def start(id: str) -> dict[str, Any]:
        warehouses.start(id)
        return {}

    @routes.post("/sql/warehouses/{id}/stop")
    def stop(id: str) -> dict[str, Any]:
        warehouses.stop(id)
        return {}

    @routes.get("/sql/config/warehouses")
    def configuration() -> dict[str, Any]:
        kinds = [{"warehouse_type": kind, "enabled": True} for kind in ("CLASSIC", "PRO")]
        return {
            "security_policy": "DATA_ACCESS_CONTROL",
            "enable_serverless_compute": True,
            "enabled_warehouse_types": kinds,
        }

    @routes.get("/preview/sql/data_sources")
    def data_sources() -> list[dict[str, Any]]:
        return [
            {"id": w["id"], "name": w["name"], "warehouse_id": w["id"], "type": "databricks_internal"}
            for w in warehouses.list()
        ]

    return routes

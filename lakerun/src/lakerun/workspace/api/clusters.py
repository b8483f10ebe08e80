"""`/api/2.1/clusters`: the clusters that bundles declare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, BackgroundTasks

if TYPE_CHECKING:
    from lakerun.workspace.services import Services


def router(services: Services) -> APIRouter:
    clusters = services.clusters
    routes = APIRouter(prefix="/api/2.1/clusters")

    @routes.post("/create")
    def create(body: dict[str, Any], after: BackgroundTasks) -> dict[str, Any]:
        id = clusters.create(body)
        after.add_task(services.creations.answered, "cluster", id)
        return {"cluster_id": id}

    @routes.get("/get")
    def get(cluster_id: str) -> dict[str, Any]:
        return clusters.get(cluster_id)

    @routes.get("/list")
    def list_clusters() -> dict[str, Any]:
        return {"clusters": clusters.list()}

    @routes.post("/edit")
    def edit(body: dict[str, Any]) -> dict[str, Any]:
        clusters.edit(body)
        return {}

    @routes.post("/start")
    def start(body: dict[str, Any]) -> dict[str, Any]:
        clusters.set_state(str(body.get("cluster_id")), "RUNNING")
        return {}

    @routes.post("/delete")
    def terminate(body: dict[str, Any]) -> dict[str, Any]:
        clusters.set_state(str(body.get("cluster_id")), "TERMINATED")
        return {}

    @routes.post("/permanent-delete")
    def delete(body: dict[str, Any]) -> dict[str, Any]:
        id = str(body.get("cluster_id"))
        clusters.delete(id)
        services.permissions.forget("clusters", id)
        return {}

    return routes

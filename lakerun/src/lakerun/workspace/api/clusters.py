"""`/api/2.1/clusters`: the clusters that bundles declare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, BackgroundTasks

from lakerun.workspace.api.routing import group
from lakerun.workspace.services.compute.cluster_requests import ClusterEdit, ClusterId, ClusterSettings

if TYPE_CHECKING:
    from lakerun.workspace.services import Services


def router(services: Services) -> APIRouter:
    clusters = services.clusters
    routes = group(prefix="/api/2.1/clusters")

    @routes.post("/create")
    def create(body: ClusterSettings, after: BackgroundTasks) -> dict[str, Any]:
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
    def edit(body: ClusterEdit) -> dict[str, Any]:
        clusters.edit(body)
        return {}

    @routes.post("/start")
    def start(body: ClusterId) -> dict[str, Any]:
        clusters.set_state(body.cluster_id, "RUNNING")
        return {}

    @routes.post("/delete")
    def terminate(body: ClusterId) -> dict[str, Any]:
        clusters.set_state(body.cluster_id, "TERMINATED")
        return {}

    @routes.post("/permanent-delete")
    def delete(body: ClusterId) -> dict[str, Any]:
        clusters.delete(body.cluster_id)
        services.permissions.forget("clusters", body.cluster_id)
        return {}

    return routes

"""Accepts the CLI's telemetry and drops it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from lakerun.workspace.services import Services


def router(services: Services) -> APIRouter:
    routes = APIRouter()

    @routes.post("/telemetry-ext")
    def telemetry(body: dict[str, Any]) -> dict[str, Any]:
        received = len(body.get("protoLogs") or [])
        return {"errors": [], "numSuccess": len(body.get("items") or []), "numProtoSuccess": received}

    return routes

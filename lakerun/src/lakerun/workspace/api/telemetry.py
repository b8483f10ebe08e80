"""Accepts the CLI's telemetry and drops it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import Field

from lakerun.workspace.api.routing import group
from lakerun.workspace.requests import RequestModel
from lakerun.workspace.services import Services


class Telemetry(RequestModel):
    items: list[Any] | None = None
    proto_logs: list[Any] | None = Field(default=None, alias="protoLogs")


def router(services: Services) -> APIRouter:
    routes = group()

    @routes.post("/telemetry-ext")
    def telemetry(body: Telemetry) -> dict[str, Any]:
        received = len(body.proto_logs or [])
        return {"errors": [], "numSuccess": len(body.items or []), "numProtoSuccess": received}

    return routes

"""`/api/2.0/sql/statements`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from lakerun.workspace.api.routing import group
from lakerun.workspace.requests import Whole
from lakerun.workspace.services.sql.statement_requests import StatementRequest

if TYPE_CHECKING:
    from lakerun.workspace.services import Services


def router(services: Services) -> APIRouter:
    statements = services.statements
    routes = group(prefix="/api/2.0/sql/statements")

    @routes.post("")
    @routes.post("/", include_in_schema=False)
    def execute(body: StatementRequest) -> dict[str, Any]:
        return statements.execute(body)

    @routes.get("/{id}")
    def get(id: str) -> dict[str, Any]:
        return statements.get(id)

    @routes.get("/{id}/result/chunks/{index}")
    def chunk(id: str, index: Whole) -> dict[str, Any]:
        return statements.chunk(id, index)

    @routes.post("/{id}/cancel")
    def cancel(id: str) -> dict[str, Any]:
        statements.cancel(id)
        return {}

    return routes

"""`/api/2.1/unity-catalog/tables` and the summaries of tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from lakerun.workspace.api.routing import group
from lakerun.workspace.requests import Whole
from lakerun.workspace.services.checks import without_none

if TYPE_CHECKING:
    from lakerun.workspace.services import Services


def router(services: Services) -> APIRouter:
    tables = services.tables
    routes = group(prefix="/api/2.1/unity-catalog")

    @routes.get("/tables")
    def list_tables(
        catalog_name: str,
        schema_name: str,
        max_results: Whole | None = None,
        page_token: str | None = None,
        omit_columns: bool = False,
        omit_properties: bool = False,
    ) -> dict[str, Any]:
        found, following = tables.in_schema(
            catalog_name,
            schema_name,
            max_results=max_results,
            page_token=page_token,
            omit_columns=omit_columns,
            omit_properties=omit_properties,
        )
        return without_none({"tables": found, "next_page_token": following})

    @routes.get("/table-summaries")
    def summaries(
        catalog_name: str,
        schema_name_pattern: str | None = None,
        table_name_pattern: str | None = None,
        max_results: Whole | None = None,
        page_token: str | None = None,
    ) -> dict[str, Any]:
        found, following = tables.summaries(
            catalog_name,
            schema_name_pattern,
            table_name_pattern,
            max_results=max_results,
            page_token=page_token,
        )
        return without_none({"tables": found, "next_page_token": following})

    @routes.get("/tables/{full_name}")
    def get(full_name: str) -> dict[str, Any]:
        return tables.get(full_name)

    @routes.get("/tables/{full_name}/exists")
    def exists(full_name: str) -> dict[str, Any]:
        return {"table_exists": tables.exists(full_name)}

    @routes.delete("/tables/{full_name}")
    def delete(full_name: str) -> dict[str, Any]:
        tables.delete(full_name)
        return {}

    return routes

"""Unity Catalog's catalogs, schemas and volumes: `/api/2.1/unity-catalog/...`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, BackgroundTasks

from lakerun.plugins import DEFAULT_CATALOG
from lakerun.workspace.api.identity import WORKSPACE_ID
from lakerun.workspace.api.routing import group
from lakerun.workspace.paging import page_of, page_size
from lakerun.workspace.requests import Whole
from lakerun.workspace.services import Services
from lakerun.workspace.services.catalog.catalog import METASTORE_ID
from lakerun.workspace.services.catalog.catalog_requests import (
    CatalogChange,
    NewCatalog,
    NewSchema,
    NewVolume,
)
from lakerun.workspace.services.checks import without_none

PAGE = 1000


def router(services: Services) -> APIRouter:
    routes = group(prefix="/api/2.1/unity-catalog")
    catalog = services.catalog

    @routes.get("/current-metastore-assignment")
    def metastore() -> dict[str, Any]:
        return {
            "metastore_id": METASTORE_ID,
            "workspace_id": int(WORKSPACE_ID),
            "default_catalog_name": DEFAULT_CATALOG,
        }

    def answer(after: BackgroundTasks, kind: str, created: dict[str, Any]) -> dict[str, Any]:
        after.add_task(services.creations.answered, kind, created["full_name"])
        return created

    @routes.post("/catalogs")
    def create_catalog(body: NewCatalog, after: BackgroundTasks) -> dict[str, Any]:
        return answer(after, "catalog", catalog.create_catalog(body))

    @routes.post("/schemas")
    def create_schema(body: NewSchema, after: BackgroundTasks) -> dict[str, Any]:
        return answer(after, "schema", catalog.create_schema(body))

    @routes.post("/volumes")
    def create_volume(body: NewVolume, after: BackgroundTasks) -> dict[str, Any]:
        return answer(after, "volume", catalog.create_volume(body))

    @routes.get("/catalogs")
    def list_catalogs(page_token: str | None = None, max_results: Whole = 0) -> dict[str, Any]:
        return _page("catalogs", catalog.list("catalog"), page_token, max_results)

    @routes.get("/schemas")
    def list_schemas(
        catalog_name: str, page_token: str | None = None, max_results: Whole = 0
    ) -> dict[str, Any]:
        name = catalog.get("catalog", catalog_name)["full_name"]
        return _page("schemas", catalog.list("schema", name), page_token, max_results)

    @routes.get("/volumes")
    def list_volumes(
        catalog_name: str, schema_name: str, page_token: str | None = None, max_results: Whole = 0
    ) -> dict[str, Any]:
        name = catalog.get("schema", f"{catalog_name}.{schema_name}")["full_name"]
        return _page("volumes", catalog.list("volume", name), page_token, max_results)

    deletions: dict[str, Callable[[str, bool], None]] = {
        "catalog": lambda name, force: catalog.delete_catalog(name, force=force),
        "schema": lambda name, force: catalog.delete_schema(name, force=force),
        "volume": lambda name, force: catalog.delete_volume(name),
    }
    for kind, delete in deletions.items():
        _add_by_name(routes, services, kind, delete)
    return routes


def _add_by_name(
    routes: APIRouter, services: Services, kind: str, delete_it: Callable[[str, bool], None]
) -> None:
    @routes.get(f"/{kind}s/{{full_name}}")
    def get(full_name: str) -> dict[str, Any]:
        return services.catalog.get(kind, full_name)

    @routes.patch(f"/{kind}s/{{full_name}}")
    def update(full_name: str, body: CatalogChange) -> dict[str, Any]:
        return services.catalog.update(kind, full_name, body)

    @routes.delete(f"/{kind}s/{{full_name}}")
    def delete(full_name: str, force: bool = False) -> dict[str, Any]:
        delete_it(full_name, force)
        return {}


def _page(field: str, items: list[dict[str, Any]], token: str | None, size: int) -> dict[str, Any]:
    """With `max_results` 0 the server chooses the size of a page, as on Databricks."""
    page, following = page_of(items, token, page_size(size, PAGE))
    return without_none({field: page, "next_page_token": following})

"""The caller's identity, and SCIM: `/.well-known/databricks-config`, `/api/2.0/preview/scim/v2`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response

from lakerun.workspace.api.routing import group
from lakerun.workspace.requests import LARGEST
from lakerun.workspace.services import Services
from lakerun.workspace.services.access.identity_requests import NewIdentity

WORKSPACE_ID = "1000000000000001"
Kind = Literal["Users", "Groups", "ServicePrincipals"]


def router(services: Services) -> APIRouter:
    routes = group()

    @routes.get("/.well-known/databricks-config")
    def config() -> dict[str, str]:
        host = services.settings.host_url
        return {"oidc_endpoint": f"{host}/oidc", "workspace_id": WORKSPACE_ID, "host_type": "WORKSPACE_HOST"}

    @routes.get("/api/2.0/preview/scim/v2/Me")
    def me(response: Response) -> dict[str, Any]:
        response.headers["X-Databricks-Org-Id"] = WORKSPACE_ID
        return services.identity.me()

    @routes.get("/api/2.0/preview/scim/v2/{kind}")
    def list_identities(
        kind: Kind,
        filter: str | None = None,
        start: Annotated[int, Query(alias="startIndex", ge=1, le=LARGEST)] = 1,
        count: Annotated[int | None, Query(ge=0, le=LARGEST)] = None,
    ) -> dict[str, Any]:
        return services.identity.search(kind, filter, start, count)

    @routes.post("/api/2.0/preview/scim/v2/{kind}", status_code=201)
    def create(kind: Kind, body: NewIdentity) -> dict[str, Any]:
        return services.identity.create(kind, body)

    @routes.get("/api/2.0/preview/scim/v2/{kind}/{id}")
    def get(kind: Kind, id: str) -> dict[str, Any]:
        return services.identity.get(kind, id)

    @routes.delete("/api/2.0/preview/scim/v2/{kind}/{id}")
    def delete(kind: Kind, id: str) -> dict[str, Any]:
        services.identity.delete(kind, id)
        return {}

    return routes

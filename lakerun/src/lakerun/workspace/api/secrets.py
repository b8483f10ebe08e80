"""`/api/2.0/secrets`: scopes, secrets, ACLs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from lakerun.workspace.api.routing import group
from lakerun.workspace.services.access.secret_requests import Acl, NewAcl, NewScope, NewSecret, Scope, Secret

if TYPE_CHECKING:
    from lakerun.workspace.services import Services


def router(services: Services) -> APIRouter:
    secrets = services.secrets
    routes = group(prefix="/api/2.0/secrets")

    @routes.post("/scopes/create")
    def create_scope(body: NewScope) -> dict[str, Any]:
        secrets.create_scope(body.scope, body.initial_manage_principal, body.scope_backend_type)
        return {}

    @routes.get("/scopes/list")
    def list_scopes() -> dict[str, Any]:
        return {"scopes": secrets.scopes()}

    @routes.post("/scopes/delete")
    def delete_scope(body: Scope) -> dict[str, Any]:
        secrets.delete_scope(body.scope)
        return {}

    @routes.post("/put")
    def put(body: NewSecret) -> dict[str, Any]:
        secrets.put(body.scope, body.key, body.string_value, body.bytes_value)
        return {}

    @routes.get("/get")
    def get(scope: str, key: str) -> dict[str, Any]:
        return secrets.get(scope, key)

    @routes.get("/list")
    def list_secrets(scope: str) -> dict[str, Any]:
        return {"secrets": secrets.keys(scope)}

    @routes.post("/delete")
    def delete(body: Secret) -> dict[str, Any]:
        secrets.delete(body.scope, body.key)
        return {}

    @routes.post("/acls/put")
    def put_acl(body: NewAcl) -> dict[str, Any]:
        secrets.put_acl(body.scope, body.principal, body.permission)
        return {}

    @routes.get("/acls/get")
    def get_acl(scope: str, principal: str) -> dict[str, Any]:
        return secrets.get_acl(scope, principal)

    @routes.get("/acls/list")
    def list_acls(scope: str) -> dict[str, Any]:
        return {"items": secrets.acls(scope)}

    @routes.post("/acls/delete")
    def delete_acl(body: Acl) -> dict[str, Any]:
        secrets.delete_acl(body.scope, body.principal)
        return {}

    return routes

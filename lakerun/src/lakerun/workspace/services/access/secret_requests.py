"""The bodies of requests about secrets."""

from __future__ import annotations

from pydantic import Field, StrictStr

from lakerun.workspace.requests import RequestModel


class Scope(RequestModel):
    scope: StrictStr


class NewScope(Scope):
    initial_manage_principal: StrictStr | None = None
    scope_backend_type: StrictStr | None = None


class Secret(Scope):
    key: StrictStr


class NewSecret(Secret):
    """Exactly one of the two values is given."""

    string_value: StrictStr | None = Field(default=None, repr=False)
    bytes_value: StrictStr | None = Field(default=None, repr=False)


class Acl(Scope):
    principal: StrictStr


class NewAcl(Acl):
    permission: StrictStr

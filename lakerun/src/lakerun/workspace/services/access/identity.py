"""Identities: the one user who has the token, and the users, groups and principals that clients create."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import Any

from lakerun.workspace.errors import ApiError, invalid, missing
from lakerun.workspace.services.access.identity_requests import NewIdentity
from lakerun.workspace.store import Document, Store

NAME_FIELD = {"Users": "userName", "Groups": "displayName", "ServicePrincipals": "displayName"}
SCHEMA = {
    "Users": "urn:ietf:params:scim:schemas:core:2.0:User",
    "Groups": "urn:ietf:params:scim:schemas:core:2.0:Group",
    "ServicePrincipals": "urn:ietf:params:scim:schemas:core:2.0:ServicePrincipal",
}
# The user is a member of all of them.
GROUPS = ("admins", "users")
OPERATORS = ("eq", "co", "sw")
FIELD = re.compile(r"\w+")
QUOTES = re.compile(r"""^["']|["']$""")


class IdentityService:
    """SCIM resources. `kind` is Users, Groups or ServicePrincipals."""

    def __init__(self, store: Store, user: str, groups: Sequence[str] = ()) -> None:
        self._store = store
        self.user = user
        self._groups = (*GROUPS, *groups)

    def me(self) -> Document:
        """The user who has the token."""
        return {
            "schemas": [SCHEMA["Users"]],
            "id": str(zlib.crc32(self.user.encode()) + 10**9),
            "userName": self.user,
            "displayName": self.user.split("@")[0],
            "active": True,
            "emails": [{"type": "work", "value": self.user, "primary": True}],
            "groups": [
                {"display": name, "type": "direct", "value": str(number)}
                for number, name in enumerate(self._groups, start=1)
            ],
        }

    def create(self, kind: str, request: NewIdentity) -> Document:
        """Create a user, group or service principal, with an id and, for a principal, an application id."""
        body = request.given()
        name = body.get(NAME_FIELD[kind])
        if not name:
            raise invalid(f"{NAME_FIELD[kind]}: must be a name.")
        with self._store.transaction():
            if (
                any(other[NAME_FIELD[kind]] == name for other in self._all(kind))
                and kind != "ServicePrincipals"
            ):
                raise ApiError("RESOURCE_CONFLICT", f"{NAME_FIELD[kind]}: {name} already exists.")
            number = self._store.next_id()
            created = {"schemas": [SCHEMA[kind]], "active": True, **body, "id": str(number)}
            if kind == "ServicePrincipals":
                created.setdefault("applicationId", f"00000000-0000-4000-8000-{number % 16**12:012x}")
            self._store.put(f"scim_{kind}", number, created)
        return created

    def get(self, kind: str, id: str) -> Document:
        for found in self._all(kind):
            if found["id"] == id:
                return found
        raise missing(kind.rstrip("s"), id)

    def delete(self, kind: str, id: str) -> None:
        if not self._store.delete(f"scim_{kind}", id):
            raise missing(kind.rstrip("s"), id)

    def search(self, kind: str, filter: str | None, start: int, count: int | None) -> Document:
        """A page of the resources that match a filter such as `userName eq "me"`; `start` counts from 1."""
        found = [item for item in self._all(kind) if filter is None or _matches(item, filter)]
        page = found[start - 1 :] if count is None else found[start - 1 : start - 1 + count]
        return {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": len(found),
            "startIndex": start,
            "itemsPerPage": len(page),
            "Resources": page,
        }

    def _all(self, kind: str) -> list[Document]:
        built_in: dict[str, list[Document]] = {
            "Users": [self.me()],
            "Groups": [
                {"schemas": [SCHEMA["Groups"]], "id": str(number), "displayName": name}
                for number, name in enumerate(self._groups, start=1)
            ],
        }
        return built_in.get(kind, []) + self._store.list(f"scim_{kind}")


def _matches(item: dict[str, Any], filter: str) -> bool:
    field, operator, wanted = [*filter.lower().split(maxsplit=2), "", "", ""][:3]
    if not wanted or operator not in OPERATORS or not FIELD.fullmatch(field):
        raise invalid(f'filter: must be like userName eq "me@example.com"; given: {filter!r}.')
    by_name = {key.lower(): value for key, value in item.items()}
    value, wanted = str(by_name.get(field, "")).lower(), QUOTES.sub("", wanted.rstrip())
    if operator == "eq":
        return value == wanted
    return wanted in value if operator == "co" else value.startswith(wanted)

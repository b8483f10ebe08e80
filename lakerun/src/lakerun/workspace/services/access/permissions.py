"""Permissions on objects. They are stored and shown, but not enforced: there is only one user."""

from __future__ import annotations

import re
from typing import Any

from lakerun.workspace.errors import invalid, missing
from lakerun.workspace.services.access.permission_requests import PermissionChange
from lakerun.workspace.store import Document, Store

# By the type in the request's path: the type in the answer, and the kind of document that must exist.
OBJECT_TYPES: dict[str, tuple[str, str | None]] = {
    "jobs": ("job", "job"),
    "pipelines": ("pipelines", "pipeline"),
    "directories": ("directory", "workspace_object"),
    "files": ("file", "workspace_object"),
    "notebooks": ("notebook", "workspace_object"),
    "dashboards": ("dashboard", "dashboard"),
    "alertsv2": ("alertv2", "alert"),
    "sql/warehouses": ("warehouses", None),
    "sql/alerts": ("alert", None),
    "sql/queries": ("query", None),
    "sql/dashboards": ("dashboard", None),
    "dbsql-dashboards": ("dashboard", None),
    "queries": ("query", None),
    "apps": ("apps", "app"),
    "clusters": ("cluster", "cluster"),
    "cluster-policies": ("cluster-policy", None),
    "instance-pools": ("instance-pool", None),
    "repos": ("repo", None),
    "authorization": ("tokens", None),
}
OWNED = {"jobs": "job", "pipelines": "pipeline"}
APPLICATION_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
PRINCIPALS = ("user_name", "group_name", "service_principal_name")


class PermissionService:
    """Access control lists by object, such as `jobs` and its id."""

    def __init__(self, store: Store, user: str) -> None:
        self._store = store
        self._user = user

    def get(self, object_type: str, object_id: str) -> Document:
        """The permissions that were set, or else the creator's ownership, and the inherited permissions."""
        answer_type = self._known(object_type, object_id)
        return self._answer(object_type, object_id, answer_type, self._entries(object_type, object_id))

    def set(self, object_type: str, object_id: str, change: PermissionChange) -> Document:
        """Replace the list. A job or pipeline must have exactly one owner."""
        with self._store.transaction():
            self._known(object_type, object_id)
            return self._write(object_type, object_id, _parsed(change))

    def update(self, object_type: str, object_id: str, change: PermissionChange) -> Document:
        """Change or add the entries of the principals in the body; the others stay."""
        with self._store.transaction():
            self._known(object_type, object_id)
            entries = {_principal(entry): entry for entry in self._entries(object_type, object_id)}
            changes = {_principal(entry): entry for entry in _parsed(change)}
            if any(entry.get("permission_level") == "IS_OWNER" for entry in changes.values()):
                entries = {k: e for k, e in entries.items() if e.get("permission_level") != "IS_OWNER"}
            return self._write(object_type, object_id, list((entries | changes).values()))

    def forget(self, object_type: str, object_id: str | int) -> None:
        """Delete the list of a deleted object."""
        self._store.delete("permission", f"/{object_type}/{object_id}")

    def _known(self, object_type: str, object_id: str) -> str:
        if object_type not in OBJECT_TYPES:
            raise invalid(f"request_object_type: '{object_type}' is not one of {', '.join(OBJECT_TYPES)}.")
        answer_type, kind = OBJECT_TYPES[object_type]
        if kind == "workspace_object":
            exists = bool(self._store.list(kind, parent=object_id, limit=1))
        else:
            exists = kind is None or self._store.get(kind, object_id) is not None
        if not exists:
            raise missing(answer_type.rstrip("s").capitalize(), object_id)
        return answer_type

    def _home_owner(self, directory_id: str) -> list[Document]:
        """The principal whose home contains a folder; a service principal's home is named after its id."""
        for folder in self._store.list("workspace_object", parent=directory_id, limit=1):
            path: str = folder["path"]
            owner = path.removeprefix("/Users/").partition("/")[0]
            if path.startswith("/Users/"):
                key = "service_principal_name" if APPLICATION_ID.fullmatch(owner) else "user_name"
                return [{key: owner}]
        return []

    def _entries(self, object_type: str, object_id: str) -> list[Document]:
        stored = self._store.get("permission", f"/{object_type}/{object_id}")
        if stored is not None:
            entries: list[Document] = stored["entries"]
            return entries
        if object_type in OWNED:
            return [{"user_name": self._user, "permission_level": "IS_OWNER"}]
        return []

    def _write(self, object_type: str, object_id: str, entries: list[Document]) -> Document:
        owners = [entry for entry in entries if entry.get("permission_level") == "IS_OWNER"]
        if object_type in OWNED and len(owners) != 1:
            raise invalid(
                f"access_control_list: the {OWNED[object_type]} must have exactly one owner; "
                f"given: {len(owners)}."
            )
        by_principal = {_principal(entry): entry for entry in entries}
        self._store.put(
            "permission", f"/{object_type}/{object_id}", {"entries": list(by_principal.values())}, object_id
        )
        return self._answer(object_type, object_id, OBJECT_TYPES[object_type][0], list(by_principal.values()))

    def _answer(
        self, object_type: str, object_id: str, answer_type: str, entries: list[Document]
    ) -> Document:
        listed = [_shown(entry) for entry in entries]
        inherited_from = [f"/{object_type}/"]
        if object_type == "directories":
            listed += [_inherited(owner, inherited_from) for owner in self._home_owner(object_id)]
        listed.append(_inherited({"group_name": "admins"}, inherited_from))
        return {
            "object_id": f"/{object_type}/{object_id}",
            "object_type": answer_type,
            "access_control_list": listed,
        }


def _parsed(change: PermissionChange) -> list[Document]:
    entries = []
    for number, entry in enumerate(change.access_control_list):
        given = entry.model_dump(exclude_none=True)
        if sum(bool(given.get(key)) for key in PRINCIPALS) != 1:
            raise invalid(f"access_control_list.{number}: give one of {', '.join(PRINCIPALS)}.")
        entries.append(given)
    return entries


def _principal(entry: Document) -> tuple[str, str]:
    return next((key, entry[key]) for key in PRINCIPALS if entry.get(key))


def _shown(entry: Document) -> Document:
    key, name = _principal(entry)
    level = entry.get("permission_level")
    permissions = [{"permission_level": level, "inherited": False}] if level else []
    return {key: name, "display_name": name, "all_permissions": permissions}


def _inherited(principal: dict[str, Any], origin: list[str]) -> Document:
    permission = {"permission_level": "CAN_MANAGE", "inherited": True, "inherited_from_object": origin}
    return {**principal, "all_permissions": [permission]}

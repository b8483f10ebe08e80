"""Privileges on Unity Catalog's objects. They are stored and shown, but not enforced."""

from __future__ import annotations

from lakerun.workspace.errors import ApiError, invalid
from lakerun.workspace.services.catalog.grant_requests import GrantChange
from lakerun.workspace.store import Document, Store

CHECKED = ("catalog", "schema", "volume")
OTHERS = ("table", "function", "metastore", "external_location", "storage_credential", "connection", "share")
ALL = "ALL_PRIVILEGES"


class GrantService:
    """Privileges by securable type and full name."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, securable_type: str, full_name: str, principal: str | None = None) -> list[Document]:
        """Assignments in the API's format: a principal and its sorted privileges."""
        key = self._key(securable_type, full_name)
        stored: dict[str, list[str]] = (self._store.get("grant", key) or {}).get("privileges", {})
        return [
            {"principal": name, "privileges": privileges}
            for name, privileges in stored.items()
            if principal in (None, name)
        ]

    def update(self, securable_type: str, full_name: str, given: GrantChange) -> list[Document]:
        """Apply changes in order; each removes first, where ALL_PRIVILEGES removes every privilege."""
        with self._store.transaction():
            key = self._key(securable_type, full_name)
            stored = (self._store.get("grant", key) or {}).get("privileges", {})
            for number, change in enumerate(given.changes):
                added, removed = _names(change.add), _names(change.remove)
                if added & removed:
                    raise invalid(
                        f"changes.{number}: {sorted(added & removed)[0]} is both added and removed "
                        f"for {change.principal}."
                    )
                held = set() if ALL in removed else set(stored.get(change.principal, ())) - removed
                stored[change.principal] = sorted(held | added)
            kept = {principal: privileges for principal, privileges in stored.items() if privileges}
            self._store.put("grant", key, {"privileges": kept})
        return self.get(securable_type, full_name)

    def forget(self, securable_type: str, full_name: str) -> None:
        """Delete the privileges on a deleted object."""
        self._store.delete("grant", f"{securable_type}/{full_name}")

    def rename(self, securable_type: str, old: str, new: str) -> None:
        stored = self._store.get("grant", f"{securable_type}/{old}")
        if stored is not None:
            self._store.put("grant", f"{securable_type}/{new}", stored)
            self.forget(securable_type, old)

    def _key(self, securable_type: str, full_name: str) -> str:
        securable_type, full_name = securable_type.lower(), full_name.lower()
        if securable_type not in CHECKED + OTHERS:
            raise invalid(f"securable_type: '{securable_type}' is not one of {', '.join(CHECKED + OTHERS)}.")
        if securable_type in CHECKED and self._store.get(securable_type, full_name) is None:
            code = f"{securable_type.upper()}_DOES_NOT_EXIST"
            raise ApiError(code, f"{securable_type.capitalize()} '{full_name}' does not exist.", 404)
        return f"{securable_type}/{full_name}"


def _names(privileges: list[str]) -> set[str]:
    """`USE SCHEMA` and `USE_SCHEMA` are the same."""
    return {privilege.replace(" ", "_") for privilege in privileges}

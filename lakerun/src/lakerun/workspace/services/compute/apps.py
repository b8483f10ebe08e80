"""Apps that bundles declare. They are stored and shown, but nothing runs them."""

from __future__ import annotations

import uuid
from typing import Any

from lakerun.workspace.errors import ApiError, invalid, missing
from lakerun.workspace.paging import page_after, page_size
from lakerun.workspace.services.checks import check, now_iso
from lakerun.workspace.services.compute.app_requests import AppReplacement, AppSettings, AppUpdate, NewApp
from lakerun.workspace.services.creations import CreationService
from lakerun.workspace.store import Document, Store

KIND, UPDATE = "app", "app_update"
MAX_PAGE = 100
SETTINGS = tuple(AppSettings.model_fields)
NOT_HERE = "Apps do not run in the local workspace."
IN_A_BUNDLE = "in a bundle, leave out lifecycle.started."


class Apps:
    """Documents of kind "app" in the shape of `GET /api/2.0/apps/{name}`, by name.

    Its compute is always STOPPED, and it has no URL and no deployment. The last update of an app is a
    document of kind "app_update", by the app's name.
    """

    def __init__(self, store: Store, user: str, creations: CreationService) -> None:
        self._store = store
        self._user = user
        self._creations = creations
        creations.register(KIND, self.delete)

    def create(self, app: NewApp, *, no_compute: bool) -> Document:
        """Store an app; NOT_IMPLEMENTED unless it is created without compute."""
        if not no_compute:
            raise ApiError(
                "NOT_IMPLEMENTED",
                f"{NOT_HERE} Create the app with no_compute=true; {IN_A_BUNDLE}",
            )
        now = now_iso()
        with self._store.transaction():
            if self._store.get(KIND, app.name) is not None:
                raise ApiError("ALREADY_EXISTS", f"An app with the same name already exists: {app.name}.")
            created = _settings(app) | {
                "id": str(uuid.uuid4()),
                "name": app.name,
                "creator": self._user,
                "create_time": now,
                "updater": self._user,
                "update_time": now,
                "compute_status": {"state": "STOPPED", "message": NOT_HERE},
                "app_status": {"state": "UNAVAILABLE", "message": NOT_HERE},
                "service_principal_id": self._store.next_id(),
                "service_principal_client_id": str(uuid.uuid4()),
                "service_principal_name": f"app-{app.name}",
            }
            if app.space:
                created["space"] = app.space
            self._store.put(KIND, app.name, created)
            self._creations.note(KIND, app.name)
        return created

    def get(self, name: str) -> Document:
        found = self._store.get(KIND, name)
        if found is None:
            raise missing("App", name)
        return found

    def page(
        self, size: int | None = None, token: str | None = None, space: str | None = None
    ) -> tuple[list[Document], str | None]:
        """One page, sorted by name, and the token of the next page, None at the end."""
        found = [app for app in self._store.list(KIND) if not space or app.get("space") == space]
        found.sort(key=_name)
        return page_after(found, token, page_size(size, MAX_PAGE, "page_size"), _name)

    def replace(self, name: str, settings: AppReplacement) -> Document:
        """Replace all settings."""
        with self._store.transaction():
            found = self.get(name)
            if settings.name not in (None, name):
                raise invalid(f"name: an app cannot be renamed; given: {settings.name}.")
            return self._change(found, settings)

    def update(self, name: str, update: AppUpdate) -> Document:
        """Replace the settings in the mask at once, and return the update, which has succeeded."""
        with self._store.transaction():
            found = self.get(name)
            fields = SETTINGS if update.update_mask == "*" else update.update_mask.split(",")
            for field in fields:
                if field not in SETTINGS:
                    raise invalid(f"update_mask: '{field}' is not one of {', '.join(SETTINGS)}.")
            kept = {key: found[key] for key in SETTINGS if key in found and key not in fields}
            given = {key: update.app[key] for key in fields if key in update.app}
            changed = self._change(found, check(AppSettings, kept | given, "app"))
            self._store.put(
                UPDATE, name, {key: changed[key] for key in SETTINGS if key in changed} | _status("SUCCEEDED")
            )
        return self.last_update(name)

    def last_update(self, name: str) -> Document:
        self.get(name)
        return self._store.get(UPDATE, name) or _status("NOT_UPDATED")

    def refuse(self, name: str) -> None:
        """Refuse to start or deploy an app that exists."""
        self.get(name)
        raise ApiError(
            "NOT_IMPLEMENTED",
            f"{NOT_HERE} In the folder of its code, `databricks apps run-local` runs it; {IN_A_BUNDLE}",
        )

    def delete(self, name: str) -> None:
        with self._store.transaction():
            self.get(name)
            self._store.delete(KIND, name)
            self._store.delete(UPDATE, name)

    def _change(self, found: Document, settings: AppSettings) -> Document:
        outputs = {key: value for key, value in found.items() if key not in SETTINGS}
        changed = outputs | _settings(settings) | {"updater": self._user, "update_time": now_iso()}
        self._store.put(KIND, found["name"], changed)
        return changed


def _settings(given: AppSettings) -> dict[str, Any]:
    return {"compute_size": "MEDIUM", **given.model_dump(include=set(SETTINGS), exclude_none=True)}


def _name(app: Document) -> str:
    name: str = app["name"]
    return name


def _status(state: str) -> Document:
    return {"status": {"state": state}}

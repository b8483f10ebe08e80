"""Dashboards (Lakeview): drafts, their published revision, trash."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakerun.tables.storage import Storage
from lakerun.workspace.errors import ApiError, invalid, missing
from lakerun.workspace.paging import page_of, page_size
from lakerun.workspace.requests import read_json
from lakerun.workspace.services.files.volume_files import check_name
from lakerun.workspace.services.sql.dashboard_requests import DashboardDraft, Publication
from lakerun.workspace.store import Document, Store

if TYPE_CHECKING:
    from lakerun.workspace.services import Settings

KIND, PUBLISHED = "dashboard", "published_dashboard"
SUFFIX = ".lvdash.json"
MAX_PAGE = 1000
FIRST_ETAG = 80611980
# Fields that a list does not have.
_DETAILS = ("etag", "serialized_dashboard", "parent_path", "path", "update_time")


class Dashboards:
    """Dashboards in the shape of `GET /api/2.0/lakeview/dashboards/{id}`.

    `etag` changes with every write. As on Databricks, the stored text has each page's type and the default
    catalog and schema of the datasets, and ends with a newline.
    """

    def __init__(self, settings: Settings, storage: Storage, store: Store) -> None:
        self._settings = settings
        self._folders = storage.home / "workspace" / "files"
        self._store = store

    def create(
        self, given: DashboardDraft, dataset_catalog: str | None = None, dataset_schema: str | None = None
    ) -> Document:
        """Create a draft; RESOURCE_DOES_NOT_EXIST if its folder does not exist."""
        name = _name(given.display_name)
        parent = given.parent_path or f"/Users/{self._settings.user}"
        parent = "/" + parent.removeprefix("/Workspace").strip("/")
        if not self._folder(parent).is_dir():
            raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Path ({parent}) doesn't exist.")
        now = _now()
        body = {
            "dashboard_id": uuid.uuid4().hex,
            "display_name": name,
            "parent_path": parent,
            "path": f"{parent}/{name}{SUFFIX}",
            "create_time": now,
            "update_time": now,
            "etag": str(FIRST_ETAG),
            "lifecycle_state": "ACTIVE",
            "serialized_dashboard": "",
        }
        if text := given.serialized_dashboard:
            body["serialized_dashboard"] = _stored_text(text, dataset_catalog, dataset_schema)
        if warehouse := given.warehouse_id:
            body["warehouse_id"] = warehouse
        with self._store.transaction():
            self._check_free(body)
            self._store.put(KIND, body["dashboard_id"], body)
        return body

    def get(self, id: str) -> Document:
        """A dashboard, also one in the trash."""
        body = self._store.get(KIND, id)
        if body is None:
            raise missing("Dashboard", id)
        return body

    def update(
        self,
        id: str,
        given: DashboardDraft,
        dataset_catalog: str | None = None,
        dataset_schema: str | None = None,
    ) -> Document:
        """Change the given fields; RESOURCE_CONFLICT if `etag` is given and outdated."""
        with self._store.transaction():
            body = self._active(id)
            if given.etag and given.etag != body["etag"]:
                raise ApiError("RESOURCE_CONFLICT", f"etag: dashboard {id} has changed since it was read.")
            if "display_name" in given.model_fields_set:
                body["display_name"] = _name(given.display_name)
                body["path"] = f"{body['parent_path']}/{body['display_name']}{SUFFIX}"
                self._check_free(body)
            if text := given.serialized_dashboard:
                body["serialized_dashboard"] = _stored_text(text, dataset_catalog, dataset_schema)
            if warehouse := given.warehouse_id:
                body["warehouse_id"] = warehouse
            body |= {"etag": str(int(body["etag"]) + 1), "update_time": _now()}
            self._store.put(KIND, id, body)
        return body

    def trash(self, id: str) -> None:
        """Move a dashboard to the trash, where it can be read, and delete its published revision."""
        with self._store.transaction():
            body = self._active(id)
            self._store.delete(PUBLISHED, id)
            self._store.put(KIND, id, body | {"lifecycle_state": "TRASHED"})

    def publish(self, id: str, given: Publication) -> Document:
        """Publish the current draft."""
        with self._store.transaction():
            draft = self._active(id)
            body = {
                "display_name": draft["display_name"],
                "embed_credentials": given.embed_credentials is not False,
                "revision_create_time": _now(),
                "warehouse_id": given.warehouse_id or draft.get("warehouse_id", ""),
                "serialized_dashboard": draft["serialized_dashboard"],
            }
            self._store.put(PUBLISHED, id, body)
        return _revision(body)

    def published(self, id: str) -> Document:
        return _revision(self._published(id))

    def unpublish(self, id: str) -> None:
        self._published(id)
        self._store.delete(PUBLISHED, id)

    def page(
        self, size: int | None = None, token: str | None = None, show_trashed: bool = False
    ) -> tuple[list[Document], str | None]:
        """One page of dashboards without their contents, and the token of the next page, None at the end."""
        states = ("ACTIVE", "TRASHED") if show_trashed else ("ACTIVE",)
        found = [body for body in self._store.list(KIND) if body["lifecycle_state"] in states]
        page, following = page_of(found, token, page_size(size, MAX_PAGE, "page_size"))
        return [{k: v for k, v in body.items() if k not in _DETAILS} for body in page], following

    def _active(self, id: str) -> Document:
        body = self.get(id)
        if body["lifecycle_state"] != "ACTIVE":
            raise missing("Dashboard", id)
        return body

    def _published(self, id: str) -> Document:
        body = self._store.get(PUBLISHED, id)
        if body is None:
            raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Unable to find published dashboard [{id}]")
        return body

    def _check_free(self, body: Document) -> None:
        for other in self._store.list(KIND):
            same = other["path"] == body["path"] and other["lifecycle_state"] == "ACTIVE"
            if same and other["dashboard_id"] != body["dashboard_id"]:
                raise ApiError("RESOURCE_ALREADY_EXISTS", f"Node named '{body['path']}' already exists")

    def _folder(self, path: str) -> Path:
        folder = self._folders
        for part in path.strip("/").split("/"):
            check_name(part, path)
            folder = folder / part
        return folder


def _stored_text(text: str, catalog: str | None, schema: str | None) -> str:
    content = check_content(text)
    for page in content.get("pages", []):
        page.setdefault("pageType", "PAGE_TYPE_CANVAS")
    for dataset in content.get("datasets", []):
        dataset |= {k: v for k, v in (("catalog", catalog), ("schema", schema)) if v}
    changed = content.get("pages") or ((catalog or schema) and content.get("datasets"))
    stored = json.dumps(content, separators=(",", ":"), ensure_ascii=False) if changed else text
    return stored if stored.endswith("\n") else stored + "\n"


def check_content(text: str) -> dict[str, Any]:
    """A dashboard's JSON; INVALID_PARAMETER_VALUE names the invalid field."""
    try:
        content = read_json(text.encode())
    except ValueError as error:
        raise invalid(f"serialized_dashboard: must be JSON: {error}.") from None
    if not isinstance(content, dict):
        raise _wrong("serialized_dashboard", "an object", content)
    for dataset, at in _objects(content, "serialized_dashboard", "datasets"):
        _string(dataset, at, "name")
        lines = dataset.get("queryLines", [])
        if not isinstance(lines, list) or any(not isinstance(line, str) for line in lines):
            raise _wrong(f"{at}.queryLines", "a list of strings", lines)
        if "query" in dataset:
            _string(dataset, at, "query")
    for page, at in _objects(content, "serialized_dashboard", "pages"):
        _string(page, at, "name")
        for placed, place in _objects(page, at, "layout"):
            for part in ("widget", "position"):
                if not isinstance(placed.get(part, {}), dict):
                    raise _wrong(f"{place}.{part}", "an object", placed[part])
    return content


def _objects(owner: dict[str, Any], at: str, field: str) -> list[tuple[dict[str, Any], str]]:
    items = owner.get(field, [])
    if not isinstance(items, list):
        raise _wrong(f"{at}.{field}", "a list", items)
    for number, item in enumerate(items):
        if not isinstance(item, dict):
            raise _wrong(f"{at}.{field}[{number}]", "an object", item)
    return [(item, f"{at}.{field}[{number}]") for number, item in enumerate(items)]


def _string(owner: dict[str, Any], at: str, field: str) -> None:
    value = owner.get(field)
    if not isinstance(value, str) or not value:
        raise _wrong(f"{at}.{field}", "a string", value)


def _wrong(field: str, expected: str, value: object) -> ApiError:
    return invalid(f"{field}: must be {expected}, not {json.dumps(value)[:60]}.")


def _name(value: str | None) -> str:
    if not value or not value.strip():
        raise _wrong("display_name", "a name", value)
    check_name(value, value)
    return value


def _revision(body: Document) -> Document:
    return {key: value for key, value in body.items() if key != "serialized_dashboard"}


def _now() -> str:
    """The time in microseconds, as a revision is current if it is not older than its draft."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

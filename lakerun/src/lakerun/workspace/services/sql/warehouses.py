"""SQL warehouses: a built-in one, and those that bundles create. All of them run on this machine."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from lakerun.workspace.errors import ApiError, invalid, missing
from lakerun.workspace.services.sql.warehouse_requests import WarehouseSettings
from lakerun.workspace.store import Document, Store

if TYPE_CHECKING:
    from lakerun.workspace.services import Settings

LOCAL_ID = "10ca110ca110ca11"
LOCAL_NAME = "Serverless Starter Warehouse"  # as in a new workspace, where bundles look it up by name
SIZES = (
    "2X-Small",
    "X-Small",
    "Small",
    "Medium",
    "Large",
    "X-Large",
    "2X-Large",
    "3X-Large",
    "4X-Large",
    "5X-Large",
)
KIND = "warehouse"


class Warehouses:
    """Warehouses in the shape of `GET /api/2.0/sql/warehouses/{id}`."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store

    def list(self) -> list[Document]:
        return [self._shown(body) for body in (self._built_in(), *self._store.list(KIND))]

    def get(self, id: str) -> Document:
        body = self._built_in() if id == LOCAL_ID else self._store.get(KIND, id)
        if body is None:
            raise missing("SQL warehouse", id)
        return self._shown(body)

    def create(self, settings: WarehouseSettings) -> str:
        """Create a running warehouse and return its id."""
        given = settings.given()
        if not settings.name:
            raise invalid("name: a SQL warehouse needs a name.")
        self._check(settings, None)
        id = uuid.uuid4().hex[:16]
        self._store.put(KIND, id, self._completed(given, id) | {"state": "RUNNING"})
        return id

    def edit(self, id: str, settings: WarehouseSettings) -> None:
        """Replace the settings; those that are not given get their defaults."""
        body = self._changeable(id, "edited")
        self._check(settings, id)
        given = {"name": body["name"]} | settings.given()
        self._store.put(KIND, id, self._completed(given, id) | {"state": "RUNNING"})

    def delete(self, id: str) -> None:
        self._changeable(id, "deleted")
        self._store.delete(KIND, id)

    def start(self, id: str) -> None:
        if id != LOCAL_ID:
            self._store.put(KIND, id, self._changeable(id, "started") | {"state": "RUNNING"})

    def stop(self, id: str) -> None:
        self._store.put(KIND, id, self._changeable(id, "stopped") | {"state": "STOPPED"})

    def use(self, id: str) -> None:
        """Start a stopped warehouse, as a statement is about to run on it."""
        if self.get(id)["state"] != "RUNNING":
            self.start(id)

    def _changeable(self, id: str, done: str) -> Document:
        if id == LOCAL_ID:
            raise ApiError("INVALID_STATE", f"The {LOCAL_NAME} is built in and cannot be {done}.")
        body = self._store.get(KIND, id)
        if body is None:
            raise missing("SQL warehouse", id)
        return body

    def _check(self, settings: WarehouseSettings, id: str | None) -> None:
        size = settings.cluster_size
        if size is not None and size not in SIZES:
            raise invalid(f"cluster_size: '{size}' is not one of {', '.join(SIZES)}.")
        for other in (self._built_in(), *self._store.list(KIND)):
            if other["name"] == settings.name and other["id"] != id:
                raise ApiError(
                    "RESOURCE_ALREADY_EXISTS", f"SQL warehouse with name `{settings.name}` already exists"
                )

    def _completed(self, given: dict[str, Any], id: str) -> Document:
        defaults = {"warehouse_type": "CLASSIC", "creator_name": self._settings.user}
        body = defaults | {key: value for key, value in given.items() if value not in (None, "")}
        body["min_num_clusters"] = body.get("min_num_clusters") or 1
        return body | {"id": id}

    def _built_in(self) -> Document:
        given = {
            "name": LOCAL_NAME,
            "cluster_size": "2X-Small",
            "auto_stop_mins": 0,
            "max_num_clusters": 1,
            "enable_serverless_compute": True,
            "warehouse_type": "PRO",
        }
        return self._completed(given, LOCAL_ID) | {"state": "RUNNING"}

    def _shown(self, body: Document) -> Document:
        host, _, port = self._settings.host_url.partition("://")[2].partition(":")
        running = body["state"] == "RUNNING"
        return body | {
            "num_clusters": 1 if running else 0,
            "num_active_sessions": 0,
            "health": {"status": "HEALTHY"} if running else {},
            "odbc_params": {
                "hostname": host,
                "path": f"/sql/1.0/warehouses/{body['id']}",
                "port": int(port.strip("/") or 80),
                "protocol": self._settings.host_url.partition("://")[0],
            },
        }

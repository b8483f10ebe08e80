"""All-purpose clusters that bundles declare. All of them are this machine, and start at their creation."""

from __future__ import annotations

import uuid
from typing import Any

from lakerun.workspace.errors import missing
from lakerun.workspace.services.checks import now_ms, without_none
from lakerun.workspace.services.compute.cluster_requests import ClusterEdit, ClusterSettings
from lakerun.workspace.services.creations import CreationService
from lakerun.workspace.store import Document, Store

KIND = "cluster"


class Clusters:
    """Documents of kind "cluster" in the shape of `GET /api/2.1/clusters/get`."""

    def __init__(self, store: Store, user: str, creations: CreationService) -> None:
        self._store = store
        self._user = user
        self._creations = creations
        creations.register(KIND, self.delete)

    def create(self, settings: ClusterSettings) -> str:
        """Create a cluster and return its id."""
        created = _completed(settings)
        now, id = now_ms(), uuid.uuid4().hex[:20]
        created |= {"cluster_id": id, "creator_user_name": self._user, "start_time": now, "state": "RUNNING"}
        with self._store.transaction():
            self._store.put(KIND, id, created)
            self._creations.note(KIND, id)
        return id

    def get(self, id: str) -> Document:
        found = self._store.get(KIND, id)
        if found is None:
            raise missing("Cluster", id)
        return found

    def list(self) -> list[Document]:
        return self._store.list(KIND)

    def edit(self, settings: ClusterEdit) -> None:
        """Replace the settings of the cluster with the id in the body."""
        with self._store.transaction():
            found = self.get(settings.cluster_id)
            kept = {key: found[key] for key in ("cluster_id", "creator_user_name", "start_time", "state")}
            self._store.put(KIND, found["cluster_id"], _completed(settings) | kept)

    def set_state(self, id: str, state: str) -> None:
        """Set RUNNING or TERMINATED. Tasks run in both, as Databricks starts the cluster for them."""
        with self._store.transaction():
            self._store.put(KIND, id, self.get(id) | {"state": state})

    def delete(self, id: str) -> None:
        self.get(id)
        self._store.delete(KIND, id)


def _completed(settings: ClusterSettings) -> Document:
    given: dict[str, Any] = settings.model_dump()
    return {"cluster_name": "", "cluster_source": "API", "spark_conf": {}, **without_none(given)}

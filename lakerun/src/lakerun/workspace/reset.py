"""Empties the workspace, as if every deployment had been destroyed."""

from __future__ import annotations

import shutil

from lakerun.tables.storage import Storage
from lakerun.workspace.services import Services, Settings
from lakerun.workspace.store import Store


def reset_workspace(storage: Storage, *, keep_tables: bool) -> None:
    """Delete all documents and workspace files and, unless kept, the tables and volumes of deployed schemas.

    The server must not be running. The token and the port stay, so that exported variables stay valid.
    """
    folder = storage.home / "workspace"
    services = Services(Settings("", ""), storage, Store(folder / "state.db"))
    try:
        if not keep_tables:
            for pipeline in services.store.list("pipeline"):
                services.pipelines.delete(pipeline["pipeline_id"])
            for schema in services.store.list("schema"):
                services.catalog.delete_schema(schema["full_name"], force=True)
    finally:
        services.close()
    for name in ("state.db", "state.db-wal", "state.db-shm"):
        (folder / name).unlink(missing_ok=True)
    for name in ("files", "uploads"):
        shutil.rmtree(folder / name, ignore_errors=True)

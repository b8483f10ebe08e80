"""Unity Catalog's catalogs, schemas and volumes. Their files are in the lakehouse on this machine."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Collection
from contextlib import suppress
from functools import partial
from pathlib import Path

from lakerun.errors import closest_first
from lakerun.tables.samples import SAMPLES
from lakerun.tables.storage import Storage, is_folder_name
from lakerun.workspace.errors import ApiError, invalid
from lakerun.workspace.paths import NAME_BYTES
from lakerun.workspace.services.catalog.catalog_requests import (
    CatalogChange,
    NewCatalog,
    NewSchema,
    NewVolume,
)
from lakerun.workspace.services.catalog.grants import GrantService
from lakerun.workspace.services.checks import now_ms, without_none
from lakerun.workspace.services.creations import CreationService
from lakerun.workspace.store import Document, Store

METASTORE_ID = "4f6a3c1e-0000-4000-8000-6c6f63616c00"
_FOLDERS = uuid.UUID("4f6a3c1e-0000-4000-8000-666f6c646572")
_LEVELS = {"catalog": 1, "schema": 2, "volume": 3}
CATALOG = {"catalog_type": "MANAGED_CATALOG", "securable_type": "CATALOG"}


class CatalogService:
    """Documents of kind "catalog", "schema" and "volume" by full name; the parent is what contains them.

    `catalogs` exist from the start, as in a workspace that is already set up; others must be created. What
    SQL or a run has made is found by its folder, without a document.
    """

    def __init__(
        self,
        store: Store,
        storage: Storage,
        user: str,
        grants: GrantService,
        creations: CreationService,
        catalogs: Collection[str],
    ) -> None:
        self._store = store
        self._storage = storage
        self._user = user
        self._grants = grants
        self._creations = creations
        for kind in ("catalog", "schema", "volume"):
            creations.register(kind, partial(self._undo_creation, kind))
        with store.transaction():
            for name in sorted(catalogs):
                if store.get("catalog", name) is None:
                    store.put("catalog", name, self._made({"name": name, "full_name": name, **CATALOG}))

    def create_catalog(self, given: NewCatalog) -> Document:
        name = given.name.lower()
        if name == SAMPLES:
            raise ApiError("CATALOG_ALREADY_EXISTS", f"Catalog '{name}' already exists.", 400)
        made = self._made(given.given() | self._described("catalog", name, uuid.uuid4()))
        return self._create("catalog", made, None)

    def create_schema(self, given: NewSchema) -> Document:
        catalog, name = given.catalog_name.lower(), given.name.lower()
        with self._store.transaction():
            self.get("catalog", catalog)
            described = self._described("schema", f"{catalog}.{name}", uuid.uuid4())
            made = self._create("schema", self._made(given.given() | described), catalog)
            self._storage.make_schema(catalog, name)
        return made

    def create_volume(self, given: NewVolume) -> Document:
        if given.volume_type == "EXTERNAL" or given.storage_location:
            raise invalid("volume_type: only MANAGED volumes without a storage_location are supported here.")
        catalog, schema, name = given.catalog_name.lower(), given.schema_name.lower(), given.name.lower()
        with self._store.transaction():
            self.get("schema", f"{catalog}.{schema}")
            described = self._described("volume", f"{catalog}.{schema}.{name}", uuid.uuid4())
            made = self._create("volume", self._made(given.given() | described), f"{catalog}.{schema}")
            self._folders("volume", made["full_name"])[0].mkdir(parents=True, exist_ok=True)
        return made

    def get(self, kind: str, full_name: str) -> Document:
        """A catalog, schema or volume; `<KIND>_DOES_NOT_EXIST` (404) if there is none."""
        found = self._found(kind, full_name.lower())
        if found is None:
            raise self._absent(kind, full_name)
        return found

    def list(self, kind: str, parent: str | None = None) -> list[Document]:
        """All of a kind, or those of one catalog or schema, sorted by name."""
        names = {str(item["full_name"]) for item in self._store.list(kind, parent)}
        for root in self._roots(kind):
            folders = root.glob("/".join("*" * _LEVELS[kind]))
            found = (".".join(folder.parts[-_LEVELS[kind] :]) for folder in folders)
            names |= {name for name in found if parent in (None, name.rpartition(".")[0])}
        return [item for name in sorted(names) if (item := self._found(kind, name)) is not None]

    def _found(self, kind: str, full_name: str) -> Document | None:
        """The document, or one that describes a folder; None without both, and for a dropped volume."""
        there = [folder for folder in self._folders(kind, full_name) if folder.is_dir()]
        stored = self._store.get(kind, full_name)
        if stored is not None:
            return stored if there or kind != "volume" else None
        if not there or full_name != full_name.lower():
            return None
        try:
            modified = int(there[0].stat().st_mtime * 1000)
        except FileNotFoundError:  # deleted since it was found
            return None
        times = dict.fromkeys(("created_at", "updated_at"), modified)
        return self._made(self._described(kind, full_name, uuid.uuid5(_FOLDERS, full_name))) | times

    def _roots(self, kind: str) -> tuple[Path, ...]:
        volumes, tables = self._storage.volumes_root, self._storage.tables_root
        return (volumes,) if kind == "volume" else (volumes, tables)

    def _folders(self, kind: str, full_name: str) -> tuple[Path, ...]:
        """The folders, existing or not, of a catalog, schema or volume; none for a name of other parts."""
        parts = full_name.split(".")
        if len(parts) != _LEVELS[kind] or not all(map(is_folder_name, parts)):
            return ()
        if any(len(part.encode()) > NAME_BYTES for part in parts):
            return ()
        return tuple(root.joinpath(*parts) for root in self._roots(kind))

    def _described(self, kind: str, full_name: str, id: uuid.UUID) -> Document:
        *place, name = full_name.split(".")
        own: Document = {"name": name, "full_name": full_name}
        if kind == "catalog":
            return own | CATALOG
        own["catalog_name"] = place[0]
        if kind == "schema":
            return own | {"schema_id": str(id), "catalog_type": "MANAGED_CATALOG"}
        location = self._folders(kind, full_name)[0].as_uri()
        own |= {"schema_name": place[1], "volume_type": "MANAGED"}
        return own | {"volume_id": str(id), "storage_location": location}

    def update(self, kind: str, full_name: str, given: CatalogChange) -> Document:
        """Change the comment, owner or properties, or a volume's name."""
        change = without_none(given.model_dump())
        new_name = change.pop("new_name", None)
        if new_name and kind != "volume":
            raise invalid(f"new_name: only a volume can be renamed here; create a new {kind} instead.")
        with self._store.transaction():
            found = self.get(kind, full_name)
            found |= {**change, "updated_at": now_ms(), "updated_by": self._user}
            if new_name and new_name.lower() != found["name"]:
                return self._rename_volume(found, new_name.lower())
            self._store.put(kind, found["full_name"], found, _parent(found))
        return found

    def delete_catalog(self, name: str, *, force: bool) -> None:
        """Delete a catalog; with `force`, also its schemas and everything in them."""
        with self._store.transaction():
            found = self.get("catalog", name)
            schemas = self.list("schema", found["name"])
            if schemas and not force:
                raise ApiError(
                    "INVALID_STATE", f"Catalog '{name}' is not empty: it has {len(schemas)} schemas."
                )
            for schema in schemas:
                self.delete_schema(schema["full_name"], force=True)
            removed = self._remove("catalog", found["name"])
        _delete(removed)

    def delete_schema(self, full_name: str, *, force: bool) -> None:
        """Delete a schema; with `force`, also its tables and volumes with their files."""
        with self._store.transaction():
            found = self.get("schema", full_name)
            catalog, name = found["catalog_name"], found["name"]
            volumes = self.list("volume", found["full_name"])
            tables = [t for t in self._storage.tables() if (t.catalog, t.schema) == (catalog, name)]
            if not force and (volumes or tables):
                raise ApiError(
                    "INVALID_STATE",
                    f"Schema '{full_name}' is not empty: it has {len(tables)} tables "
                    f"and {len(volumes)} volumes.",
                )
            for volume in volumes:
                self.delete_volume(volume["full_name"])
            removed = self._remove("schema", found["full_name"])
        _delete(removed)

    def delete_volume(self, full_name: str) -> None:
        """Delete a volume and its files."""
        with self._store.transaction():
            found = self.get("volume", full_name)
            removed = self._remove("volume", found["full_name"])
        _delete(removed)

    def _remove(self, kind: str, full_name: str) -> tuple[Path, ...]:
        """Delete the document and set its folders aside, so that the name is free; returns where they are."""
        self._store.delete(kind, full_name)
        self._grants.forget(kind, full_name)
        trash = self._storage.home / "workspace" / "trash"
        trash.mkdir(parents=True, exist_ok=True)
        aside = []
        for folder in self._folders(kind, full_name):
            with suppress(FileNotFoundError):
                aside.append(folder.rename(trash / uuid.uuid4().hex))
        return tuple(aside)

    def _create(self, kind: str, made: Document, parent: str | None) -> Document:
        full_name = made["full_name"]
        with self._store.transaction():
            if self._store.get(kind, full_name) is not None and self._found(kind, full_name) is not None:
                code = f"{kind.upper()}_ALREADY_EXISTS"
                raise ApiError(code, f"{kind.capitalize()} '{full_name}' already exists.", 400)
            self._store.put(kind, full_name, made, parent)
            self._creations.note(kind, full_name)
        return made

    def _undo_creation(self, kind: str, full_name: str) -> None:
        """Delete the document, and empty folders: files that were there before stay."""
        self._store.delete(kind, full_name)
        self._grants.forget(kind, full_name)
        for folder in self._folders(kind, full_name):
            with suppress(OSError):
                folder.rmdir()

    def _made(self, fields: Document) -> Document:
        now = now_ms()
        return {
            **without_none(fields),
            "owner": self._user,
            "metastore_id": METASTORE_ID,
            "created_at": now,
            "created_by": self._user,
            "updated_at": now,
            "updated_by": self._user,
        }

    def _rename_volume(self, found: Document, name: str) -> Document:
        old, parent = found["full_name"], _parent(found)
        renamed = found | {"name": name, "full_name": f"{parent}.{name}"}
        if self._store.get("volume", renamed["full_name"]) is not None:
            raise ApiError("VOLUME_ALREADY_EXISTS", f"Volume '{renamed['full_name']}' already exists.", 400)
        folder = self._storage.volumes_root.joinpath(*old.split("."))
        renamed["storage_location"] = folder.with_name(name).as_uri()
        self._store.delete("volume", old)
        self._store.put("volume", renamed["full_name"], renamed, parent)
        self._grants.rename("volume", old, renamed["full_name"])
        if folder.exists():
            folder.rename(folder.with_name(name))
        return renamed

    def _absent(self, kind: str, full_name: str) -> ApiError:
        names = [str(item["full_name"]) for item in self._store.list(kind)]
        valid = ", ".join(closest_first(full_name, names)[:5])
        code = f"{kind.upper()}_DOES_NOT_EXIST"
        hint = f" The closest: {valid}." if valid else ""
        return ApiError(code, f"{kind.capitalize()} '{full_name}' does not exist.{hint}", 404)


def _delete(folders: tuple[Path, ...]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _parent(found: Document) -> str | None:
    return found["full_name"].rpartition(".")[0] or None

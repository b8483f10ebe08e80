"""Unity Catalog tables: the lakehouse's Delta tables in the shape of `/api/2.1/unity-catalog/tables`."""

from __future__ import annotations

import json
import re
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakerun.errors import BusyError, closest_first
from lakerun.pipelines.state import table_kinds
from lakerun.tables.delta_table import Table, type_name
from lakerun.tables.samples import SAMPLES
from lakerun.tables.storage import Storage, TableName
from lakerun.workspace.errors import ApiError, invalid
from lakerun.workspace.paging import page_after, page_size
from lakerun.workspace.services.checks import like
from lakerun.workspace.store import Document

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from lakerun.workspace.services import Settings

MAX_PAGE = 50  # a page of whole tables
MAX_SUMMARIES = 10_000


class Tables:
    """Tables as they are on disk; nothing about them is stored elsewhere."""

    def __init__(self, settings: Settings, storage: Storage) -> None:
        self._user = settings.user
        self._storage = storage

    def get(self, full_name: str) -> Document:
        """A table with its columns; TABLE_DOES_NOT_EXIST with the closest name if there is none."""
        return self._info(self._find(full_name), self._kinds())

    def exists(self, full_name: str) -> bool:
        return self._known(full_name) is not None

    def in_schema(
        self,
        catalog: str,
        schema: str,
        *,
        max_results: int | None = None,
        page_token: str | None = None,
        omit_columns: bool = False,
        omit_properties: bool = False,
    ) -> tuple[list[Document], str | None]:
        """One page of a schema's tables by name, and the token of the next page, None at the end.

        Without `max_results` the page has every table; 0 stands for the server's page size.
        """
        self._storage.provide_samples(catalog)
        self._check_schema(catalog, schema)
        tables = [t for t in self._storage.tables() if (t.catalog, t.schema) == (catalog, schema)]
        size = page_size(max_results, len(tables) if max_results is None else MAX_PAGE)
        page, following = page_after(tables, page_token, size, str)
        omitted = {"columns"} if omit_columns else set()
        omitted |= {"properties"} if omit_properties else set()
        kinds = self._kinds()
        infos = (self._info(name, kinds) for name in page)
        return [{k: v for k, v in info.items() if k not in omitted} for info in infos], following

    def summaries(
        self,
        catalog: str,
        schema_pattern: str | None = None,
        table_pattern: str | None = None,
        *,
        max_results: int | None = None,
        page_token: str | None = None,
    ) -> tuple[list[Document], str | None]:
        """One page of the names and types of a catalog's tables. The patterns are as in LIKE."""
        schemas, names = like(schema_pattern or "%"), like(table_pattern or "%")
        found = [
            t
            for t in self._storage.tables()
            if t.catalog == catalog and schemas.fullmatch(t.schema) and names.fullmatch(t.table)
        ]
        page, following = page_after(found, page_token, page_size(max_results, MAX_SUMMARIES), str)
        kinds = self._kinds()
        return [{"full_name": str(t), "table_type": kinds.get(str(t), "MANAGED")} for t in page], following

    def delete(self, full_name: str) -> None:
        """Delete a table and its data; INVALID_STATE while a run holds the data folder."""
        name = self._find(full_name)
        if name.catalog == SAMPLES:
            raise ApiError("PERMISSION_DENIED", f"Table '{full_name}' can only be read.")
        path = self._storage.table_path(name)
        trash = self._storage.home / "workspace" / "trash" / uuid.uuid4().hex
        trash.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._storage.exclusive(f"drop {full_name}"):
                path.rename(trash)  # atomic: a kill leaves no half-deleted table
        except BusyError as error:
            raise ApiError("INVALID_STATE", str(error)) from None
        shutil.rmtree(trash, ignore_errors=True)

    def _known(self, full_name: str) -> TableName | None:
        parts = full_name.split(".")
        if len(parts) != 3 or not all(parts):
            raise invalid(
                f"full_name: '{full_name}' is not a name of three parts: <catalog>.<schema>.<table>."
            )
        self._storage.provide_samples(parts[0])
        # The result is a name on the disk, not the request's, so it cannot point outside of the data folder.
        names = {str(name).lower(): name for name in self._storage.tables()}
        return names.get(full_name.lower())

    def _find(self, full_name: str) -> TableName:
        found = self._known(full_name)
        if found is None:
            names = closest_first(full_name, [str(name) for name in self._storage.tables()])
            hint = f" The closest is '{names[0]}'." if names else ""
            raise ApiError("TABLE_DOES_NOT_EXIST", f"Table '{full_name}' does not exist.{hint}", 404)
        return found

    def _check_schema(self, catalog: str, schema: str) -> None:
        known = {(t.catalog, t.schema) for t in self._storage.tables()}
        known |= {(path.parent.name, path.name) for path in self._folders()}
        if (catalog, schema) not in known:
            names = closest_first(f"{catalog}.{schema}", sorted(".".join(pair) for pair in known))
            hint = f" The closest is '{names[0]}'." if names else ""
            raise ApiError("SCHEMA_DOES_NOT_EXIST", f"Schema '{catalog}.{schema}' does not exist.{hint}", 404)

    def _folders(self) -> list[Path]:
        roots = (self._storage.tables_root, self._storage.volumes_root)
        return [folder for root in roots for folder in root.glob("*/*") if folder.is_dir()]

    def _kinds(self) -> dict[str, str]:
        return table_kinds(self._storage.home / "pipelines")

    def _info(self, name: TableName, kinds: dict[str, str]) -> Document:
        table = Table.named(self._storage, name)
        metadata, protocol = table.delta.metadata(), table.delta.protocol()
        updated = int(table.last_modified(table.version).timestamp() * 1000)
        properties = {
            "delta.lastCommitTimestamp": str(updated),
            "delta.lastUpdateVersion": str(table.version),
            "delta.minReaderVersion": str(protocol.min_reader_version),
            "delta.minWriterVersion": str(protocol.min_writer_version),
        }
        info: Document = {
            "name": name.table,
            "catalog_name": name.catalog,
            "schema_name": name.schema,
            "full_name": str(name),
            "table_type": kinds.get(str(name), "MANAGED"),
            "data_source_format": "DELTA",
            "columns": columns(table.delta),
            "storage_location": table.path.resolve().as_uri(),
            "owner": self._user,
            "properties": dict(metadata.configuration) | properties,
            "created_at": metadata.created_time or updated,
            "created_by": self._user,
            "updated_at": updated,
            "updated_by": self._user,
            "table_id": str(metadata.id),
        }
        return info | ({"comment": metadata.description} if metadata.description else {})


def columns(table: DeltaTable) -> list[Document]:
    """A table's columns as Unity Catalog describes them."""
    partitions = list(table.metadata().partition_columns)
    described = []
    for position, field in enumerate(json.loads(table.schema().to_json())["fields"]):
        described.append(
            {
                "name": field["name"],
                "type_text": type_name(field["type"]),
                "type_json": json.dumps(field, separators=(",", ":")),
                "position": position,
                "nullable": field["nullable"],
                **_type(field["type"]),
            }
        )
        if comment := field["metadata"].get("comment"):
            described[-1]["comment"] = comment
        if field["name"] in partitions:
            described[-1]["partition_index"] = partitions.index(field["name"])
    return described


def _type(kind: Any) -> Document:
    if not isinstance(kind, str):
        return {"type_name": kind["type"].upper()}
    if decimal := re.fullmatch(r"decimal\((\d+),\s*(\d+)\)", kind):
        precision, scale = map(int, decimal.groups())
        return {"type_name": "DECIMAL", "type_precision": precision, "type_scale": scale}
    return {"type_name": "INT" if kind == "integer" else kind.upper()}

"""The bodies of requests about catalogs, schemas and volumes."""

from __future__ import annotations

from typing import Literal

from pydantic import StrictStr

from lakerun.workspace.requests import Definition, Name, RequestModel


class NewCatalog(Definition):
    name: Name
    comment: StrictStr | None = None
    properties: dict[str, StrictStr] | None = None
    options: dict[str, StrictStr] | None = None
    storage_root: StrictStr | None = None


class NewSchema(Definition):
    name: Name
    catalog_name: Name
    comment: StrictStr | None = None
    properties: dict[str, StrictStr] | None = None
    storage_root: StrictStr | None = None


class NewVolume(Definition):
    name: Name
    catalog_name: Name
    schema_name: Name
    volume_type: Literal["MANAGED", "EXTERNAL"]
    comment: StrictStr | None = None
    storage_location: StrictStr | None = None


class CatalogChange(RequestModel):
    """A change of a catalog, a schema or a volume. Only a volume can get a new name."""

    comment: StrictStr | None = None
    owner: StrictStr | None = None
    properties: dict[str, StrictStr] | None = None
    new_name: Name | None = None

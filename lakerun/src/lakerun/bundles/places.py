"""Creates the places of a bundle's tables and files, as its deployment would: `make_places`."""

from __future__ import annotations

from lakerun.bundles.model import Bundle
from lakerun.tables.storage import Storage


def make_places(storage: Storage, bundle: Bundle) -> None:
    """Create the volumes and schemas that the bundle declares, and the schemas of its pipelines."""
    for volume in bundle.resources.get("volumes", {}).values():
        names = [str(volume.get(key) or "") for key in ("catalog_name", "schema_name", "name")]
        if all(names):
            storage.volumes_root.joinpath(*names).mkdir(parents=True, exist_ok=True)
    for schema in bundle.resources.get("schemas", {}).values():
        storage.make_schema(schema.get("catalog_name"), schema.get("name"))
    for pipeline in bundle.pipelines.values():
        storage.make_schema(pipeline.catalog, pipeline.schema)

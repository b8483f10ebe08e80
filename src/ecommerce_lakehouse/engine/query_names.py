"""SHOW TABLES, SHOW SCHEMAS and SHOW CATALOGS over the data folder."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from ecommerce_lakehouse.engine.databricks_sql import show_of
from ecommerce_lakehouse.engine.storage import Storage

Columns = dict[str, tuple[str, list[Any]]]  # DuckDB's type and the values, by the column's name


def show(tree: exp.Command, storage: Storage) -> Columns:
    """What the statement lists, sorted. Only what has tables is listed."""
    kind, scope = show_of(tree) or ("tables", "")
    within = scope.split(".") if scope else []
    found = [
        t
        for t in storage.tables()
        if not within
        or (kind == "schemas" and [t.catalog.lower()] == within)
        or (kind == "tables" and [t.catalog.lower(), t.schema.lower()][-len(within) :] == within)
    ]
    if kind == "catalogs":
        return {"catalog": ("VARCHAR", sorted({t.catalog for t in found}))}
    if kind == "schemas":
        return {"databaseName": ("VARCHAR", sorted({t.schema for t in found}))}
    return {
        "catalog": ("VARCHAR", [t.catalog for t in found]),
        "database": ("VARCHAR", [t.schema for t in found]),
        "tableName": ("VARCHAR", [t.table for t in found]),
    }

"""SHOW TABLES, SHOW SCHEMAS, SHOW CATALOGS and the rows of DESCRIBE EXTENDED, from the data folder."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from lakerun.sql.databricks_sql import show_of
from lakerun.tables.delta_table import Table
from lakerun.tables.storage import Storage, TableName
from lakerun.tables.unions import FoundUnion, union_names

Columns = dict[str, tuple[str, list[Any]]]  # DuckDB's type and the values, by the column's name


def show(tree: exp.Command, storage: Storage) -> Columns:
    """The result of the statement, sorted. Only catalogs and schemas with tables are listed."""
    kind, scope = show_of(tree) or ("tables", "")
    within = scope.split(".") if scope else []
    storage.provide_samples(within[0] if within else "")
    names = storage.tables()
    if kind == "tables":
        names = sorted([*names, *union_names(storage)], key=str)
    found = [
        t
        for t in names
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


def detailed(name: TableName, table: Table, storage: Storage) -> list[tuple[str, str, str]]:
    """The rows that DESCRIBE EXTENDED has after the columns."""
    metadata = table.delta.metadata()
    properties = ",".join(f"{key}={value}" for key, value in sorted(metadata.configuration.items()))
    facts = {
        **_place(name),
        "Comment": metadata.description or "",
        "Location": storage.table_path(name).resolve().as_uri(),
        "Provider": "delta",
        "Partition Columns": ", ".join(metadata.partition_columns),
        "Table Properties": f"[{properties}]",
    }
    return _details(facts)


def detailed_union(union: FoundUnion) -> list[tuple[str, str, str]]:
    """The same for a union, which is a view on Databricks."""
    return _details({**_place(union.name), "Type": "VIEW", "View Text": union.sql()})


def _place(name: TableName) -> dict[str, str]:
    return {"Catalog": name.catalog, "Database": name.schema, "Table": name.table}


def _details(facts: dict[str, str]) -> list[tuple[str, str, str]]:
    return [("", "", ""), ("# Detailed Table Information", "", ""), *((k, v, "") for k, v in facts.items())]

"""Relations over all tables of a schema that share a prefix, as plugins declare them: `find_union`.

On Databricks such a relation is a view. Here nothing is stored: it has the tables that exist when it is read.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby

from lakerun.errors import LakerunError
from lakerun.plugins import TableUnion, loaded_plugins
from lakerun.tables.delta_table import Table
from lakerun.tables.storage import Storage, TableName, name_parts, quoted

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FoundUnion:
    """A union in one schema, and its tables there, at least one."""

    name: TableName
    union: TableUnion
    tables: tuple[TableName, ...]

    def sql(self) -> str:
        """The query over the tables by their full names."""
        return self.union.sql([table.quoted for table in self.tables])

    def sql_on_paths(self, storage: Storage) -> str:
        """The query for Spark, whose catalog does not know the tables."""
        return self.union.sql([f"delta.{quoted(str(storage.table_path(table)))}" for table in self.tables])


def find_union(
    storage: Storage,
    name: str,
    catalog: str | None = None,
    schema: str | None = None,
    unions: Mapping[str, TableUnion] | None = None,
) -> FoundUnion | None:
    """The union with this name of one, two or three parts in any case; None if no plugin has one.

    A short name is first looked up in the default schema, like a table's. Raises LakerunError if no schema
    has a table for it, or if several have and none is the default.
    """
    *place, plain = (part.lower() for part in name_parts(name))
    union = (loaded_plugins().unions if unions is None else unions).get(plain)
    if union is None:
        return None
    found = {
        schema: tables
        for schema, tables in tables_by_schema(storage, union).items()
        if [part.lower() for part in schema][2 - len(place) :] == place
    }
    default = (catalog, schema)
    if len(found) > 1 and default in found:
        found = {schema: tables for schema, tables in found.items() if schema == default}
    if not found:
        where = f" in {'.'.join(place)}" if place else ""
        raise LakerunError(
            f"'{plain}' has no rows yet: there is no table '{union.prefix}*'{where}. Run a pipeline first."
        )
    if len(found) > 1:
        names = ", ".join(f"{catalog}.{schema}.{plain}" for catalog, schema in found)
        raise LakerunError(f"'{name}' is ambiguous: {names}.")
    ((in_schema, tables),) = found.items()
    return FoundUnion(TableName(*in_schema, plain), union, tables)


def union_names(storage: Storage) -> list[TableName]:
    """The unions that can be read, sorted, in each schema in which no table has their name."""
    taken = {str(name).lower() for name in storage.tables()}
    found = [
        TableName(*schema, plain)
        for plain, union in loaded_plugins().unions.items()
        for schema in tables_by_schema(storage, union)
    ]
    return sorted((name for name in found if str(name).lower() not in taken), key=str)


def tables_by_schema(storage: Storage, union: TableUnion) -> dict[tuple[str, str], tuple[TableName, ...]]:
    """The union's tables by catalog and schema, for schemas that have any."""
    tables = [
        name
        for name in storage.tables()
        if name.table.lower().startswith(union.prefix) and _has_columns(storage, name, union)
    ]
    grouped = groupby(tables, lambda name: (name.catalog, name.schema))
    return {schema: tuple(members) for schema, members in grouped}


def _has_columns(storage: Storage, name: TableName, union: TableUnion) -> bool:
    """Whether a table has the union's columns; False if it cannot be read, so that others still are."""
    try:
        columns = {column.name.lower() for column in Table.named(storage, name).columns}
    except LakerunError as error:
        logger.warning("%s", error)
        return False
    return columns >= set(union.columns)

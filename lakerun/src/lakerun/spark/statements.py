"""Statements that Spark cannot carry out for the lakehouse's tables: `carried_out`.

Locally no catalog knows the tables: schemas are folders, and the current names are the task's.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from typing import Any

from lakerun.errors import LakerunError, UnknownNameError
from lakerun.spark.names import PART, TaskTables
from lakerun.spark.volumes import volume_statement
from lakerun.tables.samples import check_writable
from lakerun.tables.storage import name_parts

Rows = tuple[list[tuple[Any, ...]], str]
"""What a statement answers: rows, and their schema."""

NOTHING: Rows = ([], "")
_NAME = rf"(?P<name>{PART}(?:\.{PART})*)"
_LIKE = r"(?:\s+LIKE)?(?:\s+'(?P<pattern>[^']*)')?"


def carried_out(statement: str, tables: TaskTables) -> Rows | None:
    """Carry out the statement; None for one that is Spark's. Raises LakerunError for one that nobody can."""
    if volume_statement(statement, tables.storage):
        return NOTHING
    for pattern, work in _STATEMENTS.items():
        if found := re.fullmatch(rf"\s*{pattern}\s*;?\s*", statement, re.IGNORECASE | re.DOTALL):
            return work(found, tables)
    return None


def matching(names: list[str], pattern: str | None) -> list[str]:
    """The names that a pattern of SHOW allows: `*` is any text, `|` separates patterns."""
    if pattern is None:
        return names
    allowed = "|".join(re.escape(part).replace(r"\*", ".*") for part in pattern.split("|"))
    return [name for name in names if re.fullmatch(allowed, name, re.IGNORECASE)]


def use(tables: TaskTables, catalog: str, schema: str) -> None:
    """Make the schema the current one; UnknownNameError where there is none."""
    tables.storage.provide_samples(catalog)
    if catalog not in tables.catalogs():
        raise UnknownNameError("catalog", catalog, tables.catalogs())
    if schema != "default" and schema not in tables.schemas(catalog):
        raise UnknownNameError(
            "schema", f"{catalog}.{schema}", [f"{catalog}.{n}" for n in tables.schemas(catalog)]
        )
    tables.catalog, tables.schema = catalog, schema


def _use(found: re.Match[str], tables: TaskTables) -> Rows | None:
    parts = name_parts(found["name"])
    if found["kind"] and found["kind"].upper() == "CATALOG":
        use(tables, parts[0], "default")
    else:
        use(tables, *tables.schema_of(found["name"]))
    return NOTHING


def _create_schema(found: re.Match[str], tables: TaskTables) -> Rows | None:
    catalog, schema = tables.schema_of(found["name"])
    check_writable(catalog)
    folder = tables.storage.tables_root / catalog / schema
    if folder.is_dir() and not found["exists"]:
        raise LakerunError(f"Schema '{catalog}.{schema}' already exists.")
    folder.mkdir(parents=True, exist_ok=True)
    return NOTHING


def _drop_schema(found: re.Match[str], tables: TaskTables) -> Rows | None:
    catalog, schema = tables.schema_of(found["name"])
    check_writable(catalog)
    folders = [root / catalog / schema for root in (tables.storage.tables_root, tables.storage.volumes_root)]
    there = [folder for folder in folders if folder.is_dir()]
    if not there and not found["exists"]:
        raise LakerunError(f"Schema '{catalog}.{schema}' does not exist.")
    if any(any(folder.iterdir()) for folder in there) and (found["how"] or "").upper() != "CASCADE":
        raise LakerunError(
            f"Schema '{catalog}.{schema}' is not empty: DROP SCHEMA ... CASCADE drops what is in it."
        )
    for folder in there:
        shutil.rmtree(folder)
    return NOTHING


def _drop_table(found: re.Match[str], tables: TaskTables) -> Rows | None:
    stored = tables.stored(found["name"])
    if stored is not None:
        check_writable(stored.catalog)
        shutil.rmtree(tables.path(stored))
    elif len(name_parts(found["name"])) == 1:
        return None  # a temporary view's, perhaps
    elif not found["exists"]:
        raise LakerunError(f"Table '{tables.full(found['name'])}' does not exist.")
    return NOTHING


def _refused_view(found: re.Match[str], tables: TaskTables) -> Rows | None:
    raise LakerunError(
        f"View '{found['name']}' cannot be made here: only tables are kept. Write CREATE TEMPORARY VIEW, "
        "or CREATE TABLE ... AS SELECT."
    )


def _refused_grant(found: re.Match[str], tables: TaskTables) -> Rows | None:
    what = " ".join(found["what"].upper().split())
    raise LakerunError(
        f"{what} cannot be carried out here: no catalog keeps privileges on this machine, and every table "
        "can be read and written."
    )


def _show_tables(found: re.Match[str], tables: TaskTables) -> Rows | None:
    catalog, schema = tables.schema_of(found["name"])
    names = matching(tables.listed(catalog, schema), found["pattern"])
    return [(schema, name, False) for name in names], "database string, tableName string, isTemporary boolean"


def _show_schemas(found: re.Match[str], tables: TaskTables) -> Rows | None:
    catalog = name_parts(found["name"])[0] if found["name"] else tables.catalog
    tables.storage.provide_samples(catalog)
    return [(name,) for name in matching(tables.schemas(catalog), found["pattern"])], "databaseName string"


def _show_catalogs(found: re.Match[str], tables: TaskTables) -> Rows | None:
    return [(name,) for name in matching(tables.catalogs(), found["pattern"])], "catalog string"


_SCHEMA, _IF, _IF_NOT = (
    "(?:SCHEMA|DATABASE)",
    r"(?P<exists>IF\s+EXISTS\s+)?",
    r"(?P<exists>IF\s+NOT\s+EXISTS\s+)?",
)
_VIEW = r"(?:OR\s+REPLACE\s+)?(?:MATERIALIZED\s+)?VIEW\s+(?:IF\s+NOT\s+EXISTS\s+)?"
_IN = rf"(?:\s+(?:IN|FROM)\s+{_NAME})?"
_STATEMENTS: dict[str, Callable[[re.Match[str], TaskTables], Rows | None]] = {
    rf"USE\s+(?:(?P<kind>CATALOG|SCHEMA|DATABASE)\s+)?{_NAME}": _use,
    rf"SET\s+(?P<kind>CATALOG)\s+{_NAME}": _use,
    rf"CREATE\s+{_SCHEMA}\s+{_IF_NOT}{_NAME}(?:\s+COMMENT\s+.*)?": _create_schema,
    rf"DROP\s+{_SCHEMA}\s+{_IF}{_NAME}(?:\s+(?P<how>CASCADE|RESTRICT))?": _drop_schema,
    rf"DROP\s+TABLE\s+{_IF}{_NAME}(?:\s+PURGE)?": _drop_table,
    rf"CREATE\s+{_VIEW}{_NAME}\b.*": _refused_view,
    r"(?P<what>GRANT|REVOKE|DENY|SHOW\s+GRANTS?)\b.*": _refused_grant,
    rf"SHOW\s+TABLES{_IN}{_LIKE}": _show_tables,
    rf"SHOW\s+{_SCHEMA}S{_IN}{_LIKE}": _show_schemas,
    rf"SHOW\s+CATALOGS{_LIKE}": _show_catalogs,
}

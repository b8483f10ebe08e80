"""The lakehouse's tables: `/tables/...`, read from their Delta logs without a JVM."""

from __future__ import annotations

import logging
from itertools import groupby
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from lakerun.errors import LakerunError
from lakerun.tables.arrow_rows import rows_of
from lakerun.tables.delta_table import Table, TableFigures
from lakerun.tables.storage import Storage, TableName
from lakerun.workspace.errors import ApiError, missing
from lakerun.workspace.pages.render import render

if TYPE_CHECKING:
    from lakerun.workspace.services import Services

logger = logging.getLogger(__name__)
PREVIEW_ROWS = 50
COMMITS = 20


def router(services: Services) -> APIRouter:
    """Pages of tables, and redirects from their addresses on Databricks."""
    routes = APIRouter()
    storage = services.storage

    @routes.get("/tables")
    def tables(request: Request) -> Response:
        names = storage.tables()
        schemas = [
            (catalog, schema, [_listed(storage, name) for name in members])
            for (catalog, schema), members in groupby(names, lambda name: (name.catalog, name.schema))
        ]
        return render(request, "tables.html", schemas=schemas, count=len(names), follow=0)

    @routes.get("/tables/{catalog}/{schema}/{table}")
    def table(request: Request, catalog: str, schema: str, table: str) -> Response:
        name = named_table(storage, catalog, schema, table)
        try:
            stored = Table.named(storage, name)
            figures = stored.figures()
            preview = stored.read(limit=PREVIEW_ROWS)
        except LakerunError as error:
            raise ApiError("INVALID_STATE", str(error)) from None
        metadata = stored.delta.metadata()
        return render(
            request,
            "table.html",
            name=name,
            figures=figures,
            columns=stored.columns,
            partitions=metadata.partition_columns,
            properties=sorted(metadata.configuration.items()),
            commits=stored.history(COMMITS),
            names=preview.column_names,
            rows=rows_of(preview),
            follow=0,
        )

    @routes.get("/explore/data/{catalog}")
    @routes.get("/explore/data/{catalog}/{schema}")
    def explore(catalog: str, schema: str = "") -> Response:
        return RedirectResponse("/tables", 303)

    @routes.get("/explore/data/{catalog}/{schema}/{table}")
    def explore_table(catalog: str, schema: str, table: str) -> Response:
        name = named_table(storage, catalog, schema, table)
        return RedirectResponse(table_address(name), 303)

    return routes


def named_table(storage: Storage, catalog: str, schema: str, table: str) -> TableName:
    """The table with this name; ApiError if it does not exist, whatever characters the name has."""
    name = TableName(catalog, schema, table)
    if name not in storage.tables():
        raise missing("Table", name)
    return name


def table_address(name: TableName) -> str:
    return f"/tables/{name.catalog}/{name.schema}/{name.table}"


def _listed(storage: Storage, name: TableName) -> tuple[TableName, TableFigures | None]:
    """A table's figures, or None if it cannot be read: the other tables must still be shown."""
    try:
        return name, Table.named(storage, name).figures()
    except LakerunError as error:
        logger.warning("%s", error)
        return name, None

"""`/quarantine`: every line that broke a rule, with all its broken rules, the newest first."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from lakerun.errors import LakerunError
from lakerun.plugins import Quarantine as Convention
from lakerun.sql.query import query
from lakerun.tables.arrow_rows import rows_of
from lakerun.tables.storage import Storage, TableName
from lakerun.workspace.errors import ApiError, missing
from lakerun.workspace.pages.render import render
from lakerun.workspace.pages.tables import table_address
from lakerun.workspace.paging import LAST_PAGE, Fetch, numbered_page, reader

if TYPE_CHECKING:
    from lakerun.workspace.services import Services

logger = logging.getLogger(__name__)
PER_PAGE = 25


@dataclass(frozen=True)
class Quarantine:
    """A quarantine table: its number of rows, the newest row's time, and the number of rows per rule."""

    name: TableName
    rows: int
    newest: datetime | None
    rules: Mapping[str, int]

    @property
    def address(self) -> str:
        return table_address(self.name)

    def link(self, rule: str = "") -> str:
        """The address of its rows, for all rules or for one."""
        chosen = {"table": str(self.name), **({"rule": rule} if rule else {})}
        return f"/quarantine?{urlencode(chosen)}#rows"


def router(services: Services, convention: Convention) -> APIRouter:
    routes = APIRouter()
    storage = services.storage

    @routes.get("/quarantine")
    def quarantine(
        request: Request, table: str = "", rule: str = "", page: int = Query(1, ge=1, le=LAST_PAGE)
    ) -> Response:
        found = [
            _quarantine(storage, name)
            for name in storage.tables()
            if name.table.startswith(convention.prefix)
        ]
        tables = [each for each in found if each is not None]
        chosen = next((each for each in tables if str(each.name) == table), None)
        if table and chosen is None:
            raise missing("Quarantine table", table)
        chosen = chosen or max(tables, key=lambda each: each.rows, default=None)
        if rule and (chosen is None or rule not in chosen.rules):
            raise missing("Rule", rule)
        kept = {"table": str(chosen.name) if chosen else "", "rule": rule}
        fetch: Fetch[tuple[Any, ...]] = partial(_rows, storage, chosen.name, rule) if chosen else reader(())
        rows, paging = numbered_page(fetch, page, PER_PAGE, kept, "#rows")
        return render(
            request,
            "quarantine.html",
            tables=tables,
            total=sum(each.rows for each in tables),
            chosen=chosen,
            rule=rule,
            rows=rows,
            paging=paging,
            follow=0,
        )

    return routes


def _quarantine(storage: Storage, name: TableName) -> Quarantine | None:
    """The table's figures; None if it lacks the columns of a quarantine table, or cannot be read."""
    source = name.quoted
    try:
        ((rows, newest),) = rows_of(query(f"SELECT count(*), max(ingested_at) FROM {source}", storage))
        broken = f"SELECT explode(broken_rules) AS rule FROM {source}"
        counted = query(
            f"SELECT rule, count(*) AS n FROM ({broken}) GROUP BY rule ORDER BY n DESC, rule", storage
        )
    except LakerunError as error:
        logger.warning("%s", error)
        return None
    return Quarantine(name, rows, newest, dict(rows_of(counted)))


def _rows(storage: Storage, name: TableName, rule: str, *, offset: int, limit: int) -> list[tuple[Any, ...]]:
    """Raw text, source file, ingestion time and broken rules of quarantined rows, the newest first."""
    where = f"WHERE array_contains(broken_rules, {_literal(rule)})" if rule else ""
    statement = (
        f"SELECT raw_text, source_file, ingested_at, broken_rules FROM {name.quoted} {where} "
        f"ORDER BY ingested_at DESC, source_file, raw_text LIMIT {limit} OFFSET {offset}"
    )
    try:
        return rows_of(query(statement, storage))
    except LakerunError as error:
        raise ApiError("INVALID_STATE", str(error)) from None


def _literal(text: str) -> str:
    from sqlglot import exp

    return exp.Literal.string(text).sql(dialect="databricks")

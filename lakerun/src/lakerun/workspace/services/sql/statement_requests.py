"""The body of a request to execute a statement."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lakerun.workspace.requests import LARGEST, RequestModel


class StatementParameter(RequestModel):
    name: str
    value: str | None = None
    type: str | None = None


class StatementRequest(RequestModel):
    """The body of `POST /api/2.0/sql/statements`."""

    statement: str = Field(min_length=1, max_length=16 * 2**20)
    warehouse_id: str = Field(min_length=1)
    catalog: str | None = None
    # Pydantic's models already have an attribute named "schema".
    schema_: str | None = Field(default=None, alias="schema")
    parameters: list[StatementParameter] = []
    row_limit: int | None = Field(default=None, ge=1, lt=LARGEST)
    byte_limit: int | None = Field(default=None, ge=1, le=LARGEST)
    disposition: Literal["INLINE", "EXTERNAL_LINKS"] = "INLINE"
    format: Literal["JSON_ARRAY", "ARROW_STREAM", "CSV"] = "JSON_ARRAY"
    wait_timeout: str = "10s"
    on_wait_timeout: Literal["CONTINUE", "CANCEL"] = "CONTINUE"

"""The bodies of requests that change privileges."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictStr

from lakerun.workspace.requests import RequestModel

Privilege = Annotated[StrictStr, Field(pattern="^[A-Z][A-Z_ ]*$")]


class PrincipalChange(RequestModel):
    principal: Annotated[StrictStr, Field(min_length=1)]
    add: list[Privilege] = []
    remove: list[Privilege] = []


class GrantChange(RequestModel):
    changes: list[PrincipalChange] = []

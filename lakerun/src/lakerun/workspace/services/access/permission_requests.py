"""The bodies of requests that change permissions."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lakerun.workspace.requests import RequestModel


class PermissionEntry(RequestModel):
    """One principal and its level; the service checks that there is exactly one principal."""

    user_name: str | None = None
    group_name: str | None = None
    service_principal_name: str | None = None
    permission_level: Annotated[str, Field(pattern="^(IS_OWNER|CAN_[A-Z_]+)$")] | None = None


class PermissionChange(RequestModel):
    access_control_list: list[PermissionEntry] = []

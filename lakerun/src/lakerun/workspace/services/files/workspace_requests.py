"""The bodies of requests about workspace files."""

from __future__ import annotations

from pydantic import Field, StrictStr

from lakerun.workspace.requests import RequestModel


class ObjectPath(RequestModel):
    path: StrictStr


class DeleteObject(ObjectPath):
    recursive: bool = False


class ImportObject(ObjectPath):
    """`content` is in base64; a form sends it as a file instead."""

    format: StrictStr = "SOURCE"
    language: StrictStr | None = None
    overwrite: bool = False
    content: StrictStr = Field(default="", repr=False)

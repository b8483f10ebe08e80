"""Routes that read JSON strictly: `group`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from lakerun.workspace.api.uploads import RefusedBody
from lakerun.workspace.requests import json_refusal, read_json


def body_of(media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI description of a body that the route reads itself, for `openapi_extra`."""
    return {"requestBody": {"content": {media_type: {"schema": schema}}}}


FILE = body_of("application/octet-stream", {"type": "string", "format": "binary"})


def group(prefix: str = "") -> APIRouter:
    """The routes of one subject, which read JSON strictly."""
    return APIRouter(prefix=prefix, route_class=_Route)


class _JsonRequest(Request):
    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            body = await self.body()
            try:
                self._json = read_json(body)
            except ValueError as error:
                raise RefusedBody(json_refusal(error)) from None
        return self._json


class _Route(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(_JsonRequest(request.scope, request.receive))

        return handle_strictly

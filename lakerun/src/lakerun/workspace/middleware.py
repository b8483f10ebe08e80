"""Checks the token and the size of every request before its route runs, and logs the answer."""

from __future__ import annotations

import hmac
import logging
import time

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lakerun.workspace.api.uploads import bounded, too_large
from lakerun.workspace.errors import ApiError
from lakerun.workspace.pages.session import is_page

logger = logging.getLogger(__name__)
OPEN_PATHS = ("/.well-known/databricks-config", "/oidc/", "/health")
# Their handlers stream the body to disk and limit its size themselves.
STREAMED_PATHS = ("/api/2.0/workspace-files/", "/api/2.0/workspace/import", "/api/2.0/fs/files/")
BODY_BYTES = 16 * 2**20


class Gate:
    """Refuses a request without the token or with too large a body, and logs every answer."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin = time.perf_counter()
        path, headers = scope["path"], Headers(scope=scope)
        status = 0

        async def logged(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            error = self._refusal(path, headers)
            if error is not None:
                await JSONResponse(error.body(), error.status)(scope, receive, logged)
            else:
                limited = receive if path.startswith(STREAMED_PATHS) else bounded(receive, BODY_BYTES)
                await self._app(scope, limited, logged)
        finally:
            spent = (time.perf_counter() - begin) * 1000
            logger.info("%s %s %s %.0f ms", scope["method"], ascii(path)[1:-1], status, spent)

    def _refusal(self, path: str, headers: Headers) -> ApiError | None:
        given = headers.get("authorization", "").encode()
        is_open = path.startswith(OPEN_PATHS) or is_page(path)  # pages check their own session
        if not is_open and not hmac.compare_digest(given, self._expected):
            return ApiError("UNAUTHENTICATED", "The token is missing or wrong: set DATABRICKS_TOKEN.")
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > BODY_BYTES and not path.startswith(STREAMED_PATHS):
            return too_large(BODY_BYTES)
        return None

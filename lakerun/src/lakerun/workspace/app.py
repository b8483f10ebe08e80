"""The workspace as a web application: `create_app`."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from lakerun.workspace import pages
from lakerun.workspace.api import routers
from lakerun.workspace.api.uploads import RefusedBody
from lakerun.workspace.errors import ApiError, missing
from lakerun.workspace.middleware import Gate
from lakerun.workspace.services.checks import wrong_field

if TYPE_CHECKING:
    from lakerun.workspace.services import Services

logger = logging.getLogger(__name__)


def create_app(services: Services) -> FastAPI:
    """The API and the pages of `services`. Each call needs the token; errors have Databricks' format.

    The services recover before the first request and are closed after the last.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(services.recover)
        await run_in_threadpool(services.start)
        yield
        await run_in_threadpool(services.close)

    app = FastAPI(
        title="Local Databricks workspace",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
        strict_content_type=False,  # clients send JSON without a content type
        lifespan=lifespan,
    )
    app.state.navigation = pages.navigation(services.plugins)
    app.add_middleware(pages.PageGate, sessions=pages.Sessions(services.store, services.settings))
    app.add_middleware(Gate, token=services.settings.token)
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _internal_error)

    @app.get("/health")
    def health() -> dict[str, str | int]:
        return {"status": "ok", "pid": os.getpid()}

    for router in routers(services):
        app.include_router(router)
    app.include_router(pages.router(services))
    return app


def _answer(request: Request, error: ApiError) -> Response:
    """The error as a page for a browser, and as Databricks' JSON for other clients."""
    if pages.is_page(request.url.path):
        return pages.error_page(request, error)
    return JSONResponse(error.body(), error.status)


def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return _answer(request, error)


def _invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return _answer(request, wrong_field(first["loc"][1:], first["msg"]))  # without body, query or path


def _http_error(request: Request, error: Exception) -> Response:
    """Errors of the framework, such as an unknown route or a body that cannot be read."""
    assert isinstance(error, HTTPException)
    endpoint = f"{request.method} {request.url.path}"
    if isinstance(error, RefusedBody):
        problem = error.error
    elif error.status_code == 404 and pages.is_page(request.url.path):
        problem = missing("Page", request.url.path)
    elif error.status_code in (404, 405):
        problem = ApiError("NOT_IMPLEMENTED", f"{endpoint} is not part of the local workspace.")
    else:
        problem = ApiError("MALFORMED_REQUEST", f"{endpoint}: {error.detail}.", error.status_code)
    return _answer(request, problem)


def _internal_error(request: Request, error: Exception) -> Response:
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    problem = ApiError("INTERNAL_ERROR", f"{type(error).__name__}; the server's log has the trace.")
    return _answer(request, problem)

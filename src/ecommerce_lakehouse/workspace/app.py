"""The workspace as a web application: `create_app`."""

from __future__ import annotations

import hmac
import logging
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from ecommerce_lakehouse.workspace import pages
from ecommerce_lakehouse.workspace.api import routers
from ecommerce_lakehouse.workspace.errors import ApiError, missing

if TYPE_CHECKING:
    from starlette.middleware.base import RequestResponseEndpoint

    from ecommerce_lakehouse.workspace.services import Services

logger = logging.getLogger(__name__)
OPEN_PATHS = ("/.well-known/databricks-config", "/oidc/", "/health")


def create_app(services: Services) -> FastAPI:
    """Every API group over `services`; each call needs the token, and each error has Databricks' shape."""
    app = FastAPI(title="Local Databricks workspace", docs_url=None, redoc_url=None, openapi_url=None)
    app.middleware("http")(_authenticate(services))
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _not_implemented)
    app.add_exception_handler(Exception, _internal_error)

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    for router in routers(services):
        app.include_router(router)
    app.include_router(pages.router(services))
    return app


def _authenticate(services: Services):  # type: ignore[no-untyped-def]
    expected = f"Bearer {services.settings.token}".encode()

    async def check(request: Request, call_next: RequestResponseEndpoint) -> Response:
        if pages.is_page(request.url.path):
            # A cookie opens pages alone: the API takes nothing that a browser sends by itself.
            return await pages.guard(services.settings, request, call_next)
        if not request.url.path.startswith(OPEN_PATHS):
            given = request.headers.get("Authorization", "").encode()
            if not hmac.compare_digest(given, expected):
                error = ApiError("UNAUTHENTICATED", "The token is missing or wrong: set DATABRICKS_TOKEN.")
                return JSONResponse(error.body(), error.status)
        return await call_next(request)

    return check


def _answer(request: Request, error: ApiError) -> Response:
    """The error as whoever asked reads it: a page in a browser, else Databricks' JSON."""
    if pages.is_page(request.url.path):
        return pages.error_page(request, error)
    return JSONResponse(error.body(), error.status)


def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return _answer(request, error)


def _invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        problem = ApiError("MALFORMED_REQUEST", f"The request is not JSON: {first['ctx']['error']}.")
    else:
        field = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
        problem = ApiError("INVALID_PARAMETER_VALUE", f"{field or 'The request'}: {first['msg']}.")
    return _answer(request, problem)


def _not_implemented(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if pages.is_page(request.url.path):
        return _answer(request, missing("Page", request.url.path))
    endpoint = f"{request.method} {request.url.path}"
    problem = ApiError("NOT_IMPLEMENTED", f"{endpoint} is not part of the local workspace.")
    return _answer(request, problem)


def _internal_error(request: Request, error: Exception) -> Response:
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    problem = ApiError("INTERNAL_ERROR", f"{type(error).__name__}; the server's log has the trace.")
    return _answer(request, problem)

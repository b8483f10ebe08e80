"""Who may see the pages. A browser cannot send the API's token, so signing in gives it a cookie.

The cookie holds a signed expiry time, not the token, so that reading it gives no access to the API. It opens
only pages, and pages only read, so a foreign site that makes a browser send a request here gains nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import MutableHeaders

from lakerun.workspace.pages.render import SECURITY_HEADERS, render

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from lakerun.workspace.services import Services, Settings

PAGES = ("jobs", "pipelines", "tables", "quarantine", "monitoring", "explore", "login", "logout", "static")
OPEN = ("login", "static")
SIGNED_IN_SECONDS = 30 * 24 * 3600
LONGEST_TOKEN = 1000


def is_page(path: str) -> bool:
    """Whether the path is for a browser. Every other path belongs to the API and requires its token."""
    return path == "/" or path.split("/")[1] in PAGES


def login_url(settings: Settings) -> str:
    """The address that signs a person in. The token stands after `#`, which a browser never sends or logs."""
    return f"{settings.host_url}/login#token={quote(settings.token, safe='')}"


class PageGate:
    """Answers a request for a page with it if the user is signed in, else redirects to the login."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_page(scope["path"]):
            await self._app(scope, receive, send)
            return
        request = Request(scope)

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        refusal = _refusal(self._settings, request)
        await (refusal or self._app)(scope, receive, secured)


def _refusal(settings: Settings, request: Request) -> Response | None:
    path = request.url.path
    if path.split("/")[1] in OPEN or _is_signed_in(settings, request):
        return None
    if request.method == "GET" and "if-none-match" not in request.headers:
        target = path + (f"?{request.url.query}" if request.url.query else "")
        there = "/login" if target == "/" else f"/login?next={quote(target, safe='')}"
        return RedirectResponse(there, 303)
    return Response("Sign in again.", 401, media_type="text/plain")


def router(services: Services) -> APIRouter:
    """`/login` and `/logout`."""
    routes = APIRouter()
    settings = services.settings

    @routes.get("/login")
    def login_form(request: Request, token: str = "", next: str = "/") -> Response:
        if token:
            return sign_in(request, token, next)
        return render(request, "login.html", next=local_path(next), wrong=False)

    @routes.post("/login")
    def sign_in(
        request: Request, token: str = Form(max_length=LONGEST_TOKEN), next: str = Form("/")
    ) -> Response:
        if not hmac.compare_digest(token.strip().encode(), settings.token.encode()):
            return render(request, "login.html", status=401, next=local_path(next), wrong=True)
        response = RedirectResponse(local_path(next), 303)
        response.set_cookie(
            _cookie_name(settings),
            _signed(settings, int(time.time()) + SIGNED_IN_SECONDS),
            max_age=SIGNED_IN_SECONDS,
            httponly=True,
            samesite="strict",
            secure=settings.host_url.startswith("https:"),
        )
        return response

    @routes.post("/logout")
    def logout() -> Response:
        response = RedirectResponse("/login", 303)
        response.delete_cookie(_cookie_name(settings), httponly=True, samesite="strict")
        return response

    return routes


def local_path(target: str) -> str:
    """`target` if it is a page of this server, else `/`, so that no login leads to a foreign site."""
    parts = urlsplit(target.replace("\\", "/"))
    is_local = not parts.scheme and not parts.netloc and target.startswith("/")
    if (
        not is_local
        or target.startswith(("//", "/\\"))
        or not target.isprintable()
        or not is_page(parts.path)
    ):
        return "/"
    return target


def _is_signed_in(settings: Settings, request: Request) -> bool:
    given = request.cookies.get(_cookie_name(settings), "")
    expires = given.partition(".")[0]
    if not (expires.isascii() and expires.isdigit()) or len(expires) > 12 or int(expires) < time.time():
        return False
    return hmac.compare_digest(given.encode(), _signed(settings, int(expires)).encode())


def _signed(settings: Settings, expires: int) -> str:
    signature = hmac.new(settings.token.encode(), f"page session until {expires}".encode(), hashlib.sha256)
    return f"{expires}.{signature.hexdigest()}"


def _cookie_name(settings: Settings) -> str:
    """Cookies are shared between ports, so two workspaces on one machine need two names."""
    return f"lakehouse_session_{urlsplit(settings.host_url).port or 'default'}"

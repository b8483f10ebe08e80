"""Signs browsers in to the pages. A browser cannot send the API's token, so it gets a cookie.

The cookie has a random session id, not the token, so it gives no access to the API. It is only for pages,
which change nothing, so a foreign site that makes a browser send a request here gains nothing. The store has
the id's hash and expiry time. Signing out, `workspace sign-out` and a new token end a session.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Form, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import MutableHeaders

from lakerun.workspace.pages.render import SECURITY_HEADERS, render

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from lakerun.workspace.services import Services, Settings
    from lakerun.workspace.store import Store

PAGES = ("jobs", "pipelines", "tables", "quarantine", "monitoring", "explore", "login", "logout", "static")
OPEN = ("login", "static")
SIGNED_IN_SECONDS = 7 * 24 * 3600
SESSION = "page_session"
LONGEST_TOKEN = 1000


def is_page(path: str) -> bool:
    """Whether the path is for a browser. Every other path belongs to the API and requires its token."""
    return path == "/" or path.split("/")[1] in PAGES


def login_url(settings: Settings) -> str:
    """The address that signs a user in. The token is in its fragment, which browsers do not send."""
    return f"{settings.host_url}/login#token={quote(settings.token, safe='')}"


class PageGate:
    """Lets signed-in users see pages, and redirects others to the login."""

    def __init__(self, app: ASGIApp, sessions: Sessions) -> None:
        self._app, self._sessions = app, sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_page(scope["path"]):
            await self._app(scope, receive, send)
            return
        request = Request(scope)

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        refusal = await run_in_threadpool(_refusal, self._sessions, request)
        await (refusal or self._app)(scope, receive, secured)


class Sessions:
    """The sessions of browsers, in the store. A session ends when the user signs out, or after a week."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._settings = store, settings
        port = urlsplit(settings.host_url).port
        # Cookies are shared between ports, so two workspaces on one machine need two names.
        self.cookie = f"lakehouse_session_{port or 'default'}"

    def begin(self) -> str:
        """Begin a session and return its id, for the cookie."""
        for document in self._store.list(SESSION):
            if document["expires"] < time.time():
                self._store.delete(SESSION, document["id"])
        session = secrets.token_urlsafe(32)
        key = self._key(session)
        self._store.put(SESSION, key, {"id": key, "expires": int(time.time()) + SIGNED_IN_SECONDS})
        return session

    def is_open(self, request: Request) -> bool:
        """Whether the request's cookie belongs to a session that has not ended."""
        given = request.cookies.get(self.cookie)
        found = self._store.get(SESSION, self._key(given)) if given else None
        return found is not None and found["expires"] >= time.time()

    def end(self, request: Request) -> None:
        """End the session of this request's cookie, so that copies of the cookie no longer work."""
        given = request.cookies.get(self.cookie)
        if given:
            self._store.delete(SESSION, self._key(given))

    def _key(self, session: str) -> str:
        """A hash keyed by the token: a new token ends every session, and the store reveals no session id."""
        return hmac.new(self._settings.token.encode(), session.encode(), hashlib.sha256).hexdigest()


def end_all(store: Store) -> int:
    """Sign every browser out; returns how many sessions were open."""
    ended = store.list(SESSION)
    for document in ended:
        store.delete(SESSION, document["id"])
    return sum(document["expires"] >= time.time() for document in ended)


def _refusal(sessions: Sessions, request: Request) -> Response | None:
    path = request.url.path
    if path.split("/")[1] in OPEN or sessions.is_open(request):
        return None
    if request.method == "GET" and "if-none-match" not in request.headers:
        target = path + (f"?{request.url.query}" if request.url.query else "")
        login = "/login" if target == "/" else f"/login?next={quote(target, safe='')}"
        return RedirectResponse(login, 303)
    return Response("Sign in again.", 401, media_type="text/plain")


def router(services: Services) -> APIRouter:
    """`/login` and `/logout`."""
    routes = APIRouter()
    settings = services.settings
    sessions = Sessions(services.store, settings)

    @routes.get("/login")
    def login_form(request: Request, next: str = "/") -> Response:
        return render(request, "login.html", next=local_path(next), wrong=False)

    @routes.post("/login")
    def sign_in(
        request: Request, token: str = Form(max_length=LONGEST_TOKEN), next: str = Form("/")
    ) -> Response:
        if not hmac.compare_digest(token.strip().encode(), settings.token.encode()):
            return render(request, "login.html", status=401, next=local_path(next), wrong=True)
        response = RedirectResponse(local_path(next), 303)
        response.set_cookie(
            sessions.cookie,
            sessions.begin(),
            max_age=SIGNED_IN_SECONDS,
            httponly=True,
            samesite="strict",
            secure=settings.host_url.startswith("https:"),
        )
        return response

    @routes.post("/logout")
    def logout(request: Request) -> Response:
        sessions.end(request)
        response = RedirectResponse("/login", 303)
        response.delete_cookie(sessions.cookie, httponly=True, samesite="strict")
        return response

    return routes


def local_path(target: str) -> str:
    """`target` if it is a page of this server, else `/`: a login must not redirect to a foreign site."""
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

"""Renders templates into responses, with the headers of every page: `render`."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from lakerun import formats
from lakerun.plugins import Loaded
from lakerun.program import program
from lakerun.workspace.pages import datasets, states

if TYPE_CHECKING:
    from fastapi import Request

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
NAVIGATION = (
    ("/", "Overview"),
    ("/jobs/runs", "Runs"),
    ("/tables", "Tables"),
)
STATIC = Path(__file__).parent / "static"
STATIC_TYPES = {
    "style.css": "text/css",
    "page.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


def render(request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
    """A page, or 304 if the browser has this version: a page that follows a run is requested repeatedly."""
    page = _environment().get_template(template)
    navigation = getattr(request.app.state, "navigation", NAVIGATION)
    text = page.render(path=request.url.path, query=request.query_params, navigation=navigation, **values)
    tag = f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
    headers = {**SECURITY_HEADERS, "Cache-Control": "no-store", "ETag": tag}
    if status == 200 and request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return HTMLResponse(text, status, headers)


def navigation(plugins: Loaded) -> tuple[tuple[str, str], ...]:
    """The address and the name of every page in the navigation."""
    found: tuple[tuple[str, str], ...] = NAVIGATION
    if plugins.quarantine:
        found += (("/quarantine", "Quarantine"),)
    if plugins.monitoring:
        found += (("/monitoring", "Health"),)
    return found


def static_file(name: str) -> Response | None:
    """The stylesheet, the script or the icon; None for any other name."""
    if name not in STATIC_TYPES:
        return None
    content = (STATIC / name).read_bytes()
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(content, headers=headers, media_type=STATIC_TYPES[name])


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("lakerun.workspace.pages"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        duration=formats.duration,
        number=formats.number,
        size=formats.size,
        cell=formats.cell,
        plural=formats.plural,
        instant=formats.instant,
        utc=formats.utc_text,
        local=formats.local_text,
    )
    environment.globals.update(
        program=program,
        nothing=formats.NOTHING,
        state_of=states.state_of,
        dataset_address=datasets.dataset_address,
        static=_static_url,
    )
    return environment


@cache
def _static_url(name: str) -> str:
    """The file's address, which changes with its content, so that browsers can cache it."""
    return f"/static/{name}?v={hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"

"""The Files API on volumes: `/api/2.0/fs/files` and `/api/2.0/fs/directories`, without DBFS."""

from __future__ import annotations

from dataclasses import asdict
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from lakerun.workspace.api.downloads import Download
from lakerun.workspace.api.routing import FILE, group
from lakerun.workspace.errors import ApiError, invalid
from lakerun.workspace.paths import present
from lakerun.workspace.requests import Whole
from lakerun.workspace.services.checks import without_none
from lakerun.workspace.services.files.volume_files import no_file

if TYPE_CHECKING:
    from lakerun.workspace.services import Services

# The error of a workspace without presigned URLs, after which clients use the Files API.
NO_PRESIGNED_URLS = "FILES_API_API_IS_NOT_ENABLED"


def router(services: Services) -> APIRouter:
    files = services.volume_files
    routes = group(prefix="/api/2.0")

    @routes.get("/fs/files/{path:path}")
    @routes.head("/fs/files/{path:path}")
    def read(path: str, request: Request) -> Download:
        file = files.file(f"/{path}")
        since = request.headers.get("If-Unmodified-Since")
        with present(no_file(f"/{path}")):
            if since and _changed_since(file.stat().st_mtime, since):
                raise ApiError("BAD_REQUEST", "The file has changed since it was first read.", status=412)
        return Download(file, no_file(f"/{path}"))

    @routes.put("/fs/files/{path:path}", status_code=204, openapi_extra=FILE)
    async def write(path: str, request: Request, overwrite: bool = True) -> Response:
        length = request.headers.get("Content-Length", "")
        await files.write(
            f"/{path}", request.stream(), overwrite, int(length) if length.isdecimal() else None
        )
        return Response(status_code=204)

    @routes.post("/fs/files/{path:path}")
    def initiate(path: str, action: str) -> dict[str, Any]:
        if action != "initiate-upload":
            raise ApiError("NOT_IMPLEMENTED", f"action={action} is not part of the local workspace.")
        return {"multipart_upload": {"session_token": "none"}}

    @routes.delete("/fs/files/{path:path}", status_code=204)
    def delete(path: str) -> Response:
        files.delete_file(f"/{path}")
        return Response(status_code=204)

    @routes.get("/fs/directories/{path:path}")
    def entries(path: str, page_size: Whole | None = None, page_token: str | None = None) -> dict[str, Any]:
        listed, following = files.entries(f"/{path}", page_size, page_token)
        contents = [{k: v for k, v in asdict(entry).items() if v is not None} for entry in listed]
        return without_none({"contents": contents, "next_page_token": following})

    @routes.head("/fs/directories/{path:path}")
    def directory(path: str) -> Response:
        files.directory(f"/{path}")
        return Response(status_code=200)

    @routes.put("/fs/directories/{path:path}", status_code=204)
    def make_directory(path: str) -> Response:
        files.make_directory(f"/{path}")
        return Response(status_code=204)

    @routes.delete("/fs/directories/{path:path}", status_code=204)
    def delete_directory(path: str) -> Response:
        files.delete_directory(f"/{path}")
        return Response(status_code=204)

    @routes.post("/fs/create-upload-part-urls")
    @routes.post("/fs/create-abort-upload-url")
    @routes.post("/fs/create-resumable-upload-url")
    @routes.post("/fs/create-download-url")
    def presigned() -> None:
        message = "Presigned URLs are not part of the local workspace; use the Files API."
        raise ApiError("PERMISSION_DENIED", message, reason=NO_PRESIGNED_URLS)

    @routes.get("/dbfs/{call}")
    @routes.post("/dbfs/{call}")
    def dbfs(call: str) -> None:
        raise ApiError(
            "PERMISSION_DENIED",
            "Public DBFS root is disabled. Use a volume: dbfs:/Volumes/<catalog>/<schema>/<volume>/...",
        )

    return routes


def _changed_since(modified: float, since: str) -> bool:
    try:
        return int(modified) > parsedate_to_datetime(since).timestamp()
    except (ValueError, OverflowError):
        raise invalid(f"If-Unmodified-Since: '{since}' is not an HTTP date.") from None

"""Workspace files: `/api/2.0/workspace/...` and `/api/2.0/workspace-files/...`."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from starlette.datastructures import UploadFile

from lakerun.workspace.api.downloads import Download
from lakerun.workspace.api.routing import FILE, body_of, group
from lakerun.workspace.api.uploads import bounded, too_large, uploaded
from lakerun.workspace.errors import ApiError, invalid
from lakerun.workspace.paths import present
from lakerun.workspace.requests import json_refusal, read_json
from lakerun.workspace.services import Services
from lakerun.workspace.services.checks import check
from lakerun.workspace.services.files.workspace_files import LANGUAGES, Notebook, absent
from lakerun.workspace.services.files.workspace_requests import DeleteObject, ImportObject, ObjectPath

EXPORT_BYTES = 10 * 2**20  # as on Databricks; direct_download has no such limit
CHUNK = 2**20
FORM_BYTES = 2**20  # for a form's boundaries and short fields


IMPORT = body_of("application/json", ImportObject.model_json_schema())


def router(services: Services) -> APIRouter:
    routes = group()
    files = services.files
    limit = services.settings.max_upload_bytes

    @routes.get("/api/2.0/workspace/get-status")
    def get_status(path: str) -> dict[str, Any]:
        return files.status(path)

    @routes.get("/api/2.0/workspace/list")
    def list_objects(path: str) -> dict[str, Any]:
        return {"objects": files.list(path)}

    @routes.post("/api/2.0/workspace/mkdirs")
    def mkdirs(body: ObjectPath) -> dict[str, Any]:
        files.mkdirs(body.path)
        return {}

    @routes.post("/api/2.0/workspace/delete")
    def delete(body: DeleteObject) -> dict[str, Any]:
        files.delete(body.path, recursive=body.recursive)
        return {}

    @routes.get("/api/2.0/workspace/export", response_model=None)
    def export(
        path: str, format: str = "SOURCE", direct_download: bool = False
    ) -> FileResponse | dict[str, Any]:
        if format not in ("SOURCE", "AUTO", "RAW", "JUPYTER"):
            raise invalid(f"format: '{format}' is not one of SOURCE, AUTO, RAW, JUPYTER.")
        file = files.readable(path)
        if direct_download:
            return Download(file, absent(path))
        with present(absent(path)):
            if file.stat().st_size > EXPORT_BYTES:
                raise ApiError(
                    "MAX_READ_SIZE_EXCEEDED",
                    f"path: {path} is larger than {EXPORT_BYTES:,} bytes; export it with direct_download.",
                )
            content = base64.b64encode(file.read_bytes()).decode()
        return {"content": content, "file_type": file.suffix.lstrip(".") or "py"}

    @routes.get("/api/2.0/workspace-files/{path:path}", response_model=None)
    def read(path: str) -> FileResponse:
        return Download(files.readable(f"/{path}"), absent(f"/{path}"))

    @routes.post(
        "/api/2.0/workspace-files/import-file/{path:path}",
        openapi_extra=FILE,
    )
    async def import_file(path: str, request: Request, overwrite: bool = False) -> dict[str, Any]:
        files.local_path(f"/{path}")  # refuse an invalid path before the body is read
        async with uploaded(request, files.new_upload, limit) as upload:
            await run_in_threadpool(files.save, f"/{path}", upload, overwrite=overwrite)
        return {}

    @routes.post(
        "/api/2.0/workspace/import",
        openapi_extra=IMPORT,
    )
    async def import_object(request: Request) -> dict[str, Any]:
        upload = files.new_upload()
        try:
            if request.headers.get("content-type", "").startswith("multipart/form-data"):
                given = await _from_form(request, upload, limit)
            else:
                async with uploaded(request, files.new_upload, 2 * limit) as body:
                    given = await run_in_threadpool(_from_json, body, upload, limit)
            await run_in_threadpool(_save, services, given, upload)
        finally:
            upload.unlink(missing_ok=True)
        return {}

    return routes


async def _from_form(request: Request, upload: Any, limit: int) -> ImportObject:
    arriving = Request(request.scope, bounded(request.receive, limit + FORM_BYTES))
    async with arriving.form() as form:
        content = form.get("content")
        fields = {key: value for key, value in form.items() if key != "content"}
        given = check(ImportObject, fields)
        with upload.open("wb") as target:
            if isinstance(content, UploadFile):
                if (content.size or 0) > limit:
                    raise too_large(limit)
                while chunk := await content.read(CHUNK):
                    target.write(chunk)
            elif content is not None:
                target.write(content.encode())
    return given


def _from_json(body: Any, upload: Any, limit: int) -> ImportObject:
    try:
        given = check(ImportObject, read_json(body.read_bytes()))
    except ValueError as error:
        raise json_refusal(error) from None
    try:
        content = base64.b64decode(given.content, validate=True)
    except (binascii.Error, ValueError):
        raise invalid("content: is not base64.") from None
    if len(content) > limit:
        raise too_large(limit)
    upload.write_bytes(content)
    return given


def _save(services: Services, given: ImportObject, upload: Any) -> None:
    files, overwrite = services.files, given.overwrite
    if given.format == "AUTO":
        files.save(given.path, upload, overwrite=overwrite)
    elif given.format == "RAW":
        files.save_file(given.path, upload, overwrite=overwrite)
    elif given.format in ("SOURCE", "JUPYTER"):
        language = given.language or ("PYTHON" if given.format == "JUPYTER" else "")
        if language not in LANGUAGES:
            raise invalid(f"language: must be one of {', '.join(LANGUAGES)} with format {given.format}.")
        files.save_notebook(given.path, upload, Notebook(language, given.format), overwrite=overwrite)
    else:
        raise invalid(f"format: '{given.format}' is not one of AUTO, SOURCE, RAW, JUPYTER.")

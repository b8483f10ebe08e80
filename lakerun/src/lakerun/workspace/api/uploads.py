"""Limits the size of request bodies while they arrive, and writes large ones to disk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from lakerun.workspace.errors import ApiError


@asynccontextmanager
async def uploaded(request: Request, new_file: Callable[[], Path], limit: int) -> AsyncIterator[Path]:
    """The request's body in a new file, which is deleted afterwards unless it was moved.

    Raises REQUEST_TOO_LARGE above `limit` bytes: before it reads anything if the Content-Length is too large.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise too_large(limit)
    file = new_file()
    try:
        size = 0
        with file.open("wb") as target:
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise too_large(limit)
                target.write(chunk)
        yield file
    finally:
        file.unlink(missing_ok=True)


class RefusedBody(HTTPException):
    """A body that is refused while it is read. The framework passes on only its own kind of exception."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(error.status)
        self.error = error


class BodyTooLarge(RefusedBody):
    """A body over its limit, found while it arrives."""

    def __init__(self, limit: int) -> None:
        super().__init__(too_large(limit))
        self.limit = limit


def bounded(receive: Receive, limit: int) -> Receive:
    """`receive`, but it raises BodyTooLarge as soon as more than `limit` bytes have arrived."""
    size = 0

    async def counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise BodyTooLarge(limit)
        return message

    return counted


def too_large(limit: int) -> ApiError:
    return ApiError("REQUEST_TOO_LARGE", f"The request's body is larger than {limit:,} bytes.")

"""Answers with a file's content."""

from __future__ import annotations

from pathlib import Path

from fastapi.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from lakerun.workspace.errors import ApiError


class Download(FileResponse):
    """A file's content. Raises `absent` if the file is deleted before it can be opened."""

    def __init__(self, file: Path, absent: ApiError) -> None:
        super().__init__(file, media_type="application/octet-stream")
        self._absent = absent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        held: list[Message] = []
        started = False

        async def hold_start(message: Message) -> None:
            """The base class sends the start before it opens the file."""
            nonlocal started
            held.append(message)
            if message["type"] != "http.response.start":
                started = True
                for each in held:
                    await send(each)
                held.clear()

        try:
            await super().__call__(scope, receive, hold_start)
        except (RuntimeError, FileNotFoundError):
            if started:
                raise
            raise self._absent from None

"""A server process that only counts: it answers 200 to every POST and knows how many messages arrived."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import cast

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Counter:
    """The server's address, and how many messages and bytes have arrived."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.port: int = pipe.recv()

    def counted(self) -> tuple[int, int, int]:
        """Messages, bytes and requests since the last call."""
        self._pipe.send("counted")
        return cast(tuple[int, int, int], self._pipe.recv())


@contextmanager
def counter() -> Iterator[Counter]:
    """A counting server, ended with the context."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield Counter(ours)
    finally:
        process.terminate()
        process.join()


class _Protocol(asyncio.Protocol):
    messages = size = requests = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._parts: list[bytes] = []
        self._missing = 0

    def data_received(self, data: bytes) -> None:
        if not self._missing:
            head, _, data = (b"".join(self._parts) + data).partition(b"\r\n\r\n")
            self._parts = []
            lowered = head.lower()
            begin = lowered.index(b"content-length:") + 15
            self._missing = int(lowered[begin:].split(b"\r\n", 1)[0])
        self._parts.append(data)
        self._missing -= len(data)
        if self._missing <= 0:
            body = b"".join(self._parts)
            self._parts, self._missing = [], 0
            _Protocol.messages += body.count(b'"messageId"')
            _Protocol.size += len(body)
            _Protocol.requests += 1
            self._transport.write(ANSWER)


def _serve(pipe: Connection) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(_Protocol, "127.0.0.1")
        pipe.send(server.sockets[0].getsockname()[1])
        while True:
            await loop.run_in_executor(None, pipe.recv)
            pipe.send((_Protocol.messages, _Protocol.size, _Protocol.requests))
            _Protocol.messages = _Protocol.size = _Protocol.requests = 0

    asyncio.run(run())

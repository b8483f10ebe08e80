"""A local HTTP server that answers as Customer.io's APIs are documented to, and fails as a test asks.

It knows nothing of the client. It counts the arrivals of each messageId: those are what a test compares with
what was due. `faults` is asked before each request and may say how that one fails.
"""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Self

KEY = "sk_us_0123456789abcdef"
OLD_KEY = "0123456789abcdef0123"
APP_KEY = "app0123456789abcdef"


@dataclass(frozen=True)
class Fault:
    """How a request fails.

    `accepted` says whether the messages arrive all the same. Then, after `seconds`, comes an answer with
    `status` and `headers`, or, if `status` is None, the connection is cut.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    accepted: bool = False
    seconds: float = 0.0


@dataclass(frozen=True)
class Request:
    """A request as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def messages(self) -> list[Any]:
        sent = json.loads(self.body)
        return sent["batch"] if self.path.endswith("/batch") else [sent]


class CustomerIOServer:
    """A server in a thread of its own, from `with` to the end of `with`."""

    def __init__(
        self,
        faults: Callable[[Request], Fault | None] = lambda request: None,
        *,
        keys: frozenset[str] = frozenset({KEY, OLD_KEY, APP_KEY}),
        call_bytes: int = 32_000,
        batch_bytes: int = 500_000,
    ) -> None:
        self.faults, self._keys = faults, keys
        self._call_bytes, self._batch_bytes = call_bytes, batch_bytes
        self.requests: list[Request] = []
        self.arrivals: Counter[str] = Counter()
        self.messages: list[dict[str, Any]] = []
        self.dropped: list[Any] = []  # answered with 200 in permissive mode, and lost
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        started = asyncio.run_coroutine_threadsafe(self._start(), self._loop)
        self._port = started.result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> int:
        self._server = await asyncio.start_server(self._connection, "127.0.0.1", limit=1 << 20)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _stop(self) -> None:
        self._server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await self._read(reader):
                self.requests.append(request)
                fault = self.faults(request)
                if fault and fault.status is None:
                    if fault.accepted:
                        self._answer(request)
                    await asyncio.sleep(fault.seconds)
                    break
                if fault:
                    if fault.accepted:
                        self._answer(request)
                    await asyncio.sleep(fault.seconds)
                    status, answer = fault.status or 0, {"meta": {"error": "a fault of the test"}}
                else:
                    status, answer = self._answer(request)
                writer.write(_response(status, answer, fault.headers if fault else {}))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            # A reset rather than an orderly end.
            writer.transport.abort()

    async def _read(self, reader: asyncio.StreamReader) -> Request | None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        except asyncio.IncompleteReadError:
            return None
        _, path, _ = head[0].split(" ")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Request(path, headers, body, time.monotonic())

    def _answer(self, request: Request) -> tuple[int, dict[str, Any]]:
        if request.path.startswith(("/v1/send/", "/v1/campaigns/")):
            return self._app(request)
        strict = request.headers.get("x-strict-mode") == "1"
        if self._key(request) not in self._keys:
            return (401, {"meta": {"error": "invalid api key"}}) if strict else (200, {})
        if problems := self._problems(request):
            if strict:
                return 400, {"meta": {"errors": problems}}
            self.dropped.append(request.body)
            return 200, {}
        for message in request.messages:
            self.arrivals[message.get("messageId", "")] += 1
            self.messages.append(message)
        return 200, {}

    def _app(self, request: Request) -> tuple[int, dict[str, Any]]:
        if request.headers.get("authorization") != f"Bearer {APP_KEY}":
            return 401, {"errors": [{"detail": "unauthorized", "status": "401"}]}
        sent = json.loads(request.body)
        self.messages.append(sent)
        if request.path == "/v1/send/email":
            if not (sent.get("to") and sent.get("identifiers")):
                return 400, {"meta": {"error": "missing 'to' or 'identifiers'"}}
            return 200, {"delivery_id": f"delivery-{len(self.messages)}", "queued_at": 1_700_000_000}
        number = request.path.split("/")[3]
        if number == "404":
            return 404, {"errors": [{"detail": "not found", "status": "404"}]}
        return 200, {"id": int(number) * 10}

    @staticmethod
    def _key(request: Request) -> str:
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if scheme == "Bearer":
            return value
        try:
            user, _, password = base64.b64decode(value).decode().partition(":")
        except ValueError:
            return ""
        return "" if password else user

    def _problems(self, request: Request) -> list[str]:
        """What is wrong with a request, in words; one message's problem refuses a whole batch."""
        if request.headers.get("content-type") != "application/json":
            return ["the body must be JSON"]
        try:
            sent = json.loads(request.body, parse_constant=_no_constant)
        except ValueError:
            return ["malformed JSON"]
        kind = request.path.rsplit("/", 1)[1]
        if kind != "batch":
            if len(request.body) > self._call_bytes:
                return ["request is larger than 32KB"]
            return problems_of(sent, kind)
        if len(request.body) > self._batch_bytes:
            return ["batch is larger than 500KB"]
        if not isinstance(sent, dict) or not isinstance(sent.get("batch"), list) or not sent["batch"]:
            return ["batch must be a list"]
        parts = [_encoded(message) for message in sent["batch"]]
        long = ["a call in the batch is larger than 32KB" for part in parts if len(part) > self._call_bytes]
        return long + [problem for message in sent["batch"] for problem in problems_of(message)]


def problems_of(message: Any, kind: str | None = None) -> list[str]:
    """What the documentation does not allow in a message."""
    if not isinstance(message, dict):
        return ["a message must be an object"]
    kind = kind or message.get("type")
    identified = [
        name for name in ("userId", "anonymousId", "groupId") if _text(message.get(name), required=True)
    ]
    found = [
        f"{name} must be a text that is not empty"
        for name in ("userId", "anonymousId", "groupId", "previousId", "messageId")
        if name in message and not _text(message[name], required=True)
    ]
    found += [
        f"{name} must be an ISO 8601 timestamp"
        for name in ("timestamp", "originalTimestamp", "sentAt")
        if name in message and not _moment(message[name])
    ]
    found += [
        f"{name} must be an object"
        for name in ("traits", "properties", "context", "integrations")
        if name in message and not isinstance(message[name], dict)
    ]
    if kind in ("identify", "page", "screen") and not {"userId", "anonymousId"} & set(identified):
        found.append("userId or anonymousId is required")
    elif kind == "track":
        if not identified:
            found.append("userId, anonymousId or groupId is required")
        name = message.get("event")
        if not _text(name, required=True):
            found.append("event name must not be blank")
        elif len(name.encode()) > 100:
            found.append("event name cannot be longer than 100 bytes")
        found += _semantic(message)
    elif kind == "group" and "groupId" not in identified:
        found.append("groupId is required")
    elif kind == "alias" and not ("userId" in identified and _text(message.get("previousId"), required=True)):
        found.append("previousId and userId are required")
    elif kind not in ("identify", "page", "screen", "group", "alias"):
        found.append("unknown type")
    if kind in ("identify", "group") and isinstance(message.get("traits"), dict):
        found += _traits(message["traits"])
    return found


def _semantic(message: dict[str, Any]) -> list[str]:
    name, properties = message.get("event"), message.get("properties") or {}
    if name in ("Device Created or Updated", "Device Deleted"):
        device = (message.get("context") or {}).get("device") or {}
        if not device.get("token") or "userId" not in message:
            return ["userId and context.device.token are required"]
    if name in ("User Deleted", "User Suppressed", "User Unsuppressed") and "userId" not in message:
        return ["userId is required"]
    if name in ("Relationship Deleted", "Object Deleted") and not properties.get("objectId"):
        return ["objectId is required"]
    return []


def _traits(traits: dict[str, Any]) -> list[str]:
    found = []
    if len(traits) > 300:
        found.append("cannot identify more than 300 attributes in one request")
    for name, value in traits.items():
        if len(name.encode()) > 150:
            found.append("attribute name cannot be longer than 150 bytes")
        if name != "relationshipAttributes" and len(_encoded(value).strip(b'"')) > 1000:
            found.append(f"value for attribute '{name}' cannot be longer than 1000 bytes")
    return found


def _text(value: Any, *, required: bool = False) -> bool:
    return isinstance(value, str) and bool(value.strip() or not required)


def _moment(value: Any) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _encoded(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _response(status: int, answer: dict[str, Any], headers: Mapping[str, str]) -> bytes:
    body = json.dumps(answer).encode()
    lines = [f"HTTP/1.1 {status} Answer", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body

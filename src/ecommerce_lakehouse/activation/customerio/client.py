"""Sends messages to the Data Pipelines API: `AsyncClient`, and `Client` for code that is not async."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from ecommerce_lakehouse.activation.customerio.calls import Answer, Attempt, Calls
from ecommerce_lakehouse.activation.customerio.models import Context, Message
from ecommerce_lakehouse.activation.customerio.outcomes import (
    Accepted,
    Delivery,
    Failed,
    Outcome,
    Refused,
    Rejected,
    Unknown,
)
from ecommerce_lakehouse.activation.customerio.packing import Batch, OwnContext, pack
from ecommerce_lakehouse.activation.customerio.rates import Rate, RequestRate
from ecommerce_lakehouse.activation.customerio.settings import Settings

_Result = TypeVar("_Result")


class AsyncClient:
    """Sends messages and says what became of each.

    Args:
        settings: Key, region, limits, retries.
        rate: How many requests may be made; by default the settings' limits, for this client alone.
            Processes that share a key share a `RequestRate` with a file.
        observe: Is called for each attempt, with nothing of the messages.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        rate: Rate | None = None,
        observe: Callable[[Attempt], None] | None = None,
    ) -> None:
        self._settings = settings
        self._calls = Calls(
            settings,
            rate or RequestRate(settings.limits, lease=2 * settings.timeout),
            headers={"X-Strict-Mode": "1"} if settings.strict else {},
            observe=observe,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._calls.aclose()

    async def send(
        self,
        messages: Iterable[Message | Mapping[str, Any]],
        *,
        validate: bool = False,
        context: Context | None = None,
        integrations: Mapping[str, bool] | None = None,
        own_context: OwnContext = "call",
    ) -> AsyncGenerator[Delivery, None]:
        """Send messages in batches as large as they may be, reading them no faster than they are sent.

        A batch that is refused is halved until only the messages that the API does not take are rejected. The
        arguments are those of `pack`.

        Yields:
            Every message in exactly one delivery, batch by batch.

        Raises:
            AuthenticationError: The API does not take the key. Messages without a delivery are still due.
            UnexpectedAnswerError: The host is not the API.
        """
        under_way: deque[asyncio.Task[list[Delivery]]] = deque()
        packed = pack(
            messages,
            self._settings.limits,
            validate=validate,
            context=context,
            integrations=integrations,
            own_context=own_context,
        )
        try:
            for item in packed:
                if not isinstance(item, Batch):
                    yield Delivery(Rejected(item.reason), [item.position], [item.message_id])
                    continue
                under_way.append(asyncio.create_task(self._deliver(item)))
                await asyncio.sleep(0)  # it begins while the next batch is packed
                if len(under_way) >= self._settings.concurrency:
                    for delivery in await under_way.popleft():
                        yield delivery
            while under_way:
                for delivery in await under_way.popleft():
                    yield delivery
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def call(self, message: Message | Mapping[str, Any]) -> Outcome:
        """Send one message to its own endpoint, such as `/identify`, and say what became of it.

        Raises:
            AuthenticationError: The API does not take the key.
            UnexpectedAnswerError: The host is not the API.
        """
        (item,) = pack([message], self._settings.limits, validate=True, single=True)
        if not isinstance(item, Batch):
            return Rejected(item.reason)
        (delivery,) = await self._deliver(item)
        return delivery.outcome

    async def _deliver(self, batch: Batch) -> list[Delivery]:
        body = batch.body()
        answer = await self._calls.post(batch.endpoint, body, len(batch))
        if answer.rejected and len(batch) > 1:
            first, second = batch.halves()
            return [*await self._deliver(first), *await self._deliver(second)]
        sent = 0 if answer.refused_for is not None else len(body)
        return [Delivery(self._outcome(answer), batch.positions, batch.message_ids, sent)]

    def _outcome(self, answer: Answer) -> Outcome:
        if answer.refused_for is not None:
            return Refused(answer.refused_for)
        if answer.status is not None and answer.status < 300:
            return Accepted(verified=self._settings.strict)
        if answer.rejected:
            return Rejected(answer.reason, answer.status)
        return Unknown(answer.reason) if answer.unknown else Failed(answer.reason)


class Client:
    """`AsyncClient` for code that is not async.

    Its event loop runs in a thread of its own, so it works in a notebook, which has one already.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        rate: Rate | None = None,
        observe: Callable[[Attempt], None] | None = None,
    ) -> None:
        self._loop = Loop()
        self._client = AsyncClient(settings, rate=rate, observe=observe)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections and end the thread."""
        self._loop.run(self._client.aclose())
        self._loop.close()

    def send(
        self,
        messages: Iterable[Message | Mapping[str, Any]],
        *,
        validate: bool = False,
        context: Context | None = None,
        integrations: Mapping[str, bool] | None = None,
        own_context: OwnContext = "call",
    ) -> Iterator[Delivery]:
        """`AsyncClient.send`. Sends as deliveries are read; `messages` is read in another thread."""
        deliveries = self._client.send(
            messages,
            validate=validate,
            context=context,
            integrations=integrations,
            own_context=own_context,
        )
        try:
            while (delivery := self._loop.run(_next(deliveries))) is not None:
                yield delivery
        finally:
            self._loop.run(deliveries.aclose())

    def call(self, message: Message | Mapping[str, Any]) -> Outcome:
        """`AsyncClient.call`."""
        return self._loop.run(self._client.call(message))


class Loop:
    """An event loop in a thread, for calls from code that is not async."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="customerio", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """The result of a coroutine; an interrupted wait cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _next(deliveries: AsyncGenerator[Delivery, None]) -> Delivery | None:
    return await anext(deliveries, None)

"""Sends messages to the Data Pipelines API: `AsyncClient`, and `Client` for code that is not async."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from ecommerce_lakehouse.activation.customerio.callers import AsyncCaller, Caller
from ecommerce_lakehouse.activation.customerio.calls import Answer, Attempt
from ecommerce_lakehouse.activation.customerio.encoding import Ready
from ecommerce_lakehouse.activation.customerio.errors import CustomerIOError
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
from ecommerce_lakehouse.activation.customerio.packing import Batch, Oversize, OwnContext, Unsendable, pack
from ecommerce_lakehouse.activation.customerio.rates import Rate
from ecommerce_lakehouse.activation.customerio.settings import Settings


class AsyncClient(AsyncCaller):
    """Sends messages and says what became of each.

    Args:
        settings: Key, region, limits, retries.
        rate: How many requests may be made; by default the limits of the settings, only for this client.
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
        super().__init__(
            settings, rate, headers={"X-Strict-Mode": "1"} if settings.strict else {}, observe=observe
        )

    async def send(
        self,
        messages: Iterable[Message | Mapping[str, Any] | Ready],
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
        packed = pack(
            messages,
            self.settings.limits,
            validate=validate,
            context=context,
            integrations=integrations,
            own_context=own_context,
        )
        under_way: deque[asyncio.Task[list[Delivery]]] = deque()
        try:
            # In a thread: a source that is slow must not make the answers late.
            while (item := await asyncio.to_thread(next, packed, None)) is not None:
                while len(under_way) >= self.settings.concurrency:
                    for delivery in await under_way.popleft():
                        yield delivery
                under_way.append(asyncio.create_task(self.deliver(item)))
            while under_way:
                for delivery in await under_way.popleft():
                    yield delivery
        except CustomerIOError:
            # What else is under way may be accepted.
            for result in await asyncio.gather(*under_way, return_exceptions=True):
                for delivery in [] if isinstance(result, BaseException) else result:
                    yield delivery
            raise
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def deliver(self, item: Batch | Oversize | Unsendable) -> list[Delivery]:
        """Send one batch, and halve it while the API refuses it. What could not be packed is rejected."""
        if not isinstance(item, Batch):
            return [Delivery(Rejected(item.reason), [item.position], [item.message_id])]
        body = item.body()
        answer = await self._calls.post(item.endpoint, body, len(item))
        if answer.rejected and len(item) > 1:
            first, second = item.halves()
            found = await self.deliver(first)
            try:
                return [*found, *await self.deliver(second)]
            except CustomerIOError as error:
                # It stops the next batch; what was accepted of this one must be known.
                return [*found, Delivery(Failed(str(error)), second.positions, second.message_ids)]
        sent = 0 if answer.refused_for is not None else len(body)
        return [Delivery(self._outcome(answer), item.positions, item.message_ids, sent)]

    async def call(self, message: Message | Mapping[str, Any]) -> Outcome:
        """Send one message to its own endpoint, such as `/identify`, and say what became of it.

        Raises:
            AuthenticationError: The API does not take the key.
            UnexpectedAnswerError: The host is not the API.
        """
        (item,) = pack([message], self.settings.limits, validate=True, single=True)
        (delivery,) = await self.deliver(item)
        return delivery.outcome

    def _outcome(self, answer: Answer) -> Outcome:
        if answer.refused_for is not None:
            return Refused(answer.refused_for)
        if answer.status is not None and answer.status < 300:
            return Accepted(verified=self.settings.strict)
        if answer.rejected:
            return Rejected(answer.reason, answer.status)
        return Unknown(answer.reason) if answer.unknown else Failed(answer.reason)


class Client(Caller[AsyncClient]):
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
        super().__init__(AsyncClient(settings, rate=rate, observe=observe))

    def send(
        self,
        messages: Iterable[Message | Mapping[str, Any] | Ready],
        *,
        validate: bool = False,
        context: Context | None = None,
        integrations: Mapping[str, bool] | None = None,
        own_context: OwnContext = "call",
    ) -> Iterator[Delivery]:
        """`AsyncClient.send`. `messages` is read in the caller's thread, while the batch before is sent."""
        packed = pack(
            messages,
            self.settings.limits,
            validate=validate,
            context=context,
            integrations=integrations,
            own_context=own_context,
        )
        under_way: deque[Future[list[Delivery]]] = deque()
        try:
            for item in packed:
                while len(under_way) >= self.settings.concurrency:
                    yield from under_way.popleft().result()
                under_way.append(self._loop.start(self._client.deliver(item)))
            while under_way:
                yield from under_way.popleft().result()
        except CustomerIOError:
            for future in under_way:
                with suppress(CustomerIOError):
                    yield from future.result()
            raise
        finally:
            for future in under_way:
                future.cancel()

    def call(self, message: Message | Mapping[str, Any]) -> Outcome:
        """`AsyncClient.call`."""
        return self._loop.run(self._client.call(message))

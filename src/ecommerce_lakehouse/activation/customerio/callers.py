"""What the clients of both APIs share: `AsyncCaller` has the connections, `Caller` an event loop for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from ecommerce_lakehouse.activation.customerio.calls import REJECTIONS, Attempt, Calls
from ecommerce_lakehouse.activation.customerio.rates import Rate, RequestRate
from ecommerce_lakehouse.activation.customerio.settings import Settings

_Result = TypeVar("_Result")


class AsyncCaller:
    """Calls one API until it is closed; without a `rate` the settings' limits count, for this object."""

    def __init__(
        self,
        settings: Settings,
        rate: Rate | None,
        *,
        headers: Mapping[str, str] | None = None,
        rejections: frozenset[int] = REJECTIONS,
        observe: Callable[[Attempt], None] | None,
    ) -> None:
        self.settings = settings
        rate = rate or RequestRate(settings.limits, lease=2 * settings.timeout)
        self._calls = Calls(settings, rate, headers=headers or {}, rejections=rejections, observe=observe)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._calls.aclose()


_Async = TypeVar("_Async", bound=AsyncCaller)


class Caller(Generic[_Async]):
    """An `AsyncCaller` for code that is not async."""

    def __init__(self, client: _Async) -> None:
        self._client = client
        self._loop = _Loop()

    @property
    def settings(self) -> Settings:
        """Where it calls, and how; the key in it is not printed."""
        return self._client.settings

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


class _Loop:
    """An event loop in a thread, for calls from code that is not async."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="customerio", daemon=True)
        self._thread.start()

    def start(self, work: Coroutine[Any, Any, _Result]) -> Future[_Result]:
        """Begin a coroutine."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """The result of a coroutine; an interrupted wait cancels it."""
        future = self.start(work)
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

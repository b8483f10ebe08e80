"""One HTTP call with everything around it: rate, circuit breaker, retries, logging. `Calls.post`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx2
import orjson
import tenacity

from ecommerce_lakehouse.activation.customerio.breaker import Breaker
from ecommerce_lakehouse.activation.customerio.errors import AuthenticationError, UnexpectedAnswerError
from ecommerce_lakehouse.activation.customerio.logs import client_logger
from ecommerce_lakehouse.activation.customerio.rates import Rate
from ecommerce_lakehouse.activation.customerio.settings import Settings

# The request did not reach the server, or the server says that it did nothing with it.
_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
_NOT_DONE = frozenset({408, 429})
REJECTIONS = frozenset({400, 413, 422})


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request and its answer, for a log of requests: it holds nothing of a message.

    Attributes:
        endpoint: The path after the base URL.
        messages: How many messages it carried.
        sent_bytes: The body's length.
        number: 1 for the first attempt of a call.
        status: The answer's status; None if there was none.
        error: The kind of transport error, if there was no answer.
        seconds: How long it took.
        at: When it began.
    """

    endpoint: str
    messages: int
    sent_bytes: int
    number: int
    status: int | None
    error: str | None
    seconds: float
    at: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """How a call ended.

    Attributes:
        status: The last answer's status; None if there was none.
        content: The last answer's body.
        reason: In words, for people; of an answer its own words.
        unknown: An attempt may have been carried out without an answer that says so.
        retry_after: The seconds that the server asks to wait.
        refused_for: The seconds for which the circuit breaker refuses; None if it let the call pass.
        rejected: The server does not take this body.
    """

    status: int | None
    content: bytes = b""
    reason: str = ""
    unknown: bool = False
    retry_after: float | None = None
    refused_for: float | None = None
    rejected: bool = False


class Calls:
    """Posts bodies to one host. `observe` hears of each attempt, from the client's own thread."""

    def __init__(
        self,
        settings: Settings,
        rate: Rate,
        *,
        headers: Mapping[str, str],
        rejections: frozenset[int] = REJECTIONS,
        observe: Callable[[Attempt], None] | None = None,
    ) -> None:
        self._settings, self._rate, self._observe = settings, rate, observe
        self._rejections = rejections
        self._breaker = Breaker(settings.breaker_failures, settings.breaker_seconds)
        self._log = client_logger(settings.key.get_secret_value())
        # No redirect is followed, so the key goes to this host only.
        self._http = httpx2.AsyncClient(
            auth=_Authorization(settings),
            headers={"Content-Type": "application/json", **headers},
            timeout=settings.timeout,
            follow_redirects=False,
            # Only this machine is called over http. Loading root certificates takes 0.1 s.
            verify=settings.base_url.startswith("https:"),
            limits=httpx2.Limits(max_connections=settings.concurrency + 1),
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def post(self, endpoint: str, body: bytes, messages: int, *, repeatable: bool = True) -> Answer:
        """Post the same bytes until there is an answer, the budget is used up, or the breaker opens.

        Args:
            endpoint: The path after the base URL.
            body: What is sent, each time the same.
            messages: How many messages that is, for the log.
            repeatable: Whether it may be tried again when it may have been carried out.

        Raises:
            AuthenticationError: The answer is 401 or 403.
            UnexpectedAnswerError: The API does not give such an answer.
        """
        number, unknown, last = 0, False, Answer(None)

        async def attempt() -> Answer:
            nonlocal number, unknown, last
            answer = await self._attempt(endpoint, body, messages, number + 1)
            if answer.refused_for is None:
                number, unknown, last = number + 1, unknown or answer.unknown, answer
            return answer

        answer: Answer = await self._retrying(repeatable)(attempt)
        if answer.refused_for is not None and number:
            answer = last  # the breaker opened in the midst of this call
        ok = answer.status is not None and answer.status < 300
        self._log.log(
            logging.INFO if ok else logging.WARNING,
            "called",
            endpoint=endpoint,
            count=messages,
            bytes=len(body),
            attempts=number,
            status=answer.status,
            refused=answer.refused_for is not None,
        )
        return replace(answer, unknown=unknown and not ok)

    async def _attempt(self, endpoint: str, body: bytes, messages: int, number: int) -> Answer:
        status, error = None, None
        async with self._rate.turn():
            # Nothing may be awaited between the breaker's check and the attempt.
            if wait := self._breaker.refuses_for():
                return Answer(None, refused_for=wait)
            at, begun = datetime.now(UTC), time.monotonic()
            try:
                response = await self._http.post(f"{self._settings.base_url}/{endpoint}", content=body)
                status = response.status_code
                self._breaker.failed() if status >= 500 else self._breaker.succeeded()
                return self._answer(response)
            except httpx2.RequestError as failure:
                self._breaker.failed()
                error = type(failure).__name__
                return Answer(None, reason=error, unknown=not isinstance(failure, _NOT_SENT))
            except BaseException as failure:
                error = type(failure).__name__
                if status is None:
                    self._breaker.abandoned()
                raise
            finally:
                seconds = time.monotonic() - begun
                self._tell(Attempt(endpoint, messages, len(body), number, status, error, seconds, at))

    def _tell(self, attempt: Attempt) -> None:
        if self._observe is None:
            return
        try:
            self._observe(attempt)
        except Exception as error:  # the outcome must be known all the same
            self._log.warning("unobserved", endpoint=attempt.endpoint, error=type(error).__name__)

    def _answer(self, response: httpx2.Response) -> Answer:
        status, host = response.status_code, self._settings.host
        if status in (401, 403):
            raise AuthenticationError(status, host)
        if not (200 <= status < 300 or status >= 500 or status in _NOT_DONE | self._rejections):
            raise UnexpectedAnswerError(status, host)
        return Answer(
            status,
            content=response.content,
            reason=_reason(response) if status >= 400 else "",
            unknown=status >= 500,
            retry_after=retry_after(response.headers.get("Retry-After"), response.headers.get("Date")),
            rejected=status in self._rejections,
        )

    def _retrying(self, repeatable: bool) -> tenacity.AsyncRetrying:
        policy = self._settings.retries
        backoff = tenacity.wait_exponential(
            multiplier=policy.wait_initial, max=policy.wait_max
        ) + tenacity.wait_random(0, policy.wait_jitter)

        def again(answer: Answer) -> bool:
            if answer.refused_for is not None or (answer.unknown and not repeatable):
                return False
            return answer.status is None or answer.status in _NOT_DONE or answer.status >= 500

        def wait(state: tenacity.RetryCallState) -> float:
            answer: Answer = state.outcome.result()  # type: ignore[union-attr]
            if answer.retry_after is None:
                return backoff(state)
            return min(answer.retry_after, policy.retry_after_max)

        return tenacity.AsyncRetrying(
            retry=tenacity.retry_if_result(again),
            wait=wait,
            stop=tenacity.stop_any(
                tenacity.stop_after_attempt(policy.attempts), tenacity.stop_before_delay(policy.budget)
            ),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )


class _Authorization(httpx2.Auth):
    """Puts the key into a request; no attribute of a client or a request's printed form shows it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        request.headers["Authorization"] = self._settings.authorization()
        yield request


def retry_after(header: str | None, date: str | None = None) -> float | None:
    """The seconds that a `Retry-After` asks for, in seconds or as a date; None where it cannot be read.

    A date is compared with the server's own `Date`, so that a wrong clock here does no harm.
    """
    text = (header or "").strip()
    if text.isdecimal():
        return float(text)
    until = _date(text)
    if until is None:
        return None
    return max(0.0, (until - (_date(date) or datetime.now(UTC))).total_seconds())


def _date(text: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _reason(response: httpx2.Response) -> str:
    """The server's words, from any of the forms that the two APIs use."""
    try:
        body = orjson.loads(response.content)
        meta = body.get("meta") or body
        found = meta.get("errors") or [meta["error"]]
        words = [
            str(item.get("detail") or item.get("message") or item) if isinstance(item, dict) else str(item)
            for item in found
        ]
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
        return f"status {response.status_code}"
    return "; ".join(words)

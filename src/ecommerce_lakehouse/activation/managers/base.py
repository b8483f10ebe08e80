"""What every manager has: calls that are counted, timed and logged. `Manager`, `ClientManager`."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Self, overload

from typing_extensions import Unpack

from ecommerce_lakehouse.activation.customerio.builders import Common, track
from ecommerce_lakehouse.activation.customerio.client import Client
from ecommerce_lakehouse.activation.customerio.logs import client_logger
from ecommerce_lakehouse.activation.customerio.models import Message
from ecommerce_lakehouse.activation.customerio.outcomes import Accepted, Outcome, Rejected
from ecommerce_lakehouse.activation.customerio.registry import Event, Properties
from ecommerce_lakehouse.activation.managers.metrics import Metrics

LOGGER = "ecommerce_lakehouse.activation.managers"


@dataclass
class Call:
    """One call while it is made: what became of its messages, and what the log shows of it."""

    outcomes: Counter[str] = field(default_factory=Counter)
    shown: dict[str, Any] = field(default_factory=dict)


class Manager:
    """Counts, times and logs its calls. The log has no key, and of a person only a keyed hash.

    Args:
        metrics: Where calls are counted; managers that share one are seen together.
        key: The key of the API, which no line of the log shows.
    """

    name: ClassVar[str]

    def __init__(self, *, metrics: Metrics | None = None, key: str | None = None) -> None:
        self.metrics = metrics or Metrics()
        self._log = client_logger(key or secrets.token_hex(), LOGGER)

    def get_metrics(self) -> dict[str, Any]:
        """The manager's name, and by operation its calls, their messages by outcome, and their seconds."""
        return {"manager": self.name, "calls": self.metrics.snapshot().get(self.name, {})}

    @contextmanager
    def _measured(self, operation: str) -> Iterator[Call]:
        call, begun, error = Call(), time.monotonic(), None
        try:
            yield call
        except Exception as failure:
            error = type(failure).__name__
            # pydantic's ValidationError is a ValueError too: the message was never made.
            call.outcomes["invalid" if isinstance(failure, ValueError) else "error"] += 1
            raise
        finally:
            seconds = time.monotonic() - begun
            self.metrics.record(self.name, operation, call.outcomes, seconds)
            bad = error or set(call.outcomes) - {"accepted", "unverified", "done"}
            shown = {**call.shown, **call.outcomes, **({"error": error} if error else {})}
            log = self._log.warning if bad else self._log.info
            log(operation, manager=self.name, seconds=round(seconds, 4), **shown)


class ClientManager(Manager):
    """A manager over a client, whose retries, rate and circuit breaker count for each call."""

    def __init__(self, client: Client, *, metrics: Metrics | None = None) -> None:
        super().__init__(metrics=metrics, key=client.settings.key.get_secret_value())
        self._client = client

    def _send(self, operation: str, make: Callable[[], Message]) -> Outcome:
        """Make a message, send it to its own endpoint, and say what became of it.

        Raises:
            ValueError: It is not a message that the API documents.
            CustomerIOError: Sending cannot go on: a key that is not taken, a host that is not the API.
        """
        with self._measured(operation) as call:
            message = make()
            for name in ("user_id", "anonymous_id", "group_id"):
                if (value := getattr(message, name, None)) is not None:
                    call.shown[name] = value  # the logger writes its hash
            outcome = self._client.call(message)
            call.outcomes[outcome_name(outcome)] += 1
            return outcome


class SendEvent(Generic[Properties]):
    """Sends one registered event; a type checker and an editor know its properties."""

    def __init__(self, manager: ClientManager, event: Event[Properties]) -> None:
        self._manager, self.event = manager, event
        self.__doc__ = event.meaning

    def __call__(
        self,
        properties: Properties | None = None,
        *,
        extra: dict[str, Any] | None = None,
        **common: Unpack[Common],
    ) -> Outcome:
        """Send it. The arguments are those of `builders.track`.

        Raises:
            ValueError: A property is not as documented, or nobody is named.
            CustomerIOError: Sending cannot go on.
        """
        return self._manager._send(
            self.event.slug, lambda: track(self.event, properties, extra=extra, **common)
        )


class sends(Generic[Properties]):  # noqa: N801  (read as a word: `order_completed = sends(...)`)
    """A method of a manager that sends this event of the registry."""

    def __init__(self, event: Event[Properties]) -> None:
        self.event = event
        self.__doc__ = event.meaning

    @overload
    def __get__(self, manager: None, owner: type[ClientManager]) -> Self: ...

    @overload
    def __get__(self, manager: ClientManager, owner: type[ClientManager]) -> SendEvent[Properties]: ...

    def __get__(
        self, manager: ClientManager | None, owner: type[ClientManager]
    ) -> Self | SendEvent[Properties]:
        return self if manager is None else SendEvent(manager, self.event)


def outcome_name(outcome: Outcome) -> str:
    """An outcome as metrics and logs name it; a 200 of permissive mode is `unverified`."""
    match outcome:
        case Accepted(verified=False):
            return "unverified"
        case Rejected(status=None):
            return "invalid"
        case _:
            return type(outcome).__name__.lower()

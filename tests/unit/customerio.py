"""Shared by the tests of the client of Customer.io: messages, settings for a local server, outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ecommerce_lakehouse.activation.customerio.client import Client
from ecommerce_lakehouse.activation.customerio.outcomes import Accepted, Delivery, Outcome
from ecommerce_lakehouse.activation.customerio.settings import Retries, Settings
from tests.customerio_server import KEY, CustomerIOServer, Fault, Request

QUICK = Retries(
    attempts=4, budget=5.0, wait_initial=0.001, wait_max=0.01, wait_jitter=0.001, retry_after_max=0.05
)
VERIFIED = Accepted(verified=True)


def person(number: int) -> dict[str, Any]:
    return {"type": "identify", "userId": f"u{number}", "messageId": f"m{number}", "traits": {"n": number}}


def settings(server: CustomerIOServer, **options: Any) -> Settings:
    return Settings.of(
        **{"key": KEY, "base_url": server.url, "retries": QUICK, "timeout": 5.0, "breaker_failures": 50}
        | options
    )


@contextmanager
def client(server: CustomerIOServer, **options: Any) -> Iterator[Client]:
    with Client(settings(server, **options)) as opened:
        yield opened


def outcomes(deliveries: Iterator[Delivery]) -> dict[int, Outcome]:
    return {place: delivery.outcome for delivery in deliveries for place in delivery.positions}


def first(count: int, fault: Fault) -> Callable[[Request], Fault | None]:
    """The first so many requests fail this way."""
    left = iter(range(count))
    return lambda request: fault if next(left, None) is not None else None

"""Calls that fail: what is repeated, how long it waits, when it ends, and what the messages are then."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from ecommerce_lakehouse.activation.customerio.breaker import Breaker
from ecommerce_lakehouse.activation.customerio.calls import Attempt, retry_after
from ecommerce_lakehouse.activation.customerio.client import AsyncClient, Client
from ecommerce_lakehouse.activation.customerio.errors import AuthenticationError
from ecommerce_lakehouse.activation.customerio.limits import Limits
from ecommerce_lakehouse.activation.customerio.outcomes import Delivery, Failed, Outcome, Refused, Unknown
from ecommerce_lakehouse.activation.customerio.settings import Retries
from tests.customerio_server import CustomerIOServer, Fault, Request
from tests.unit.customerio import QUICK, VERIFIED, client, first, outcomes, person, settings

QUICK_AND_LONG = Retries(attempts=20, wait_initial=0.001, wait_max=0.002, wait_jitter=0.001)


FAULTS = {
    "500": Fault(500),
    "503": Fault(503),
    "429 in seconds": Fault(429, {"Retry-After": "0"}),
    "429 without": Fault(429),
    "429 with nonsense": Fault(429, {"Retry-After": "soon"}),
    "429 with a date": Fault(429, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
    "408": Fault(408),
    "reset": Fault(),
    "reset after it was accepted": Fault(accepted=True),
    "no answer": Fault(seconds=1.0),
    "no answer after it was accepted": Fault(accepted=True, seconds=1.0),
    "500 after it was accepted": Fault(500, accepted=True),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_failed_call_is_repeated_with_the_same_bytes(fault: Fault) -> None:
    with CustomerIOServer(first(2, fault)) as server, client(server, timeout=fault.seconds / 2 or 5) as cio:
        assert outcomes(cio.send([person(0), {"type": "identify", "userId": "u1"}])) == {
            0: VERIFIED,
            1: VERIFIED,
        }
    assert len(server.requests) == 3
    assert len({request.body for request in server.requests}) == 1
    assert set(server.arrivals.values()) == {3 if fault.accepted else 1}


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (FAULTS["500"], Unknown),
        (FAULTS["reset"], Unknown),
        (FAULTS["no answer"], Unknown),
        (FAULTS["429 without"], Failed),
        (FAULTS["408"], Failed),
    ],
)
def test_a_call_that_keeps_failing_says_whether_it_may_have_arrived(fault: Fault, kind: type) -> None:
    with (
        CustomerIOServer(lambda request: fault) as server,
        client(server, timeout=fault.seconds / 2 or 5, retries=replace(QUICK, attempts=2)) as cio,
    ):
        assert isinstance(cio.call(person(0)), kind)
    assert len(server.requests) == 2


def test_a_call_may_have_arrived_although_its_last_attempt_did_not() -> None:
    faults = iter([Fault(accepted=True), *[Fault(429)] * 3])
    with CustomerIOServer(lambda request: next(faults)) as server, client(server) as cio:
        assert isinstance(cio.call(person(0)), Unknown)
    assert server.arrivals["m0"] == 1


def test_a_host_that_is_not_there_fails_and_leaves_nothing_unknown() -> None:
    with CustomerIOServer() as server:
        gone = settings(server)
    with Client(gone) as cio:
        assert isinstance(cio.call(person(0)), Failed)


def test_the_total_time_is_bounded() -> None:
    policy = Retries(attempts=1_000, budget=0.2, wait_initial=0.05, wait_max=0.05, wait_jitter=0)
    with CustomerIOServer(lambda request: Fault(500)) as server, client(server, retries=policy) as cio:
        assert isinstance(cio.call(person(0)), Unknown)
    assert server.requests[-1].at - server.requests[0].at <= 1
    assert 2 <= len(server.requests) <= 5


def test_the_wait_grows_with_jitter() -> None:
    policy = Retries(attempts=4, wait_initial=0.02, wait_max=1, wait_jitter=0.01)
    with CustomerIOServer(lambda request: Fault(500)) as server, client(server, retries=policy) as cio:
        cio.call(person(0))
    waits = [
        after.at - before.at for before, after in zip(server.requests, server.requests[1:], strict=False)
    ]
    for wait, least in zip(waits, (0.02, 0.04, 0.08), strict=True):
        assert wait >= least


@pytest.mark.parametrize(("header", "least", "most"), [("1", 0.1, 2), ("3600", 0.1, 2), ("0", 0.0, 2)])
def test_a_wait_that_the_server_asks_for_is_kept_up_to_a_cap(header: str, least: float, most: float) -> None:
    policy = Retries(attempts=2, wait_initial=5, wait_max=5, retry_after_max=0.1)
    with CustomerIOServer(first(1, Fault(429, {"Retry-After": header}))) as server:
        with client(server, retries=policy) as cio:
            assert cio.call(person(0)) == VERIFIED
        begun, again = (request.at for request in server.requests)
    assert least <= again - begun <= most


def test_a_retry_after_is_seconds_or_a_date() -> None:
    now = datetime(2026, 1, 31, 12, tzinfo=UTC)
    later = format_datetime(now + timedelta(seconds=90), usegmt=True)
    assert retry_after("7") == 7
    assert retry_after(" 7 ") == 7
    assert retry_after(later, format_datetime(now, usegmt=True)) == 90
    assert retry_after(format_datetime(now, usegmt=True), later) == 0
    assert 3_590 < (retry_after(format_datetime(datetime.now(UTC) + timedelta(hours=1))) or 0) <= 3_600
    assert [retry_after(text) for text in (None, "", "soon", "-1", "1e9", "nan")] == [None] * 6


def test_a_server_that_fails_again_and_again_is_left_alone() -> None:
    down = [True]
    with (
        CustomerIOServer(lambda request: Fault(500) if down[0] else None) as server,
        client(server, breaker_failures=3, breaker_seconds=1, limits=Limits(batch_bytes=200)) as cio,
    ):
        found = outcomes(cio.send(person(number) for number in range(6)))
        kinds = [type(found[place]) for place in range(6)]
        assert kinds[0] is Unknown
        assert kinds[-1] is Refused
        assert len(server.requests) == 3
        refused = cio.call(person(9))
        assert isinstance(refused, Refused)
        assert 0 < refused.retry_in <= 1
        down[0] = False
        asyncio.run(asyncio.sleep(refused.retry_in))
        assert cio.call(person(9)) == VERIFIED
        assert cio.call(person(10)) == VERIFIED


def test_each_attempt_is_observed_without_its_messages() -> None:
    seen: list[Attempt] = []
    with (
        CustomerIOServer(first(1, Fault(500))) as server,
        Client(settings(server), observe=seen.append) as cio,
    ):
        cio.call(person(0))
    assert [(one.endpoint, one.number, one.status, one.messages) for one in seen] == [
        ("identify", 1, 500, 1),
        ("identify", 2, 200, 1),
    ]
    assert all(one.seconds > 0 and one.sent_bytes > 0 and "u0" not in repr(one) for one in seen)


@pytest.mark.parametrize("concurrency", [1, 4])
def test_with_a_server_that_fails_at_random_nothing_is_lost_and_doubles_are_explained(
    concurrency: int,
) -> None:
    draw = random.Random(concurrency)
    kinds = [
        Fault(500),
        Fault(429, {"Retry-After": "0"}),
        Fault(429, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        Fault(),
        Fault(accepted=True),
    ]
    doubled: Counter[str] = Counter()  # what a fault accepted without saying so

    def faults(request: Request) -> Fault | None:
        fault = draw.choice(kinds) if draw.random() < 0.2 else None
        if fault and fault.accepted:
            doubled.update(message["messageId"] for message in request.messages)
        return fault

    small = Limits(batch_bytes=300)
    with (
        CustomerIOServer(faults) as server,
        client(server, limits=small, concurrency=concurrency, retries=QUICK_AND_LONG) as cio,
    ):
        found = outcomes(cio.send(person(number) for number in range(400)))
    assert found == dict.fromkeys(range(400), VERIFIED)
    assert doubled
    assert server.arrivals == Counter({f"m{number}": 1 for number in range(400)}) + doubled


def in_order(*answers: Fault | None) -> Callable[[Request], Fault | None]:
    """How each request is answered, in turn, and all later ones as they should be."""
    left = iter(answers)
    return lambda request: next(left, None)


def test_what_else_was_under_way_is_known_before_a_key_that_is_not_taken_stops_everything() -> None:
    slow = Limits(batch_bytes=100)
    found: dict[int, Outcome] = {}

    def collect(deliveries: Iterator[Delivery]) -> None:
        for delivery in deliveries:
            found.update(dict.fromkeys(delivery.positions, delivery.outcome))

    def only_the_first(request: Request) -> Fault | None:
        return Fault(401) if b'"m0"' in request.body else None

    async def collect_async(server: CustomerIOServer) -> None:
        async with AsyncClient(settings(server, concurrency=3, limits=slow)) as cio:
            async for delivery in cio.send(person(number) for number in range(1_000)):
                found.update(dict.fromkeys(delivery.positions, delivery.outcome))

    with CustomerIOServer(only_the_first) as server:
        with client(server, concurrency=3, limits=slow) as cio, pytest.raises(AuthenticationError):
            collect(cio.send(person(number) for number in range(1_000)))
        assert found == {1: VERIFIED, 2: VERIFIED}
        assert set(server.arrivals) == {"m1", "m2"}
        found.clear()
        with pytest.raises(AuthenticationError):
            asyncio.run(collect_async(server))
        assert found == {1: VERIFIED, 2: VERIFIED}


def test_a_key_that_is_revoked_while_a_batch_is_halved_does_not_hide_what_was_accepted() -> None:
    sent = [person(0), {**person(1), "userId": ""}]
    with CustomerIOServer(in_order(None, None, Fault(401))) as server, client(server) as cio:
        found = outcomes(cio.send(sent))
    assert found[0] == VERIFIED
    assert isinstance(found[1], Failed)
    assert "401" in found[1].reason


def test_an_observer_that_fails_does_not_hide_what_was_accepted(caplog: pytest.LogCaptureFixture) -> None:
    def observe(attempt: Attempt) -> None:
        raise OSError("the disk is full")

    with CustomerIOServer() as server, Client(settings(server), observe=observe) as cio:
        assert cio.call(person(0)) == VERIFIED
    assert "event=unobserved endpoint=identify error=OSError" in caplog.text


def test_after_its_pause_the_breaker_lets_one_attempt_pass_at_a_time() -> None:
    now = [0.0]
    breaker = Breaker(failures=2, seconds=10, clock=lambda: now[0])
    breaker.failed()
    assert breaker.refuses_for() == 0
    breaker.failed()
    assert breaker.refuses_for() == 10
    now[0] = 4
    assert breaker.refuses_for() == 6
    now[0] = 10
    assert breaker.refuses_for() == 0  # this one tries
    assert breaker.refuses_for() > 0  # and the others wait for what it finds
    breaker.abandoned()
    assert breaker.refuses_for() == 0
    breaker.failed()
    assert breaker.refuses_for() == 10
    now[0] = 20
    assert breaker.refuses_for() == 0
    breaker.succeeded()
    breaker.failed()
    assert [breaker.refuses_for(), breaker.refuses_for()] == [0, 0]

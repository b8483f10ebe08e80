"""The client against a real local server: what arrives, what is retried, and what it says of each message."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from ecommerce_lakehouse.activation.customerio.calls import Attempt, retry_after
from ecommerce_lakehouse.activation.customerio.client import AsyncClient, Client
from ecommerce_lakehouse.activation.customerio.errors import AuthenticationError, UnexpectedAnswerError
from ecommerce_lakehouse.activation.customerio.limits import Limits
from ecommerce_lakehouse.activation.customerio.logs import NAME as LOGGER
from ecommerce_lakehouse.activation.customerio.logs import Redaction
from ecommerce_lakehouse.activation.customerio.models import Alias, Group, Identify, Page, Screen, Track
from ecommerce_lakehouse.activation.customerio.outcomes import (
    Accepted,
    Delivery,
    Failed,
    Outcome,
    Refused,
    Rejected,
    Unknown,
)
from ecommerce_lakehouse.activation.customerio.settings import APP, PIPELINES, Region, Retries, Settings
from tests.customerio_server import APP_KEY, KEY, OLD_KEY, CustomerIOServer, Fault, Request
from tests.unit.documents import DOCUMENTS, blocks

QUICK = Retries(
    attempts=4, budget=5.0, wait_initial=0.001, wait_max=0.01, wait_jitter=0.001, retry_after_max=0.05
)
QUICK_AND_LONG = Retries(attempts=20, wait_initial=0.001, wait_max=0.002, wait_jitter=0.001)
SECRET = "sk_us_topsecret"  # not local to a test, whose own variables would show it in a traceback
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


def test_all_messages_arrive_once_and_in_order() -> None:
    with CustomerIOServer() as server, client(server, limits=Limits(batch_bytes=50_000)) as cio:
        found = outcomes(cio.send(person(number) for number in range(2_000)))
    assert found == dict.fromkeys(range(2_000), VERIFIED)
    assert [message["messageId"] for message in server.messages] == [f"m{number}" for number in range(2_000)]
    assert 1 < len(server.requests) < 10
    assert max(len(request.body) for request in server.requests) <= 50_000


def test_several_batches_at_a_time_lose_nothing_and_are_reported_in_order() -> None:
    small = Limits(batch_bytes=2_000)
    with CustomerIOServer() as server, client(server, concurrency=8, limits=small) as cio:
        deliveries = list(cio.send(person(number) for number in range(1_000)))
    assert [place for delivery in deliveries for place in delivery.positions] == list(range(1_000))
    assert set(server.arrivals.values()) == {1}
    assert len(server.arrivals) == 1_000


def test_each_kind_of_message_goes_to_its_endpoint() -> None:
    messages = [
        Identify(user_id="42"),
        Track(user_id="42", event="Signed Up"),
        Page(user_id="42", name="Home"),
        Screen(user_id="42", name="Cart"),
        Group(group_id="acme", user_id="42"),
        Alias(user_id="42", previous_id="a"),
    ]
    with CustomerIOServer() as server, client(server) as cio:
        assert [cio.call(message) for message in messages] == [VERIFIED] * 6
    assert [request.path for request in server.requests] == [f"/v1/{message.type}" for message in messages]
    assert list(server.arrivals) == [message.message_id for message in messages]


@pytest.mark.parametrize("key", [KEY, OLD_KEY, f"{KEY}\n"])
def test_keys_of_both_forms_are_taken(key: str) -> None:
    with CustomerIOServer() as server, client(server, key=key) as cio:
        assert cio.call(person(1)) == VERIFIED
    assert server.requests[0].headers["x-strict-mode"] == "1"


def test_a_bad_row_among_a_thousand_rejects_itself_alone() -> None:
    sent = [person(number) for number in range(1_000)]
    sent[617]["userId"] = ""
    with CustomerIOServer() as server, client(server) as cio:
        found = outcomes(cio.send(sent))
    bad = found.pop(617)
    assert isinstance(bad, Rejected)
    assert (bad.status, "userId" in bad.reason) == (400, True)
    assert found == dict.fromkeys([n for n in range(1_000) if n != 617], VERIFIED)
    assert server.arrivals == {f"m{n}": 1 for n in range(1_000) if n != 617}
    assert len(server.requests) <= 1 + 2 * 10


def test_all_rows_of_a_batch_may_be_bad() -> None:
    with CustomerIOServer() as server, client(server) as cio:
        found = outcomes(cio.send({**person(number), "userId": ""} for number in range(7)))
    assert {type(outcome) for outcome in found.values()} == {Rejected}
    assert len(found) == 7
    assert not server.arrivals


def test_what_cannot_be_sent_is_rejected_and_the_rest_arrives() -> None:
    sent = [
        person(0),
        {**person(1), "traits": {"x": "v" * 40_000}},
        {**person(2), "traits": {"x": float("nan")}},
        person(3),
    ]
    with CustomerIOServer() as server, client(server) as cio:
        found = outcomes(cio.send(sent))
    assert found[0] == found[3] == VERIFIED
    assert isinstance(found[1], Rejected)
    assert "32000" in found[1].reason
    assert isinstance(found[2], Rejected)
    assert "nan" in found[2].reason
    assert set(server.arrivals) == {"m0", "m3"}


def test_in_permissive_mode_nothing_is_verified() -> None:
    bad = {**person(1), "userId": ""}
    with CustomerIOServer() as server, client(server, strict=False) as cio:
        assert outcomes(cio.send([person(0), bad])) == dict.fromkeys((0, 1), Accepted(verified=False))
    assert "x-strict-mode" not in server.requests[0].headers
    assert not server.arrivals  # the server took nothing, and answered 200


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_not_taken_stops_everything(status: int) -> None:
    with CustomerIOServer(first(1, Fault(status))) as server, client(server) as cio:
        with pytest.raises(AuthenticationError) as stopped:
            list(cio.send(person(number) for number in range(100_000)))
        assert stopped.value.status == status
    assert len(server.requests) == 1


def test_a_wrong_key_is_not_the_fault_of_the_rows() -> None:
    with (
        CustomerIOServer() as server,
        client(server, key="sk_us_wrong") as cio,
        pytest.raises(AuthenticationError),
    ):
        cio.call(person(1))


@pytest.mark.parametrize("status", [301, 302, 307, 308, 404, 405])
def test_no_redirect_is_followed(status: int) -> None:
    with CustomerIOServer() as other:
        away = Fault(status, {"Location": other.url + "/batch"})
        with (
            CustomerIOServer(lambda request: away) as server,
            client(server) as cio,
            pytest.raises(UnexpectedAnswerError),
        ):
            cio.call(person(1))
    assert not other.requests


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
    "no answer": Fault(seconds=0.3),
    "no answer after it was accepted": Fault(accepted=True, seconds=0.3),
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
        client(server, timeout=fault.seconds / 2 or 5) as cio,
    ):
        assert isinstance(cio.call(person(0)), kind)
    assert len(server.requests) == QUICK.attempts


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
    assert server.requests[-1].at - server.requests[0].at <= 0.25
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


@pytest.mark.parametrize(("header", "least", "most"), [("1", 0.1, 0.4), ("3600", 0.1, 0.4), ("0", 0.0, 0.08)])
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
        client(server, breaker_failures=3, breaker_seconds=0.2, limits=Limits(batch_bytes=200)) as cio,
    ):
        found = outcomes(cio.send(person(number) for number in range(6)))
        kinds = [type(found[place]) for place in range(6)]
        assert kinds[0] is Unknown
        assert kinds[-1] is Refused
        assert len(server.requests) == 3
        refused = cio.call(person(9))
        assert isinstance(refused, Refused)
        assert 0 < refused.retry_in <= 0.2
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


def test_neither_key_nor_person_is_in_a_log_or_an_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ann = {
        "type": "identify",
        "userId": "ann-4711",
        "messageId": "m",
        "traits": {"email": "ann@example.com"},
    }
    texts = []
    for keys in (frozenset({SECRET}), frozenset({KEY})):
        with (
            CustomerIOServer(first(2, Fault(500)), keys=keys) as server,
            client(server, key=SECRET) as cio,
        ):
            try:
                texts.append(repr(cio.call(ann)))
            except AuthenticationError as error:
                shown = traceback.TracebackException.from_exception(error, capture_locals=True)
                texts.append("".join(shown.format()))
            texts.append(f"{cio.__dict__} {cio._client.__dict__} {cio._client._calls.__dict__}")
    logged = [record.getMessage() for record in caplog.records if record.name == LOGGER]
    size = len(json.dumps(ann, separators=(",", ":")))
    assert logged == [
        f"event=called endpoint=identify count=1 bytes={size} attempts=3 status=200 refused=false"
    ]
    texts += [record.getMessage() + repr(record.__dict__) for record in caplog.records]
    assert SECRET not in "\n".join(texts)
    assert "answered 401" in "\n".join(texts)
    for private in ("ann-4711", "ann@example.com"):
        assert all(private not in record.getMessage() for record in caplog.records)


def test_what_a_log_may_not_hold_is_hidden_from_it() -> None:
    hide = Redaction(SECRET)
    event = {"event": f"x {SECRET}", "user_id": "ann", "anonymous_id": None, "traits": {"a": 1}, "count": 3}
    hidden = hide(None, "info", event)
    assert hidden == {
        "event": "x [key]",
        "user_id": hide.hashed("ann"),
        "anonymous_id": None,
        "traits": "[redacted]",
        "count": 3,
    }
    assert "ann" not in hidden["user_id"]
    assert Redaction("another").hashed("ann") != hidden["user_id"]


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
        found = outcomes(cio.send(person(number) for number in range(600)))
    assert found == dict.fromkeys(range(600), VERIFIED)
    assert doubled
    assert server.arrivals == Counter({f"m{number}": 1 for number in range(600)}) + doubled


def test_async_code_uses_the_core() -> None:
    async def run(server: CustomerIOServer) -> list[Outcome]:
        async with AsyncClient(settings(server)) as cio:
            return [delivery.outcome async for delivery in cio.send([person(0), person(1)])]

    with CustomerIOServer() as server:
        assert asyncio.run(run(server)) == [VERIFIED]
    assert json.loads(server.requests[0].body) == {"batch": [person(0), person(1)]}


def test_leaving_early_sends_no_more() -> None:
    with CustomerIOServer() as server, client(server, limits=Limits(batch_bytes=200)) as cio:
        deliveries = cio.send(person(number) for number in range(1_000))
        next(deliveries)
        deliveries.close()  # type: ignore[attr-defined]
        assert cio.call(person(5_000)) == VERIFIED
    assert len(server.requests) <= 3


def test_the_examples_of_the_page_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUSTOMERIO_KEY", KEY)
    monkeypatch.setenv("CUSTOMERIO_APP_KEY", APP_KEY)
    sending, email = (
        block for block in blocks(DOCUMENTS["docs/activation.md"], "python") if ">>>" not in block
    )
    with CustomerIOServer() as server:
        for hosts in (PIPELINES, APP):
            monkeypatch.setitem(hosts, Region.US, server.url)
        names: dict[str, Any] = {}
        exec(sending, names)
        assert names["accepted"] == len(server.arrivals) == 1_000
        exec(email, names)
        assert names["delivery_id"]


def slowly(count: int) -> Iterator[dict[str, Any]]:
    """A source that takes longer for a batch than a call may take."""
    for number in range(count):
        time.sleep(0.12)
        yield person(number)


def test_a_source_that_is_slow_does_not_make_answers_late() -> None:
    with CustomerIOServer() as server:
        with client(server, concurrency=3, timeout=0.1, limits=Limits(batch_bytes=100)) as cio:
            assert outcomes(cio.send(slowly(5))) == dict.fromkeys(range(5), VERIFIED)
        assert set(server.arrivals.values()) == {1}

        async def run() -> list[Outcome]:
            options = settings(server, concurrency=3, timeout=0.1, limits=Limits(batch_bytes=100))
            async with AsyncClient(options) as cio:
                return [delivery.outcome async for delivery in cio.send(slowly(5))]

        assert asyncio.run(run()) == [VERIFIED] * 5
    assert len(server.requests) == 10


def test_a_source_may_use_the_client_itself() -> None:
    with CustomerIOServer() as server, client(server) as cio:

        def asking() -> Iterator[dict[str, Any]]:
            assert cio.call(person(1)) == VERIFIED
            yield person(2)

        assert outcomes(cio.send(asking())) == {0: VERIFIED}
    assert list(server.arrivals) == ["m1", "m2"]

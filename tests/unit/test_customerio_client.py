"""The client against a real local server: what arrives, and what it says of each message."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from ecommerce_lakehouse.activation.customerio.client import AsyncClient
from ecommerce_lakehouse.activation.customerio.errors import AuthenticationError, UnexpectedAnswerError
from ecommerce_lakehouse.activation.customerio.limits import Limits
from ecommerce_lakehouse.activation.customerio.logs import NAME as LOGGER
from ecommerce_lakehouse.activation.customerio.logs import Redaction
from ecommerce_lakehouse.activation.customerio.models import (
    Alias,
    Context,
    Group,
    Identify,
    Page,
    Screen,
    Track,
)
from ecommerce_lakehouse.activation.customerio.outcomes import (
    Accepted,
    Outcome,
    Rejected,
)
from ecommerce_lakehouse.activation.customerio.settings import APP, PIPELINES, Region
from tests.customerio_server import APP_KEY, KEY, OLD_KEY, CustomerIOServer, Fault
from tests.unit.customerio import VERIFIED, client, first, outcomes, person, settings
from tests.unit.documents import DOCUMENTS, blocks

SECRET = "sk_us_topsecret"  # not local to a test, whose own variables would show it in a traceback


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
    sending, email, managers = (
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
        exec(managers, names)
        assert [message["event"] for message in server.messages if "event" in message] == ["Order Completed"]


def test_the_source_is_read_in_the_callers_thread() -> None:
    def here() -> Iterator[dict[str, Any]]:
        assert threading.current_thread() is threading.main_thread()
        yield person(0)

    with CustomerIOServer() as server, client(server) as cio:
        assert outcomes(cio.send(here())) == {0: VERIFIED}


def test_a_source_that_waits_does_not_stop_the_loop() -> None:
    ready = threading.Event()

    def waiting() -> Iterator[dict[str, Any]]:
        assert ready.wait(10), "the loop did not run meanwhile"
        yield person(0)

    async def run(server: CustomerIOServer) -> list[Outcome]:
        async with AsyncClient(settings(server)) as cio:
            asyncio.get_running_loop().call_later(0.01, ready.set)
            return [delivery.outcome async for delivery in cio.send(waiting())]

    with CustomerIOServer() as server:
        assert asyncio.run(run(server)) == [VERIFIED]


def test_a_batch_has_the_context_and_the_integrations_that_are_given() -> None:
    given: dict[str, Any] = {"context": Context(ip="127.0.0.1"), "integrations": {"All": False}}

    async def run(server: CustomerIOServer) -> None:
        async with AsyncClient(settings(server)) as cio:
            async for _ in cio.send([person(1)], **given):
                pass

    with CustomerIOServer() as server:
        with client(server) as cio:
            list(cio.send([person(1)], **given))
            list(cio.send([{**person(2), "context": {"ip": "1"}}] * 2, own_context="batch"))
            (wrong,) = cio.send([{**person(3), "userId": ""}], validate=True)
        asyncio.run(run(server))
    assert isinstance(wrong.outcome, Rejected)
    assert wrong.outcome.status is None
    first_sent, second_sent, third_sent = (json.loads(request.body) for request in server.requests)
    assert first_sent == third_sent
    assert (first_sent["context"], first_sent["integrations"]) == ({"ip": "127.0.0.1"}, {"All": False})
    assert len(second_sent["batch"]) == 2


def test_a_source_may_use_the_client_itself() -> None:
    with CustomerIOServer() as server, client(server) as cio:

        def asking() -> Iterator[dict[str, Any]]:
            assert cio.call(person(1)) == VERIFIED
            yield person(2)

        assert outcomes(cio.send(asking())) == {0: VERIFIED}
    assert list(server.arrivals) == ["m1", "m2"]

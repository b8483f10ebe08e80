"""Transactional email and broadcasts: another host, another key, and nothing is ever sent twice."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from ecommerce_lakehouse.activation.customerio.app import AppClient, Broadcast, Recipient, TransactionalEmail
from ecommerce_lakehouse.activation.customerio.errors import AuthenticationError, DeliveryError
from ecommerce_lakehouse.activation.customerio.settings import Retries, Settings
from tests.customerio_server import APP_KEY, CustomerIOServer, Fault

ANN = Recipient(id="42")
RECEIPT = TransactionalEmail(
    to="ann@example.com", identifiers=ANN, transactional_message_id=7, message_data={"order": {"id": "o-1"}}
)
QUICK = Retries(attempts=3, wait_initial=0.001, wait_max=0.01, wait_jitter=0)


def client(server: CustomerIOServer, key: str = APP_KEY, timeout: float = 5) -> AppClient:
    return AppClient(Settings.of_app(key, base_url=server.url, retries=QUICK, timeout=timeout))


def test_an_email_is_sent_and_its_delivery_is_known() -> None:
    with CustomerIOServer() as server, client(server) as app:
        assert app.send_email(RECEIPT) == "delivery-1"
    (request,) = server.requests
    assert request.path == "/v1/send/email"
    assert server.messages == [
        {
            "to": "ann@example.com",
            "identifiers": {"id": "42"},
            "transactional_message_id": 7,
            "message_data": {"order": {"id": "o-1"}},
        }
    ]


def test_an_email_can_be_written_here() -> None:
    email = TransactionalEmail(
        to="ann@example.com",
        identifiers=ANN,
        sender="shop@example.com",
        subject="Thanks",
        body="<p>Thanks</p>",
    )
    assert email.wire()["from"] == "shop@example.com"


@pytest.mark.parametrize(
    "fields",
    [
        {"to": "ann@example.com", "identifiers": ANN},
        {"to": "ann@example.com", "identifiers": ANN, "subject": "Thanks", "body": "x"},
        {"to": "", "identifiers": ANN, "transactional_message_id": 7},
        {"to": "ann@example.com", "transactional_message_id": 7},
        {"to": "ann@example.com", "identifiers": ANN, "transactional_message_id": 7, "tpyo": 1},
        {
            "to": "a@example.com",
            "identifiers": ANN,
            "transactional_message_id": 7,
            "message_data": {"x": float("nan")},
        },
    ],
)
def test_an_email_that_the_api_does_not_take_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TransactionalEmail(**fields)


@pytest.mark.parametrize("fields", [{}, {"id": "1", "email": "ann@example.com"}, {"id": ""}])
def test_a_recipient_has_one_identifier(fields: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="exactly one"):
        Recipient(**fields)


def test_a_broadcast_is_triggered() -> None:
    with CustomerIOServer() as server, client(server) as app:
        assert (
            app.trigger_broadcast(12, Broadcast(ids=["1", "2"], data={"sale": 20}, id_ignore_missing=True))
            == "120"
        )
        assert app.trigger_broadcast(13) == "130"
    assert [request.path for request in server.requests] == [
        "/v1/campaigns/12/triggers",
        "/v1/campaigns/13/triggers",
    ]
    assert server.messages == [{"ids": ["1", "2"], "data": {"sale": 20}, "id_ignore_missing": True}, {}]


def test_a_broadcast_has_one_kind_of_recipients() -> None:
    with pytest.raises(ValidationError, match="only one of"):
        Broadcast(ids=["1"], emails=["ann@example.com"])


@pytest.mark.parametrize(
    "fault", [Fault(500), Fault(), Fault(accepted=True), Fault(accepted=True, seconds=0.6)]
)
def test_what_may_have_been_sent_is_not_sent_again(fault: Fault) -> None:
    with (
        CustomerIOServer(lambda request: fault) as server,
        client(server, timeout=fault.seconds / 2 or 5) as app,
    ):
        with pytest.raises(DeliveryError) as failed:
            app.send_email(RECEIPT)
        assert failed.value.unknown
        assert "ann@" not in str(failed.value)
    assert len(server.requests) == 1


def test_what_was_not_sent_is_tried_again() -> None:
    faults = iter([Fault(429, {"Retry-After": "0"}), Fault(408), None])
    with CustomerIOServer(lambda request: next(faults)) as server, client(server) as app:
        assert app.send_email(RECEIPT) == "delivery-1"
    assert len(server.requests) == 3


def test_an_answer_that_says_no_is_final() -> None:
    with CustomerIOServer() as server, client(server) as app:
        with pytest.raises(DeliveryError) as failed:
            app.trigger_broadcast(404)
        assert (failed.value.status, failed.value.reason, failed.value.unknown) == (404, "not found", False)
    assert len(server.requests) == 1


def test_a_key_that_is_not_taken_is_an_error_of_its_own() -> None:
    with CustomerIOServer() as server, client(server, "wrong") as app, pytest.raises(AuthenticationError):
        app.send_email(RECEIPT)


def test_an_error_does_not_show_what_was_sent() -> None:
    with pytest.raises(ValidationError) as refused:
        TransactionalEmail(to=["ann@example.com"], identifiers=ANN)  # type: ignore[arg-type]
    assert "valid string" in str(refused.value)
    assert "ann@" not in str(refused.value)

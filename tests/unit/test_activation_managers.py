"""Managers send what their names say, to a real local server, and count, time and log it without a person."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from ecommerce_lakehouse.activation.customerio import registry
from ecommerce_lakehouse.activation.customerio.app import AppClient, Recipient, TransactionalEmail
from ecommerce_lakehouse.activation.customerio.client import Client
from ecommerce_lakehouse.activation.customerio.errors import AuthenticationError, DeliveryError
from ecommerce_lakehouse.activation.customerio.models import Context
from ecommerce_lakehouse.activation.customerio.outcomes import Accepted, Delivery, Rejected, Unknown
from ecommerce_lakehouse.activation.customerio.registry import EVENTS, events_of
from ecommerce_lakehouse.activation.customerio.settings import Settings
from ecommerce_lakehouse.activation.errors import NoKeyError
from ecommerce_lakehouse.activation.managers import semantic
from ecommerce_lakehouse.activation.managers.base import LOGGER, sends
from ecommerce_lakehouse.activation.managers.batch import BatchManager, Size
from ecommerce_lakehouse.activation.managers.devices import DeviceManager, registration
from ecommerce_lakehouse.activation.managers.events import EventsManager
from ecommerce_lakehouse.activation.managers.messaging import MessagingManager
from ecommerce_lakehouse.activation.managers.metrics import Metrics
from ecommerce_lakehouse.activation.managers.objects import ObjectsManager
from ecommerce_lakehouse.activation.managers.observability import ObservabilityManager
from ecommerce_lakehouse.activation.managers.people import PeopleManager, SuppressionManager
from ecommerce_lakehouse.activation.managers.setup import AuthenticationManager, SetupManager, settings_from
from tests.customerio_server import APP_KEY, KEY, CustomerIOServer, Fault
from tests.unit.customerio import QUICK, VERIFIED, client, first, person, settings

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def sent(server: CustomerIOServer) -> list[dict[str, Any]]:
    """What arrived, without the random ids."""
    return [{k: v for k, v in message.items() if k != "messageId"} for message in server.messages]


def test_people_are_added_changed_merged_and_deleted() -> None:
    with CustomerIOServer() as server, client(server) as opened:
        people = PeopleManager(opened)
        assert people.identify("42", {"plan": "gold"}, anonymous_id="v-1", timestamp=NOON) == VERIFIED
        people.clear("42", ["plan", "city"])
        people.merge("41", "42")
        people.delete("42")
    assert sent(server) == [
        {
            "type": "identify",
            "userId": "42",
            "anonymousId": "v-1",
            "timestamp": "2026-05-01T12:00:00Z",
            "traits": {"plan": "gold"},
        },
        {"type": "identify", "userId": "42", "traits": {"plan": None, "city": None}},
        {"type": "alias", "previousId": "41", "userId": "42"},
        {"type": "track", "userId": "42", "event": "User Deleted"},
    ]
    assert [request.path for request in server.requests] == [
        "/v1/identify",
        "/v1/identify",
        "/v1/alias",
        "/v1/track",
    ]


def test_a_person_is_suppressed_before_they_are_deleted() -> None:
    with CustomerIOServer() as server, client(server) as opened:
        suppression = SuppressionManager(opened)
        assert suppression.erase("42").verified
        suppression.unsuppress("42")
    events = [(message["event"], message["userId"]) for message in server.messages]
    assert events == [("User Suppressed", "42"), ("User Deleted", "42"), ("User Unsuppressed", "42")]


def test_without_a_suppression_nothing_is_deleted() -> None:
    with CustomerIOServer(lambda request: Fault(500)) as server, client(server) as opened:
        erasure = SuppressionManager(opened).erase("42")
    assert isinstance(erasure.suppressed, Unknown)
    assert erasure.deleted is None
    assert not erasure.verified
    assert {b"User Suppressed" in request.body for request in server.requests} == {True}


def test_in_permissive_mode_an_erasure_is_never_verified() -> None:
    with CustomerIOServer() as server, client(server, strict=False) as opened:
        assert not SuppressionManager(opened).erase("42").verified
    assert len(server.messages) == 2


def test_own_events_pages_and_screens_are_recorded() -> None:
    with CustomerIOServer() as server, client(server) as opened:
        events = EventsManager(opened)
        events.track("Quiz Finished", {"score": 3}, user_id="42", timestamp=NOON, message_id="quiz-1")
        events.page("Sale", {"url": "https://shop.example.com/sale"}, anonymous_id="v-1", category="shop")
        events.screen("Cart", user_id="42")
        events.experiment_viewed({"experiment_id": "x-1", "variation_name": "red"}, user_id="42")
        events.report_delivery({"deliveryId": "d-1", "metric": "opened"}, anonymous_id="v-1")
    assert server.messages[0]["messageId"] == "quiz-1"
    assert sent(server) == [
        {
            "type": "track",
            "event": "Quiz Finished",
            "userId": "42",
            "timestamp": "2026-05-01T12:00:00Z",
            "properties": {"score": 3},
        },
        {
            "type": "page",
            "name": "Sale",
            "anonymousId": "v-1",
            "category": "shop",
            "properties": {"url": "https://shop.example.com/sale"},
        },
        {"type": "screen", "name": "Cart", "userId": "42"},
        {
            "type": "track",
            "event": "Experiment Viewed",
            "userId": "42",
            "properties": {"experiment_id": "x-1", "variation_name": "red"},
        },
        {
            "type": "track",
            "event": "Report Delivery Event",
            "anonymousId": "v-1",
            "properties": {"deliveryId": "d-1", "metric": "opened"},
        },
    ]


def test_objects_and_relationships_come_and_go() -> None:
    with CustomerIOServer() as server, client(server) as opened:
        objects = ObjectsManager(opened)
        objects.put("h-1", {"country": "PT"}, object_type=2)
        objects.relate("42", "h-1", {"role": "owner"}, object_type=2)
        objects.unrelate("42", "h-1", object_type=2)
        objects.delete("h-1", object_type=2)
    gone = {"objectId": "h-1", "objectTypeId": "2"}
    assert sent(server) == [
        {"type": "group", "groupId": "h-1", "traits": {"country": "PT", "object_type_id": "2"}},
        {
            "type": "group",
            "groupId": "h-1",
            "userId": "42",
            "traits": {"object_type_id": "2", "relationshipAttributes": {"role": "owner"}},
        },
        {"type": "track", "event": "Relationship Deleted", "userId": "42", "properties": gone},
        {"type": "track", "event": "Object Deleted", "anonymousId": "not-used", "properties": gone},
    ]


def test_devices_are_registered_and_deleted_one_by_one_or_many_at_once() -> None:
    with CustomerIOServer() as server, client(server) as opened:
        devices = DeviceManager(opened)
        devices.register("42", "token-1", "ios", {"app_version": "3.1"})
        devices.delete("42", "token-1")
        many = [registration(f"u{n}", f"token-{n}", "android", message_id=f"d{n}") for n in range(3)]
        assert BatchManager(opened).send(many).outcomes == {"accepted": 3}
        assert BatchManager(opened).send(many, own_context="batch").deliveries == 1
    assert sent(server)[:2] == [
        {
            "type": "track",
            "event": "Device Created or Updated",
            "userId": "42",
            "context": {"device": {"token": "token-1", "type": "ios"}},
            "properties": {"app_version": "3.1"},
        },
        {
            "type": "track",
            "event": "Device Deleted",
            "userId": "42",
            "context": {"device": {"token": "token-1"}},
        },
    ]
    # By themselves, as the documentation says; then in one batch, as Customer.io's own clients do.
    assert [request.path for request in server.requests[2:]] == ["/v1/track"] * 3 + ["/v1/batch"]
    assert server.arrivals["d2"] == 2


MANAGERS: dict[str, Any] = {
    "ecommerce": semantic.EcommerceManager,
    "email": semantic.EmailManager,
    "live_chat": semantic.LiveChatManager,
    "mobile": semantic.MobileManager,
    "video": semantic.VideoManager,
}


@pytest.mark.parametrize("category", MANAGERS)
def test_each_event_of_a_category_is_a_method_that_sends_its_exact_name(category: Any) -> None:
    manager = MANAGERS[category]
    found = {name for name, value in vars(manager).items() if isinstance(value, sends)}
    assert found == {event.slug for event in events_of(category)}
    with CustomerIOServer() as server, client(server) as opened:
        made = manager(opened)
        for event in events_of(category):
            needed = {field.name: "x" for field in event.fields() if field.required}
            assert getattr(made, event.slug)(needed, user_id="42") == VERIFIED
    assert [message["event"] for message in server.messages] == [e.name for e in events_of(category)]
    assert made.get_metrics()["calls"].keys() == found


def test_every_event_of_the_registry_can_be_sent_by_a_manager() -> None:
    semantic_events = [event for category in MANAGERS for event in events_of(category)]  # type: ignore[arg-type]
    others = [event.name for event in EVENTS if event not in semantic_events]
    # Each of these is a method that is tested above by its own name.
    assert others == [
        "Device Created or Updated",
        "Device Deleted",
        "User Deleted",
        "User Suppressed",
        "User Unsuppressed",
        "Relationship Deleted",
        "Object Deleted",
        "Report Delivery Event",
        "Report Content Event",
        "Experiment Viewed",
    ]


def test_a_property_that_is_not_documented_is_refused_before_anything_is_sent() -> None:
    with CustomerIOServer() as server, client(server) as opened:
        ecommerce = semantic.EcommerceManager(opened)
        with pytest.raises(ValueError, match="did you mean 'order_id'"):
            ecommerce.order_completed({"order_idd": "o-1"}, user_id="42")  # type: ignore[typeddict-unknown-key]
        ecommerce.order_completed(
            {"order_id": "o-1", "total": Decimal("19.90")}, user_id="42", extra={"channel": "web"}
        )
        assert ecommerce.get_metrics()["calls"]["order_completed"]["messages"] == {
            "accepted": 1,
            "invalid": 1,
        }
    (request,) = server.requests
    assert b'"total":19.90,"channel":"web"' in request.body
    assert semantic.EcommerceManager.order_completed.event is registry.ORDER_COMPLETED


def test_an_email_event_names_who_received_it_in_its_context() -> None:
    with CustomerIOServer() as server, client(server) as opened:
        semantic.EmailManager(opened).email_opened(
            {"email_id": "e-1"}, user_id="42", context=Context(traits={"email": "ann@example.com"})
        )
    assert server.messages[0]["context"] == {"traits": {"email": "ann@example.com"}}


def test_a_batch_says_what_became_of_each_message() -> None:
    bad = {"type": "identify", "traits": {}, "messageId": "bad"}
    long = {"type": "identify", "userId": "u9", "messageId": "long", "traits": {"a": "x" * 40_000}}
    messages = [person(0), bad, person(2), long, person(4)]
    heard: list[Delivery] = []
    with CustomerIOServer() as server, client(server) as opened:
        batch = BatchManager(opened)
        assert batch.size([person(0), person(1), bad]) == Size(3, 1, 147, 1)
        assert server.requests == []
        summary = batch.send(messages, validate=False, on_delivery=heard.append)
        assert batch.get_metrics()["calls"]["send"]["messages"] == {
            "accepted": 3,
            "invalid": 1,
            "rejected": 1,
        }
    assert (summary.outcomes, summary.due) == ({"accepted": 3, "rejected": 1, "invalid": 1}, 0)
    assert sorted(summary.rejected) == [
        (1, "userId or anonymousId is required"),
        (3, "the message has 40070 bytes; a call may have 32000"),
    ]
    assert sorted(place for delivery in heard for place in delivery.positions) == [0, 1, 2, 3, 4]
    assert dict(server.arrivals) == {"m0": 1, "m2": 1, "m4": 1}


def test_what_was_not_settled_is_due() -> None:
    with CustomerIOServer(lambda request: Fault(accepted=True)) as server, client(server) as opened:
        summary = BatchManager(opened).send([person(0), person(1)])
    assert (summary.outcomes, summary.due) == ({"unknown": 2}, 2)
    assert server.arrivals == {"m0": 4, "m1": 4}  # four attempts, each of which arrived


def test_only_a_hundred_reasons_are_kept() -> None:
    with CustomerIOServer() as server, client(server) as opened:
        summary = BatchManager(opened).send({"type": "identify"} for _ in range(250))
    assert (summary.outcomes["invalid"], len(summary.rejected)) == (250, 100)
    assert server.requests == []


def test_an_email_is_sent_by_the_app_api() -> None:
    email = TransactionalEmail(
        to="ann@example.com", identifiers=Recipient(id="42"), transactional_message_id=7
    )
    with (
        CustomerIOServer(first(2, Fault(500))) as server,
        AppClient(Settings.of_app(APP_KEY, base_url=server.url, retries=QUICK)) as app,
    ):
        messaging = MessagingManager(app)
        for _ in range(2):
            with pytest.raises(DeliveryError):
                messaging.send_email(email)
        assert messaging.send_email(email) == "delivery-1"
        assert messaging.trigger_broadcast(12) == "120"
        calls = messaging.get_metrics()["calls"]
    assert calls["send_email"]["messages"] == {"accepted": 1, "error": 2}
    assert calls["trigger_broadcast"]["messages"] == {"accepted": 1}


def test_a_key_that_is_not_taken_is_not_verified() -> None:
    with CustomerIOServer() as server:
        with client(server) as opened:
            authentication = AuthenticationManager(opened)
            assert authentication.verify("example-ann").verified
            assert authentication.describe() == {
                "scheme": "Bearer",
                "region": "us",
                "host": server.url.split("/")[2],
            }
        with client(server, key="0123wrong") as wrong:
            verification = AuthenticationManager(wrong).verify("example-ann")
            assert not verification.verified
            assert "answered 401" in verification.reason
            assert AuthenticationManager(wrong).describe()["scheme"] == "Basic"
            with pytest.raises(AuthenticationError):
                PeopleManager(wrong).identify("42")
        with client(server, key="0123wrong", strict=False) as permissive:
            found = AuthenticationManager(permissive).verify("example-ann")
            assert (found.verified, "permissive" in found.reason) == (False, True)
    assert [message["userId"] for message in server.messages] == ["example-ann"]


def test_the_setup_is_looked_at_without_sending_anything() -> None:
    with CustomerIOServer() as server, client(server, strict=False) as opened:
        found = {finding.name: finding.ok for finding in SetupManager(opened).check()}
        with Client(Settings.of(KEY)) as real:
            assert all(finding.ok for finding in SetupManager(real).check())
    wrong = {name for name, ok in found.items() if not ok}
    assert wrong == {"host", "encrypted", "strict mode"}
    assert server.requests == []


def test_the_key_comes_from_the_environment_before_the_secret() -> None:
    def no_secret() -> str:
        raise AssertionError("the secret scope was asked")

    found = settings_from({"CUSTOMERIO_KEY": KEY}.get, no_secret, base_url="http://127.0.0.1:1/v1")
    assert (found.key.get_secret_value(), found.base_url) == (KEY, "http://127.0.0.1:1/v1")
    europe = settings_from({}.get, lambda: "0123456789", region="eu", strict=False)
    assert (europe.host, europe.strict) == ("cdp-eu.customer.io", False)
    with pytest.raises(NoKeyError, match="CUSTOMERIO_KEY"):
        settings_from({}.get, lambda: None)


def test_calls_of_many_threads_are_each_counted_once() -> None:
    metrics = Metrics()
    with CustomerIOServer() as server, client(server) as opened:
        people, events = PeopleManager(opened, metrics=metrics), EventsManager(opened, metrics=metrics)

        def work(number: int) -> None:
            for turn in range(10):
                people.identify(f"u{number}")
                events.track("Quiz Finished", user_id=f"u{number}", message_id=f"{number}-{turn}")

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = metrics.snapshot()
    assert len(server.messages) == 160
    assert set(server.arrivals.values()) == {1}
    for manager, operation in (("people", "identify"), ("events", "track")):
        assert found[manager][operation]["calls"] == 80
        assert found[manager][operation]["messages"] == {"accepted": 80}
    assert people.get_metrics()["calls"].keys() == {"identify"}


def test_requests_are_counted_by_their_answers() -> None:
    seen = ObservabilityManager(kept=2)
    with (
        CustomerIOServer(first(1, Fault(429, {"Retry-After": "0"}))) as server,
        Client(settings(server), observe=seen.observe) as opened,
    ):
        PeopleManager(opened, metrics=seen.metrics).identify("42")
        BatchManager(opened, metrics=seen.metrics).send([person(1), person(2)])
    found = seen.get_metrics()
    assert found["requests"]["identify"]["messages"] == {"200": 1, "429": 1}
    assert found["requests"]["batch"]["messages"] == {"200": 1}
    assert found["calls"].keys() == {"people", "batch"}
    assert found["not_kept"] == 1
    rows = seen.drain()
    assert [(row["endpoint"], row["messages"], row["status"]) for row in rows] == [
        ("identify", 1, 200),
        ("batch", 2, 200),
    ]
    assert seen.drain() == []
    # Two of three attempts were answered by 200.
    success, response = seen.health(success_percent=70, mean_ms=10_000)
    assert (round(success.figure or 0, 2), success.verdict, response.verdict) == (66.67, "failed", "ok")
    assert [check.verdict for check in seen.health(success_percent=66, mean_ms=0)] == ["ok", "failed"]
    assert {check.verdict for check in ObservabilityManager().health()} == {"no data"}


def test_metrics_have_the_text_format_of_prometheus() -> None:
    metrics = Metrics()
    metrics.record("batch", "send", {"accepted": 2, "rejected": 1}, 0.02)
    metrics.record("batch", "send", {"accepted": 5}, 200.0)
    metrics.record('a"b', "c\\d\n", {}, 0.005)
    lines = metrics.prometheus().splitlines()
    labels = 'manager="batch",operation="send"'
    assert f'customerio_messages_total{{{labels},outcome="accepted"}} 7' in lines
    assert f'customerio_messages_total{{{labels},outcome="rejected"}} 1' in lines
    counts = [line.rsplit(" ", 1)[1] for line in lines if f"bucket{{{labels}" in line]
    assert counts == ["0", "0"] + ["1"] * 11 + ["2"]
    assert f"customerio_call_seconds_sum{{{labels}}} 200.02" in lines
    assert f"customerio_call_seconds_count{{{labels}}} 2" in lines
    assert 'customerio_call_seconds_bucket{manager="a\\"b",operation="c\\\\d\\n",le="0.005"} 1' in lines
    assert metrics.snapshot()["batch"]["send"]["mean_seconds"] == pytest.approx(100.01)


def test_the_log_shows_what_was_called_but_neither_the_person_nor_the_key(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger=LOGGER)
    with CustomerIOServer() as server, client(server) as opened:
        people = PeopleManager(opened)
        people.identify("ann-42", {"email": "ann@example.com"})
        people.identify("ann-42")
        with pytest.raises(ValueError, match="userId"):
            people.identify(None, {"email": "ann@example.com"})
    lines = [record.getMessage() for record in caplog.records if record.name == LOGGER]
    assert [(line.split()[0], "outcome" in line) for line in lines] == [("event=identify", False)] * 3
    assert ["accepted=1" in line for line in lines] == [True, True, False]
    assert "error=ValidationError" in lines[2]
    assert [record.levelname for record in caplog.records if record.name == LOGGER] == [
        "INFO",
        "INFO",
        "WARNING",
    ]
    hashes = {word for line in lines[:2] for word in line.split() if word.startswith("user_id=")}
    assert len(hashes) == 1
    for secret in ("ann-42", "ann@example.com", KEY):
        assert secret not in caplog.text


def test_an_outcome_that_is_not_verified_is_named_so() -> None:
    with CustomerIOServer() as server, client(server, strict=False) as opened:
        people = PeopleManager(opened)
        assert people.identify("42") == Accepted(verified=False)
        assert people.get_metrics()["calls"]["identify"]["messages"] == {"unverified": 1}
    with CustomerIOServer(lambda request: Fault(400)) as server, client(server) as opened:
        people = PeopleManager(opened)
        assert isinstance(people.identify("42"), Rejected)
        assert people.get_metrics()["calls"]["identify"]["messages"] == {"rejected": 1}

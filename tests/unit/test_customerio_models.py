"""Case by case: what the API's documentation accepts and refuses, accepted and refused by the models."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from ecommerce_lakehouse.activation.customerio.encoding import encode
from ecommerce_lakehouse.activation.customerio.limits import Limits
from ecommerce_lakehouse.activation.customerio.models import Context, Group, Identify, Track, parse_message
from tests.customerio_server import problems_of

NOW = "2026-01-31T12:00:00Z"
FACE = chr(0x1F600)  # four bytes
IDENTIFY: dict[str, Any] = {"type": "identify", "userId": "42"}
TRACK: dict[str, Any] = {"type": "track", "userId": "42", "event": "Signed Up"}
DEVICE: dict[str, Any] = {**TRACK, "event": "Device Created or Updated"}
LEFT: dict[str, Any] = {**TRACK, "event": "Relationship Deleted"}
GROUP: dict[str, Any] = {"type": "group", "groupId": "acme"}
NAN, INFINITY = float("nan"), float("inf")

ACCEPTED = [
    IDENTIFY,
    {"type": "identify", "anonymousId": "a-1"},
    {**IDENTIFY, "anonymousId": "a-1"},
    {**IDENTIFY, "traits": {"email": "ann@example.com", "createdAt": NOW, "plan": None}},
    {**IDENTIFY, "traits": {"nested": {"list": [1, 2.5, "x", True, None, {"deep": []}]}}},
    {**IDENTIFY, "traits": {f"t{number}": number for number in range(300)}},
    {**IDENTIFY, "traits": {"n" * 150: 1}},
    {**IDENTIFY, "traits": {"n": "v" * 1000}},
    {**IDENTIFY, "traits": {"n": FACE * 250}},
    {**IDENTIFY, "timestamp": NOW, "originalTimestamp": "2026-01-31T13:00:00+01:00", "sentAt": NOW},
    {**IDENTIFY, "messageId": "m-1", "integrations": {"All": True, "Salesforce": False}},
    {**IDENTIFY, "context": {"ip": "127.0.0.1", "locale": "en-US", "userAgent": "x", "channel": "server"}},
    {
        **IDENTIFY,
        "context": {"campaign": {"source": "mail", "utm_id": "7"}, "page": {"url": "https://example.com"}},
    },
    {
        **IDENTIFY,
        "context": {"app": {"name": "Shop", "build": "7"}, "network": {"wifi": True}, "timezone": "UTC"},
    },
    TRACK,
    {"type": "track", "anonymousId": "a-1", "event": "Signed Up"},
    {"type": "track", "groupId": "acme", "event": "Renewed"},
    {**TRACK, "event": "e" * 100, "properties": {"price": 19.9}},
    {**TRACK, "event": FACE * 25},
    {**TRACK, "event": "Order Completed", "properties": {"order_id": "o-1", "own": {"x": 1}}},
    {**TRACK, "properties": {"long": "v" * 2000}},
    {**TRACK, "event": "User Deleted"},
    {**TRACK, "event": "User Suppressed", "timestamp": NOW},
    {**DEVICE, "context": {"device": {"token": "t-1", "type": "ios", "last_used": 1}}},
    {**DEVICE, "event": "Device Deleted", "context": {"device": {"token": "t-1"}}},
    {**LEFT, "properties": {"objectId": "acme"}},
    {**LEFT, "properties": {"objectId": "acme", "objectTypeId": "1"}},
    {**TRACK, "event": "Report Delivery Event", "properties": {"deliveryId": "d", "metric": "opened"}},
    {"type": "page", "userId": "42"},
    {
        "type": "page",
        "anonymousId": "a",
        "name": "Home",
        "properties": {"url": "https://example.com", "x": 1},
    },
    {"type": "screen", "userId": "42", "name": "Cart", "properties": {}},
    GROUP,
    {**GROUP, "userId": "42", "traits": {"object_type_id": "2", "relationshipAttributes": {"role": "owner"}}},
    {"type": "alias", "userId": "42", "previousId": "a-1"},
]

REFUSED = [
    ({}, "type"),
    ({"type": "buy", "userId": "42"}, "type"),
    ({"type": "identify"}, "userId, anonymousId"),
    ({"type": "identify", "userId": ""}, "userId"),
    ({"type": "identify", "userId": "  "}, "userId"),
    ({"type": "identify", "userId": 42}, "userId"),
    ({**IDENTIFY, "messageId": ""}, "messageId"),
    ({**IDENTIFY, "traits": []}, "traits"),
    ({**IDENTIFY, "traits": {f"t{number}": number for number in range(301)}}, "301 attributes"),
    ({**IDENTIFY, "traits": {"n" * 151: 1}}, "150 bytes"),
    ({**IDENTIFY, "traits": {"n": "v" * 1001}}, "1001 bytes"),
    ({**IDENTIFY, "traits": {"n": FACE * 251}}, "1004 bytes"),
    ({**IDENTIFY, "traits": {"n": ["v" * 997]}}, "1001 bytes"),
    ({**IDENTIFY, "timestamp": "2026-01-31T12:00:00"}, "timestamp"),
    ({**IDENTIFY, "timestamp": "yesterday"}, "timestamp"),
    ({**IDENTIFY, "timestamp": 1769860800}, "timestamp"),
    ({**IDENTIFY, "integrations": {"All": "yes"}}, "integrations"),
    ({**IDENTIFY, "context": {"channel": "mail"}}, "channel"),
    ({**IDENTIFY, "context": {"active": "yes"}}, "active"),
    ({**IDENTIFY, "context": []}, "context"),
    ({**TRACK, "event": ""}, "event"),
    ({**TRACK, "event": None}, "event"),
    ({"type": "track", "userId": "42"}, "event"),
    ({**TRACK, "event": "e" * 101}, "101 bytes"),
    ({**TRACK, "event": FACE * 26}, "104 bytes"),
    ({"type": "track", "event": "Signed Up"}, "userId, anonymousId, groupId"),
    ({**TRACK, "properties": ""}, "properties"),
    (DEVICE, "context.device.token"),
    ({**DEVICE, "context": {"device": {"type": "ios"}}}, "context.device.token"),
    ({**DEVICE, "context": {"device": {"token": ""}}}, "token"),
    ({"type": "track", "anonymousId": "a", "event": "User Deleted"}, "needs a userId"),
    ({"type": "track", "groupId": "g", "event": "User Suppressed"}, "needs a userId"),
    (LEFT, "objectId"),
    ({**TRACK, "event": "Object Deleted", "properties": {"objectTypeId": "1"}}, "objectId"),
    ({"type": "page", "name": "Home"}, "userId, anonymousId"),
    ({"type": "screen", "groupId": "acme"}, "groupId"),
    ({"type": "group", "userId": "42"}, "groupId"),
    ({"type": "alias", "userId": "42"}, "previousId"),
    ({"type": "alias", "previousId": "42"}, "userId"),
]

# Stricter than a server can be: what would not survive the way, or is a slip.
REFUSED_HERE = [
    ({**IDENTIFY, "trait": {}}, "trait"),
    ({**IDENTIFY, "receivedAt": NOW}, "receivedAt"),
    ({**TRACK, "traits": {}}, "traits"),
    ({**IDENTIFY, "traits": {"x": NAN}}, "x: nan is not a number"),
    ({**IDENTIFY, "traits": {"a": {"b": [1, INFINITY]}}}, "a.b\\[1\\]: inf"),
    ({**IDENTIFY, "traits": {"x": Decimal("NaN")}}, "x: NaN"),
    ({**IDENTIFY, "traits": {"x": datetime(2026, 1, 31)}}, "x: a timestamp without a time zone"),
    ({**IDENTIFY, "traits": {"x": {1: "a"}}}, "name 1 is not text"),
    ({**IDENTIFY, "traits": {"x": 2**64}}, "64 bits"),
    ({**IDENTIFY, "traits": {"x": {"a", "b"}}}, "set is not a value"),
    ({**IDENTIFY, "traits": {"x": b"a"}}, "bytes is not a value"),
    ({**TRACK, "properties": {"x": [{"y": NAN}]}}, "x\\[0\\].y"),
    ({**IDENTIFY, "context": {"own": INFINITY}}, "own"),
    ({**GROUP, "traits": {"object_type_id": "company"}}, "object_type_id"),
    ({**GROUP, "traits": {"object_type_id": True}}, "object_type_id"),
    ({**GROUP, "traits": {"relationshipAttributes": "owner"}}, "relationshipAttributes"),
    ({**LEFT, "properties": {"objectId": "acme", "objectTypeId": 1.5}}, "objectTypeId"),
    ({**DEVICE, "context": {"device": {"token": "t", "type": "web"}}}, "type"),
]


@pytest.mark.parametrize("data", ACCEPTED, ids=range(len(ACCEPTED)))
def test_what_the_documentation_allows_is_accepted_and_sent_unchanged(data: dict[str, Any]) -> None:
    sent = parse_message(data).wire()
    sent_id = sent.pop("messageId")
    assert sent_id == data.get("messageId", sent_id)
    times = ("timestamp", "originalTimestamp", "sentAt")
    for name in times:
        assert sent.get(name) == (datetime.fromisoformat(data[name]) if name in data else None)
    assert {k: v for k, v in sent.items() if k not in times} == {
        k: v for k, v in data.items() if k not in (*times, "messageId")
    }
    assert problems_of(data) == []


@pytest.mark.parametrize(("data", "reason"), REFUSED, ids=range(len(REFUSED)))
def test_what_the_documentation_does_not_allow_is_refused(data: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        parse_message(data)


@pytest.mark.parametrize(("data", "reason"), REFUSED_HERE, ids=range(len(REFUSED_HERE)))
def test_what_would_be_lost_or_changed_on_the_way_is_refused(data: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        parse_message(data)


def test_python_names_are_those_of_the_api_in_another_spelling() -> None:
    message = Track(
        user_id="42", event="Signed Up", message_id="m", timestamp=datetime(2026, 1, 31, tzinfo=UTC)
    )
    assert message == parse_message({**TRACK, "messageId": "m", "timestamp": "2026-01-31T00:00:00Z"})
    assert message.wire().keys() == {"type", "userId", "event", "messageId", "timestamp"}


def test_every_message_has_an_id_of_its_own_that_stays() -> None:
    first, second = Identify(user_id="42"), Identify(user_id="42")
    assert first.message_id != second.message_id
    assert encode(first) == encode(first)


@pytest.mark.parametrize("kind", [3, "3"])
def test_the_type_of_an_object_is_sent_as_text(kind: Any) -> None:
    assert Group(group_id="acme", traits={"object_type_id": kind}).traits == {"object_type_id": "3"}


def test_a_limit_can_be_set() -> None:
    data = {**IDENTIFY, "traits": {"a": 1, "b": 2}}
    parse_message(data)
    with pytest.raises(ValidationError, match="2 attributes; a call may set 1"):
        parse_message(data, Limits(attributes=1))


def test_a_trait_of_none_is_sent_as_null_and_a_field_of_none_is_not() -> None:
    message = Identify(user_id="42", message_id="m", timestamp=None, traits={"plan": None, "in": {"x": None}})
    assert encode(message).data == (
        b'{"messageId":"m","userId":"42","type":"identify","traits":{"plan":null,"in":{"x":null}}}'
    )


def test_decimals_dates_and_timestamps_are_sent_with_all_that_they_say() -> None:
    data = encode(
        {
            "type": "track",
            "messageId": "m",
            "properties": {
                "price": Decimal("19.90"),
                "large": Decimal("12345678901234567890.123456789"),
                "thousand": Decimal("1E+3"),
                "day": date(2026, 1, 31),
                "utc": datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC),
                "there": datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=-5))),
            },
        }
    ).data
    assert data == (
        b'{"type":"track","messageId":"m","properties":{"price":19.90,"large":12345678901234567890.123456789,'
        b'"thousand":1000,"day":"2026-01-31","utc":"2026-01-31T12:00:00.000001Z",'
        b'"there":"2026-01-31T12:00:00-05:00"}}'
    )


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (NAN, "x: nan"),
        ([INFINITY], "x\\[0\\]: inf"),
        (Decimal("Infinity"), "x: Infinity"),
        (datetime(2026, 1, 31), "x: a timestamp without"),
        ({1: 2}, "name 1 is not text"),
        (2**64, "64 bits"),
        (object(), "object is not a value"),
        (chr(0xD800), "surrogates|UTF-8|utf-8"),
    ],
)
def test_plain_dicts_are_encoded_only_as_they_are(value: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        encode({**TRACK, "properties": {"x": value}})


def test_a_plain_dict_gets_an_id_and_keeps_its_own() -> None:
    message_id, data = encode(dict(TRACK))
    assert data == b'{"messageId":"%b",%b' % (
        message_id.encode(),
        encode({**TRACK, "messageId": "m"}).data[1:].replace(b',"messageId":"m"', b""),
    )
    assert encode({**TRACK, "messageId": None}).message_id
    with pytest.raises(ValueError, match="messageId"):
        encode({**TRACK, "messageId": 7})


def test_an_error_names_fields_and_not_their_values() -> None:
    with pytest.raises(ValidationError) as refused:
        parse_message({**IDENTIFY, "userId": 4711, "context": {"ip": ["ann@example.com"]}})
    assert "userId" in str(refused.value)
    assert "4711" not in str(refused.value)
    assert "ann@" not in str(refused.value)


def test_a_context_is_typed() -> None:
    context = Context(ip="127.0.0.1", user_agent="x")
    assert Identify(user_id="1", context=context).wire()["context"] == {"ip": "127.0.0.1", "userAgent": "x"}

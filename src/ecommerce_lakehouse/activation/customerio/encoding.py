"""A message as the bytes that are sent: `encode`. Nothing is encoded a second time."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from pydantic import BaseModel

from ecommerce_lakehouse.activation.customerio.models import Message
from ecommerce_lakehouse.activation.customerio.values import check_value, decimal_text, timestamp_text

TYPES = frozenset({"identify", "track", "page", "screen", "group", "alias"})
# Left to `_default`: a timestamp without a zone has to be refused, and a decimal keeps its digits.
_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS


class Encoded(NamedTuple):
    """A message's id and its bytes."""

    message_id: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Ready:
    """A message whose JSON was written elsewhere; it is sent as it is.

    `fields` is the object's JSON without `messageId` and `type`. `alone` says that it has a context or
    integrations of its own.
    """

    message_id: str
    type: str
    fields: bytes
    alone: bool = False

    def encoded(self) -> Encoded:
        """Its bytes; ValueError if the type or the JSON cannot be a message's."""
        if self.type not in TYPES or not self.message_id.isascii() or not self.fields.startswith(b'{"'):
            raise ValueError("it is not a message")
        head = b'{"messageId":"%b","type":"%b",' % (self.message_id.encode(), self.type.encode())
        return Encoded(self.message_id, head + self.fields[1:])


def encode(message: Message | Mapping[str, Any]) -> Encoded:
    """The message as it is sent. A mapping in the API's names is sent as it is, without its model's checks.

    A mapping without a messageId gets one.

    Raises:
        ValueError: It is not a message, or has a value that JSON lacks: NaN, a timestamp without a zone.
    """
    # pydantic's isinstance is slow, and most messages are dicts.
    fields = message.wire() if type(message) is not dict and isinstance(message, BaseModel) else message
    if fields.get("type") not in TYPES:
        raise ValueError(f"the type is none of {', '.join(sorted(TYPES))}")
    data = encode_value(fields)
    message_id = fields.get("messageId")
    if isinstance(message_id, str) and message_id:
        return Encoded(message_id, data)
    if message_id is not None:
        raise ValueError("messageId: text that is not empty")
    if "messageId" in fields:
        return encode({name: value for name, value in fields.items() if name != "messageId"})
    # Random as uuid4, which costs twice the time.
    message_id = str(UUID(bytes=os.urandom(16), version=4))
    return Encoded(message_id, b'{"messageId":"%b",%b' % (message_id.encode(), data[1:]))


def encode_value(value: Any) -> bytes:
    """A value as JSON, without spaces.

    Raises:
        ValueError: JSON has no such value.
    """
    if type(value) is not dict and isinstance(value, Mapping):
        value = dict(value)
    try:
        data = orjson.dumps(value, default=_default, option=_OPTIONS)
    except orjson.JSONEncodeError as error:
        # Its own text has no path and may have the value.
        check_value(value)
        raise ValueError(str(error.__cause__ or error)) from None
    if b"null" in data:
        # orjson writes NaN as null.
        check_value(value)
    return data


def _default(value: Any) -> Any:
    if isinstance(value, datetime):
        return timestamp_text(value)
    if isinstance(value, Decimal):
        return orjson.Fragment(decimal_text(value))
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} is not a value in JSON")

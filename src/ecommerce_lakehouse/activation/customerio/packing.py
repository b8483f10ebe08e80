"""Messages into calls of at most a number of bytes: `pack`, a pure function that is exact to the byte."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from ecommerce_lakehouse.activation.customerio.encoding import Ready, encode, encode_value
from ecommerce_lakehouse.activation.customerio.limits import Limits
from ecommerce_lakehouse.activation.customerio.models import Context, Message, parse_message

OwnContext = Literal["call", "batch"]
_HEAD = b'{"batch":['


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages that fit into one call, in the order in which they came, with their places in the input.

    `endpoint` is `batch`, or the type of the one message that goes by itself.
    """

    positions: list[int]
    message_ids: list[str]
    parts: list[bytes]
    tail: bytes
    endpoint: str = "batch"

    def __len__(self) -> int:
        return len(self.parts)

    def body(self) -> bytes:
        """The whole body of the call."""
        if self.endpoint != "batch":
            return self.parts[0]
        return _HEAD + b",".join(self.parts) + self.tail

    def halves(self) -> tuple[Batch, Batch]:
        """The batch in two, to find what the API refused in it."""
        middle = len(self.parts) // 2
        first, second = slice(None, middle), slice(middle, None)
        return self._part(first), self._part(second)

    def _part(self, part: slice) -> Batch:
        return Batch(self.positions[part], self.message_ids[part], self.parts[part], self.tail)


@dataclass(frozen=True, slots=True)
class Oversize:
    """A message that is too long for any call. The others are not concerned."""

    position: int
    message_id: str
    size: int
    limit: int

    @property
    def reason(self) -> str:
        """What is wrong, in words."""
        return f"the message has {self.size} bytes; a call may have {self.limit}"


@dataclass(frozen=True, slots=True)
class Unsendable:
    """Something that is not a message of the API. The others are not concerned."""

    position: int
    message_id: str
    reason: str


def pack(
    messages: Iterable[Message | Mapping[str, Any] | Ready],
    limits: Limits | None = None,
    *,
    validate: bool = False,
    context: Context | None = None,
    integrations: Mapping[str, bool] | None = None,
    own_context: OwnContext = "call",
    single: bool = False,
) -> Iterator[Batch | Oversize | Unsendable]:
    """Pack messages into batches, reading no further than the batch that is next.

    Args:
        messages: Models, or mappings in the API's names, which are sent as they are; or JSON that is ready.
        limits: What a call and a batch may hold.
        validate: Check mappings by their models as well; models were checked when they were made.
        context: The context of every batch, which Customer.io applies to all its calls.
        integrations: The integrations of every batch, likewise.
        own_context: Where a message goes that has a context or integrations of its own. The documentation
            says that those of a batch apply to all its calls, so it goes by itself, to its own endpoint,
            unless this is `batch`: Customer.io's own clients put such messages into batches. An alias, which
            is not documented as part of a batch, goes the same way.
        single: Let every message go by itself.

    Yields:
        Batches; every message stands in exactly one of them, in the order of the input, or is reported by
        itself.
    """
    limits = limits or Limits()
    tail = _tail(context, integrations)
    room = limits.batch_bytes - len(_HEAD) - len(tail)
    longest = min(limits.call_bytes, room)
    apart = own_context == "call"
    positions: list[int] = []
    message_ids: list[str] = []
    parts: list[bytes] = []
    left = room + 1  # each message takes a comma, and the first has none
    for position, message in enumerate(messages):
        try:
            if isinstance(message, Ready):
                message_id, data = message.encoded()
            else:
                if validate and not isinstance(message, BaseModel):
                    message = parse_message(message, limits)
                message_id, data = encode(message)
        except (ValueError, AttributeError) as error:
            yield Unsendable(position, _id_of(message), _reason(error))
            continue
        size = len(data)
        if size > longest:
            yield Oversize(position, message_id, size, longest)
            continue
        if single or (apart and _goes_alone(message)):
            if parts:
                yield Batch(positions, message_ids, parts, tail)
                positions, message_ids, parts, left = [], [], [], room + 1
            yield Batch([position], [message_id], [data], b"", _type_of(message))
            continue
        if size >= left:
            yield Batch(positions, message_ids, parts, tail)
            positions, message_ids, parts, left = [], [], [], room + 1
        left -= size + 1
        positions.append(position)
        message_ids.append(message_id)
        parts.append(data)
    if parts:
        yield Batch(positions, message_ids, parts, tail)


def _tail(context: Context | None, integrations: Mapping[str, bool] | None) -> bytes:
    tail = b"]"
    if context is not None:
        tail += b',"context":' + encode_value(context.model_dump(by_alias=True, exclude_none=True))
    if integrations is not None:
        tail += b',"integrations":' + encode_value(integrations)
    return tail + b"}"


def _goes_alone(message: Message | Mapping[str, Any] | Ready) -> bool:
    if isinstance(message, Ready):
        return message.alone or message.type == "alias"
    if type(message) is not dict and isinstance(message, BaseModel):
        return bool(message.context or message.integrations) or message.type == "alias"
    return bool(message.get("context") or message.get("integrations")) or message["type"] == "alias"


def _type_of(message: Message | Mapping[str, Any] | Ready) -> str:
    return message.type if isinstance(message, BaseModel | Ready) else str(message["type"])


def _id_of(message: Any) -> str:
    found = message.get("messageId") if isinstance(message, Mapping) else getattr(message, "message_id", None)
    return found if isinstance(found, str) else ""


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(
            ": ".join(filter(None, (".".join(map(str, part["loc"])), part["msg"])))
            for part in error.errors(include_url=False, include_input=False, include_context=False)
        )
    if isinstance(error, AttributeError):
        return "it is not a mapping"
    return str(error)

"""The six messages of the Data Pipelines API, as strict as its documentation: `Message`, `parse_message`.

Python names are snake_case, names on the wire are the API's: `Track(user_id="42", event="Order Completed")`
and `{"type": "track", "userId": "42", "event": "Order Completed"}` are the same message. Timestamps need a
time zone, NaN and infinity are refused however deep, and so is a field that the API does not document.
Messages are immutable, and an error names fields but never their values.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, Self
from uuid import uuid4

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationInfo,
    model_validator,
)
from pydantic.alias_generators import to_camel

from ecommerce_lakehouse.activation.customerio.limits import Limits
from ecommerce_lakehouse.activation.customerio.registry import check_fields, event_named
from ecommerce_lakehouse.activation.customerio.values import check_value, value_bytes

_DEFAULT_LIMITS = Limits()


def _limits(info: ValidationInfo) -> Limits:
    given = (info.context or {}).get("limits")
    return given if isinstance(given, Limits) else _DEFAULT_LIMITS


def _moment(value: Any) -> Any:
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        raise ValueError("a timestamp is a datetime or text in ISO 8601")
    return value


def _values(values: dict[str, Any]) -> dict[str, Any]:
    check_value(values)
    return values


def _attributes(values: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
    limits = _limits(info)
    check_value(values)
    if len(values) > limits.attributes:
        raise ValueError(f"{len(values)} attributes; a call may set {limits.attributes}")
    for name, value in values.items():
        if len(name.encode()) > limits.attribute_name_bytes:
            raise ValueError(f"the name {name[:40]!r}... is longer than {limits.attribute_name_bytes} bytes")
        if (size := value_bytes(value)) > limits.attribute_value_bytes:
            raise ValueError(f"{name}: {size} bytes; a value may have {limits.attribute_value_bytes}")
    return values


def _object_traits(values: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
    values = dict(values)
    kind = values.pop("object_type_id", None)
    relationship = values.pop("relationshipAttributes", None)
    _attributes(values, info)
    if kind is not None:
        # The documentation has an integer in some places and a text in others; the text is right everywhere.
        if isinstance(kind, bool) or not isinstance(kind, int | str) or not str(kind).isdecimal():
            raise ValueError("object_type_id: a whole number, as an integer or as text")
        values["object_type_id"] = str(kind)
    if relationship is not None:
        if not isinstance(relationship, dict):
            raise ValueError("relationshipAttributes: an object")
        values["relationshipAttributes"] = _attributes(relationship, info)
    return values


def _event_name(name: str, info: ValidationInfo) -> str:
    limits = _limits(info)
    if not name.strip():
        raise ValueError("the event's name is empty")
    if (size := len(name.encode())) > limits.event_name_bytes:
        raise ValueError(f"the event's name has {size} bytes; it may have {limits.event_name_bytes}")
    return name


def _identifier(value: str) -> str:
    if not value.strip():
        raise ValueError("an identifier must not be empty")
    return value


Identifier = Annotated[str, AfterValidator(_identifier)]
Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]
Traits = Annotated[dict[str, Any], AfterValidator(_attributes)]
ObjectTraits = Annotated[dict[str, Any], AfterValidator(_object_traits)]
Properties = Annotated[dict[str, Any], AfterValidator(_values)]


class _Wire(BaseModel):
    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        hide_input_in_errors=True,
    )


class _Open(_Wire):
    """A part of the context: the API documents some fields and takes others."""

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="after")
    def _own_values(self) -> Self:
        check_value(self.model_extra)
        return self


class Campaign(_Open):
    """Where the person came from: the UTM parameters."""

    name: str | None = None
    source: str | None = None
    medium: str | None = None
    term: str | None = None
    content: str | None = None


class PageContext(_Open):
    """The page that the person saw."""

    path: str | None = None
    referrer: str | None = None
    search: str | None = None
    title: str | None = None
    url: str | None = None
    keywords: list[str] | None = None


class App(_Open):
    """The app that the call came from."""

    name: str | None = None
    version: str | None = None
    build: str | None = None
    namespace: str | None = None


class DeviceContext(_Open):
    """The device that the call is about or came from."""

    token: Identifier | None = None
    id: str | None = None
    advertising_id: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    name: str | None = None
    type: Literal["ios", "android"] | None = None
    version: str | None = None


class Network(_Open):
    """The device's connection."""

    bluetooth: bool | None = None
    carrier: str | None = None
    cellular: bool | None = None
    wifi: bool | None = None


class System(_Open):
    """The device's operating system."""

    name: str | None = None
    version: str | None = None


class Context(_Open):
    """What surrounds a call. In a batch, Customer.io applies one context to all calls of the batch."""

    active: bool | None = None
    ip: str | None = None
    locale: str | None = None
    user_agent: str | None = None
    channel: Literal["browser", "server", "mobile"] | None = None
    campaign: Campaign | None = None
    page: PageContext | None = None
    app: App | None = None
    device: DeviceContext | None = None
    network: Network | None = None
    os: System | None = None
    traits: Properties | None = None


class _Message(_Wire):
    message_id: Identifier = Field(default_factory=lambda: str(uuid4()))
    timestamp: Moment | None = None
    original_timestamp: Moment | None = None
    sent_at: Moment | None = None
    context: Context | None = None
    integrations: dict[str, bool] | None = None

    def wire(self) -> dict[str, Any]:
        """The message as the API names it; None stands only where a trait or property is cleared."""
        return self.model_dump(by_alias=True, exclude_none=True)


class _ByPerson(_Message):
    _others: ClassVar[tuple[str, ...]] = ()
    user_id: Identifier | None = None
    anonymous_id: Identifier | None = None

    @model_validator(mode="after")
    def _someone(self) -> Self:
        names = ("user_id", "anonymous_id", *self._others)
        if all(getattr(self, name) is None for name in names):
            raise ValueError(f"one of {', '.join(to_camel(name) for name in names)} is needed")
        return self


class Identify(_ByPerson):
    """Adds a person, or sets a person's traits. A trait of None is cleared."""

    type: Literal["identify"] = "identify"
    traits: Traits | None = None


class Track(_ByPerson):
    """An event of a person, of somebody unknown, or of an object."""

    _others: ClassVar[tuple[str, ...]] = ("group_id",)
    type: Literal["track"] = "track"
    event: Annotated[str, AfterValidator(_event_name)]
    group_id: Identifier | None = None
    properties: Properties | None = None

    @model_validator(mode="after")
    def _as_documented(self) -> Self:
        """What Customer.io's own events need. Other events take any properties."""
        event = event_named(self.event)
        if event is None or event.category != "customerio":
            return self
        if event.user and self.user_id is None:
            raise ValueError(f"{event.name} needs a userId")
        device = self.context.device if self.context else None
        if event.context and (device is None or device.token is None):
            raise ValueError(f"{event.name} needs context.device.token")
        check_fields(event.properties, self.properties or {}, event.name)
        kind = (self.properties or {}).get("objectTypeId")
        if isinstance(kind, int):
            object.__setattr__(self, "properties", {**(self.properties or {}), "objectTypeId": str(kind)})
        return self


class Page(_ByPerson):
    """A view of a page."""

    type: Literal["page"] = "page"
    name: str | None = None
    category: str | None = None
    properties: Properties | None = None


class Screen(_ByPerson):
    """A view of an app's screen."""

    type: Literal["screen"] = "screen"
    name: str | None = None
    category: str | None = None
    properties: Properties | None = None


class Group(_Message):
    """Adds an object, or sets its traits; with a person, also their relationship.

    `traits` takes `object_type_id`, an integer or text and sent as text, and `relationshipAttributes`.
    """

    type: Literal["group"] = "group"
    group_id: Identifier
    user_id: Identifier | None = None
    anonymous_id: Identifier | None = None
    traits: ObjectTraits | None = None


class Alias(_Message):
    """Merges the profile of `previous_id` into that of `user_id`."""

    type: Literal["alias"] = "alias"
    previous_id: Identifier
    user_id: Identifier


Message = Identify | Track | Page | Screen | Group | Alias
_ADAPTER: TypeAdapter[Message] = TypeAdapter(
    Annotated[Message, Field(discriminator="type")], config=ConfigDict(hide_input_in_errors=True)
)


def parse_message(data: Mapping[str, Any], limits: Limits | None = None) -> Message:
    """The message that `data` is, by its `type`, in the API's names or Python's.

    Raises:
        pydantic.ValidationError: It is not a message that the API documents; values do not stand in the
        error.
    """
    return _ADAPTER.validate_python(dict(data), context={"limits": limits or _DEFAULT_LIMITS})

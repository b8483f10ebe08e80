"""Messages of registered events, with their properties checked by the registry and by a type checker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from typing_extensions import Unpack

from ecommerce_lakehouse.activation.customerio.models import Context, Moment, Track
from ecommerce_lakehouse.activation.customerio.registry import OBJECT_DELETED, Event, Properties


class Common(TypedDict, total=False):
    """What every event takes beside its properties."""

    user_id: str | None
    anonymous_id: str | None
    group_id: str | None
    message_id: str
    timestamp: Moment | None
    original_timestamp: Moment | None
    sent_at: Moment | None
    context: Context | None
    integrations: dict[str, bool] | None


def track(
    event: Event[Properties],
    properties: Properties | None = None,
    *,
    extra: Mapping[str, Any] | None = None,
    **common: Unpack[Common],
) -> Track:
    """The message of a registered event.

    Args:
        event: One of the registry, such as `registry.ORDER_COMPLETED`.
        properties: The documented properties; a wrong name or kind is refused.
        extra: Properties of your own, which Customer.io keeps as they are.
        **common: Who it is about, when it happened, and its messageId.

    Raises:
        ValueError: A property is not as documented, or nobody is named.
    """
    if extra and (twice := sorted(set(extra) & set(properties or {}))):
        raise ValueError(f"{event.name}: {', '.join(twice)} stands in both properties and extra")
    given = {**event.checked(properties or {}), **(extra or {})}
    fields: dict[str, Any] = dict(common)
    if event is OBJECT_DELETED and not any(fields.get(name) for name in ("user_id", "group_id")):
        # The API wants a performer and does not use it.
        fields.setdefault("anonymous_id", "not-used")
    return Track(event=event.name, properties=given or None, **fields)

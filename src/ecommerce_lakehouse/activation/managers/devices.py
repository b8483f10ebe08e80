"""Devices that get push messages: `DeviceManager`, and `registration` for many at once."""

from __future__ import annotations

from typing import Any, ClassVar, Literal
from uuid import uuid4

from ecommerce_lakehouse.activation.customerio import registry
from ecommerce_lakehouse.activation.customerio.builders import track
from ecommerce_lakehouse.activation.customerio.models import Context, DeviceContext, Track
from ecommerce_lakehouse.activation.customerio.outcomes import Outcome
from ecommerce_lakehouse.activation.managers.base import ClientManager

System = Literal["ios", "android"]


class DeviceManager(ClientManager):
    """Adds, updates and deletes a person's devices, each by its push token."""

    name: ClassVar[str] = "devices"

    def register(
        self, user_id: str, token: str, system: System, attributes: dict[str, Any] | None = None
    ) -> Outcome:
        """Add a device, or update it. `attributes` are your own, such as the app's version."""
        return self._send("register", lambda: registration(user_id, token, system, attributes))

    def delete(self, user_id: str, token: str, system: System | None = None) -> Outcome:
        """Delete a device, as soon as the push service says that its token is void."""
        return self._send("delete", lambda: removal(user_id, token, system))


def registration(
    user_id: str,
    token: str,
    system: System,
    attributes: dict[str, Any] | None = None,
    *,
    message_id: str | None = None,
) -> Track:
    """The message that adds a device or updates it, for `BatchManager`."""
    return track(
        registry.DEVICE_CREATED_OR_UPDATED,
        user_id=user_id,
        extra=attributes,
        context=Context(device=DeviceContext(token=token, type=system)),
        message_id=message_id or str(uuid4()),
    )


def removal(
    user_id: str, token: str, system: System | None = None, *, message_id: str | None = None
) -> Track:
    """The message that deletes a device, for `BatchManager`."""
    return track(
        registry.DEVICE_DELETED,
        user_id=user_id,
        context=Context(device=DeviceContext(token=token, type=system)),
        message_id=message_id or str(uuid4()),
    )

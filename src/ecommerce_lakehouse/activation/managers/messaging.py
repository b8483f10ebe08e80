"""Email to one person and broadcasts, by the App API: `MessagingManager`."""

from __future__ import annotations

from typing import ClassVar

from ecommerce_lakehouse.activation.customerio.app import AppClient, Broadcast, TransactionalEmail
from ecommerce_lakehouse.activation.managers.base import Manager
from ecommerce_lakehouse.activation.managers.metrics import Metrics


class MessagingManager(Manager):
    """Sends messages to people, by a host and a key of its own; repeats nothing that may have been sent."""

    name: ClassVar[str] = "messaging"

    def __init__(self, client: AppClient, *, metrics: Metrics | None = None) -> None:
        super().__init__(metrics=metrics, key=client.settings.key.get_secret_value())
        self._client = client

    def send_email(self, email: TransactionalEmail) -> str:
        """Send one email; the result is its delivery id.

        Raises:
            DeliveryError: It was not sent, or, where `unknown` is set, may have been.
            AuthenticationError: The App API does not take the key.
        """
        with self._measured("send_email") as call:
            delivery = self._client.send_email(email)
            call.outcomes["accepted"] += 1
            return delivery

    def trigger_broadcast(self, broadcast_id: int, broadcast: Broadcast | None = None) -> str:
        """Trigger a broadcast; the result is the trigger's id. Errors as of `send_email`."""
        with self._measured("trigger_broadcast") as call:
            trigger = self._client.trigger_broadcast(broadcast_id, broadcast)
            call.outcomes["accepted"] += 1
            return trigger

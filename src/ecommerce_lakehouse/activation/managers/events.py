"""Events of your own, page views and screens, and reports of deliveries: `EventsManager`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from uuid import uuid4

from ecommerce_lakehouse.activation.customerio import registry
from ecommerce_lakehouse.activation.customerio.models import Page, Screen, Track
from ecommerce_lakehouse.activation.customerio.outcomes import Outcome
from ecommerce_lakehouse.activation.managers.base import ClientManager, sends


class EventsManager(ClientManager):
    """Records what a person did, or somebody who is not known yet.

    Customer.io's own events have methods of their own, here and in `semantic`: they check the properties.
    """

    name: ClassVar[str] = "events"
    experiment_viewed = sends(registry.EXPERIMENT_VIEWED)
    report_delivery = sends(registry.REPORT_DELIVERY_EVENT)
    report_content = sends(registry.REPORT_CONTENT_EVENT)

    def track(
        self,
        event: str,
        properties: Mapping[str, Any] | None = None,
        *,
        user_id: str | None = None,
        anonymous_id: str | None = None,
        timestamp: datetime | None = None,
        message_id: str | None = None,
    ) -> Outcome:
        """Record an event of your own name.

        Args:
            event: What happened, such as "Quiz Finished".
            properties: Anything that JSON has.
            user_id: Who did it; or `anonymous_id`, which a later identify joins to a person.
            anonymous_id: A visitor who is not known yet.
            timestamp: When it happened; without it Customer.io takes the time of arrival.
            message_id: The event's own id, so that a repetition can be recognized; by default random.

        Raises:
            ValueError: Nobody is named, or it is an event of Customer.io whose rules are broken.
        """
        return self._send(
            "track",
            lambda: Track(
                event=event,
                properties=None if properties is None else dict(properties),
                user_id=user_id,
                anonymous_id=anonymous_id,
                timestamp=timestamp,
                message_id=message_id or str(uuid4()),
            ),
        )

    def page(
        self,
        name: str,
        properties: Mapping[str, Any] | None = None,
        *,
        user_id: str | None = None,
        anonymous_id: str | None = None,
        category: str | None = None,
        timestamp: datetime | None = None,
    ) -> Outcome:
        """Record that a page was seen."""
        return self._send(
            "page",
            lambda: Page(
                name=name,
                category=category,
                properties=None if properties is None else dict(properties),
                user_id=user_id,
                anonymous_id=anonymous_id,
                timestamp=timestamp,
            ),
        )

    def screen(
        self,
        name: str,
        properties: Mapping[str, Any] | None = None,
        *,
        user_id: str | None = None,
        anonymous_id: str | None = None,
        category: str | None = None,
        timestamp: datetime | None = None,
    ) -> Outcome:
        """Record that a screen of an app was seen."""
        return self._send(
            "screen",
            lambda: Screen(
                name=name,
                category=category,
                properties=None if properties is None else dict(properties),
                user_id=user_id,
                anonymous_id=anonymous_id,
                timestamp=timestamp,
            ),
        )

"""Makes Customer.io forget people: first User Suppressed, then User Deleted."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ecommerce_lakehouse.errors import ShopError
from ecommerce_lakehouse.observability.lakehouse import SecretError

if TYPE_CHECKING:
    from pydantic import SecretStr

    from ecommerce_lakehouse.activation.customerio.settings import Settings

VARIABLE, KEY = "CUSTOMERIO_KEY", "customerio_key"
NOTHING_SENT = (
    "Nothing was sent to Customer.io: there is no key, in CUSTOMERIO_KEY or as the secret 'customerio_key'. "
    "--lakehouse-only accepts that."
)
REGION, URL = "CUSTOMERIO_REGION", "CUSTOMERIO_URL"

Forgets = Callable[[Sequence[str]], str]
"""Makes another system forget people by their ids and says what it did; NotSentError if it could not."""


class NotSentError(ShopError):
    """Customer.io was not told, or not for all; the message is one line, without ids."""

    code = "NOT_SENT"


def customerio(settings: Settings) -> Forgets:
    """Sends, for each person, User Suppressed and then User Deleted, each by a call of its own.

    Suppressed first: from then on Customer.io takes nothing of this id, so a sync that is under way cannot
    bring the person back after the deletion. The messageIds follow from the id and the event: a repeat is
    recognizable.
    """

    def forget(ids: Sequence[str]) -> str:
        from ecommerce_lakehouse.activation.customerio.builders import track
        from ecommerce_lakehouse.activation.customerio.client import Client
        from ecommerce_lakehouse.activation.customerio.errors import CustomerIOError
        from ecommerce_lakehouse.activation.customerio.outcomes import Accepted
        from ecommerce_lakehouse.activation.customerio.registry import USER_DELETED, USER_SUPPRESSED

        verified = True
        try:
            with Client(settings) as client:
                for number, customer_id in enumerate(ids):
                    for event in (USER_SUPPRESSED, USER_DELETED):
                        message_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{event.name}\n{customer_id}"))
                        outcome = client.call(track(event, user_id=customer_id, message_id=message_id))
                        if not isinstance(outcome, Accepted):
                            kind = type(outcome).__name__.lower()
                            raise NotSentError(
                                f"Customer.io: {event.name} was {kind} for person {number + 1} "
                                f"of {len(ids)}; run the same command again."
                            )
                        verified &= outcome.verified
        except CustomerIOError as error:
            raise NotSentError(f"Customer.io was not told: {error}.") from None
        said = "suppressed and deleted" if verified else "told to suppress and delete, without a confirmation"
        return f"Customer.io: {len(ids)} {said}"

    return forget


def configured(secret: Callable[[str], SecretStr | None]) -> Forgets | None:
    """Customer.io with the key of CUSTOMERIO_KEY, else of the secret scope; None without a key."""
    from ecommerce_lakehouse.activation.customerio.settings import Settings

    try:
        given = os.environ.get(VARIABLE) or secret(KEY)
    except SecretError:
        given = None
    if not given:
        return None
    return customerio(
        Settings.of(given, os.environ.get(REGION) or None, base_url=os.environ.get(URL) or None)
    )

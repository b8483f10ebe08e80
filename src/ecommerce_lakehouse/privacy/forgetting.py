"""Makes Customer.io forget people: first User Suppressed, then User Deleted."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ecommerce_lakehouse.activation.connection import connected, rate_file_of, settings_of
from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.errors import ShopError
from ecommerce_lakehouse.observability.lakehouse import Lakehouse, SecretError

if TYPE_CHECKING:
    from ecommerce_lakehouse.activation.customerio.settings import Settings

NOTHING_SENT = (
    "Nothing was sent to Customer.io: there is no key, in CUSTOMERIO_KEY or as the secret 'customerio_key'. "
    "--lakehouse-only accepts that."
)

Forgets = Callable[[Sequence[str]], str]
"""Makes another system forget people by their ids and says what it did; NotSentError if it could not."""


class NotSentError(ShopError):
    """Customer.io was not told, or not for all; the message is one line, without ids."""

    code = "NOT_SENT"


def customerio(settings: Settings, rate_file: Path | None = None) -> Forgets:
    """Sends, for each person, User Suppressed and then User Deleted, each by a call of its own.

    Suppressed first: from then on Customer.io takes nothing of this id, so a sync that is under way cannot
    bring the person back after the deletion. The messageIds follow from the id and the event: a repeat is
    recognizable.
    """

    def forget(ids: Sequence[str]) -> str:
        from ecommerce_lakehouse.activation.customerio.builders import track
        from ecommerce_lakehouse.activation.customerio.errors import CustomerIOError
        from ecommerce_lakehouse.activation.customerio.outcomes import Accepted, Rejected
        from ecommerce_lakehouse.activation.customerio.registry import USER_DELETED, USER_SUPPRESSED

        verified, failed, left = True, "", 0
        try:
            with connected(settings, rate_file) as client:
                for number, customer_id in enumerate(ids):
                    for event in (USER_SUPPRESSED, USER_DELETED):
                        message_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{event.name}\n{customer_id}"))
                        outcome = client.call(track(event, user_id=customer_id, message_id=message_id))
                        if not isinstance(outcome, Accepted):
                            kind = type(outcome).__name__.lower()
                            failed = (
                                failed or f"{event.name} was {kind} for person {number + 1} of {len(ids)}"
                            )
                            if not isinstance(outcome, Rejected):
                                raise NotSentError(f"Customer.io: {failed}; run the same command again.")
                            left += 1
                            break  # the others are told all the same
                        verified &= outcome.verified
        except CustomerIOError as error:
            raise NotSentError(f"Customer.io was not told: {error}.") from None
        if left:
            raise NotSentError(
                f"Customer.io: {left} of {len(ids)} were not taken: {failed}; run the same command again."
            )
        said = "suppressed and deleted" if verified else "told to suppress and delete, without a confirmation"
        return f"Customer.io: {len(ids)} {said}"

    return forget


def configured(config: LakehouseConfig, lakehouse: Lakehouse) -> Forgets | None:
    """Customer.io with the environment's settings and key; None without a key."""
    try:
        settings = settings_of(config, lakehouse)
    except SecretError:
        return None
    return None if settings is None else customerio(settings, rate_file_of(config, settings))

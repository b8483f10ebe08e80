"""People: `PeopleManager` adds, changes and merges them, `SuppressionManager` removes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from ecommerce_lakehouse.activation.customerio import registry
from ecommerce_lakehouse.activation.customerio.builders import track
from ecommerce_lakehouse.activation.customerio.models import Alias, Identify
from ecommerce_lakehouse.activation.customerio.outcomes import Accepted, Outcome
from ecommerce_lakehouse.activation.managers.base import ClientManager


class PeopleManager(ClientManager):
    """Adds people, sets and clears their traits, merges two profiles of one person, deletes a person."""

    name: ClassVar[str] = "people"

    def identify(
        self,
        user_id: str | None = None,
        traits: Mapping[str, Any] | None = None,
        *,
        anonymous_id: str | None = None,
        timestamp: datetime | None = None,
    ) -> Outcome:
        """Add a person, or set these traits. With both ids, what the anonymous visitor did becomes theirs."""
        return self._send(
            "identify",
            lambda: Identify(
                user_id=user_id,
                anonymous_id=anonymous_id,
                traits=None if traits is None else dict(traits),
                timestamp=timestamp,
            ),
        )

    def clear(self, user_id: str, names: Iterable[str]) -> Outcome:
        """Clear traits. Leaving a trait out of `identify` keeps it; only null clears it."""
        return self._send("clear", lambda: Identify(user_id=user_id, traits=dict.fromkeys(names)))

    def merge(self, previous_id: str, user_id: str) -> Outcome:
        """Merge the profile of `previous_id` into that of `user_id`; it cannot be undone."""
        return self._send("merge", lambda: Alias(previous_id=previous_id, user_id=user_id))

    def delete(self, user_id: str) -> Outcome:
        """Delete a person. The next call with this id adds them again: see `SuppressionManager.erase`."""
        return self._send("delete", lambda: track(registry.USER_DELETED, user_id=user_id))


@dataclass(frozen=True, slots=True)
class Erasure:
    """What became of the two calls that erase a person; without a suppression nothing was deleted."""

    suppressed: Outcome
    deleted: Outcome | None

    @property
    def verified(self) -> bool:
        """Whether the API, in strict mode, took both."""
        return Accepted(verified=True) == self.suppressed == self.deleted


class SuppressionManager(ClientManager):
    """What a person may ask of you under the GDPR: to be forgotten, and not to be added again."""

    name: ClassVar[str] = "suppression"

    def suppress(self, user_id: str) -> Outcome:
        """Delete a person and refuse their identifier from then on."""
        return self._send("suppress", lambda: track(registry.USER_SUPPRESSED, user_id=user_id))

    def unsuppress(self, user_id: str) -> Outcome:
        """Take the identifier again; the person's data does not come back."""
        return self._send("unsuppress", lambda: track(registry.USER_UNSUPPRESSED, user_id=user_id))

    def erase(self, user_id: str) -> Erasure:
        """Suppress a person, then delete them: in this order nothing that is under way adds them again.

        If the suppression is not accepted, nothing is deleted and both calls are still due.
        """
        suppressed = self.suppress(user_id)
        if not isinstance(suppressed, Accepted):
            return Erasure(suppressed, None)
        return Erasure(
            suppressed, self._send("delete", lambda: track(registry.USER_DELETED, user_id=user_id))
        )

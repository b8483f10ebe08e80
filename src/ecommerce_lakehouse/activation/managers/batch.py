"""Many messages at once: `BatchManager`, and `Summary`, what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ecommerce_lakehouse.activation.customerio.models import Message
from ecommerce_lakehouse.activation.customerio.outcomes import Delivery, Rejected
from ecommerce_lakehouse.activation.customerio.packing import Batch, OwnContext, pack
from ecommerce_lakehouse.activation.managers.base import ClientManager, outcome_name

DUE = ("failed", "unknown", "refused")
SHOWN = 100


@dataclass(slots=True)
class Summary:
    """What became of many messages, in memory that does not grow with them.

    Attributes:
        outcomes: How many messages had each outcome, as `base.outcome_name` calls it.
        deliveries: How many runs of messages that was.
        sent_bytes: The bytes of the calls that settled them.
        rejected: The places of the first hundred that the API does not take, with the reason. A reason may
            quote the message: keep it out of logs.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    deliveries: int = 0
    sent_bytes: int = 0
    rejected: list[tuple[int, str]] = field(default_factory=list)

    @property
    def due(self) -> int:
        """How many have to be sent again, under the same messageId."""
        return sum(self.outcomes[name] for name in DUE)

    def add(self, delivery: Delivery) -> None:
        """Count a delivery."""
        self.outcomes[outcome_name(delivery.outcome)] += len(delivery)
        self.deliveries += 1
        self.sent_bytes += delivery.sent_bytes
        if isinstance(delivery.outcome, Rejected):
            room = SHOWN - len(self.rejected)
            self.rejected += [(place, delivery.outcome.reason) for place in delivery.positions[:room]]


@dataclass(frozen=True, slots=True)
class Size:
    """What messages would take to send."""

    messages: int
    calls: int
    sent_bytes: int
    unsendable: int


class BatchManager(ClientManager):
    """Sends any number of messages in as few calls as possible, and loses none silently."""

    name: ClassVar[str] = "batch"

    def send(
        self,
        messages: Iterable[Message | Mapping[str, Any]],
        *,
        validate: bool = True,
        own_context: OwnContext = "call",
        on_delivery: Callable[[Delivery], None] | None = None,
    ) -> Summary:
        """Send messages; models and dicts in the API's names may be mixed.

        Args:
            messages: Read no faster than they are sent.
            validate: Check dicts by the models, as models were when they were made; three times the cost.
            own_context: As for `packing.pack`.
            on_delivery: Hears of each delivery, to store what was accepted, rejected or is due.

        Raises:
            CustomerIOError: Sending cannot go on. What `on_delivery` has not heard of is still due.
        """
        summary = Summary()
        with self._measured("send") as call:
            call.outcomes = summary.outcomes
            for delivery in self._client.send(messages, validate=validate, own_context=own_context):
                summary.add(delivery)
                if on_delivery is not None:
                    on_delivery(delivery)
            call.shown["bytes"] = summary.sent_bytes
        return summary

    def size(
        self, messages: Iterable[Message | Mapping[str, Any]], *, own_context: OwnContext = "call"
    ) -> Size:
        """What these messages would take to send; nothing is sent."""
        count = calls = size = unsendable = 0
        packed = pack(messages, self._client.settings.limits, validate=True, own_context=own_context)
        for item in packed:
            if isinstance(item, Batch):
                count, calls, size = count + len(item), calls + 1, size + len(item.body())
            else:
                count, unsendable = count + 1, unsendable + 1
        return Size(count, calls, size, unsendable)

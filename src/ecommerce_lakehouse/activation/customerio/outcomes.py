"""What became of messages: `Delivery`, a run of messages with one `Outcome`.

Only `Accepted` and `Rejected` are final. A message with any other outcome is still due, under the same
messageId.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Accepted:
    """The API answered 200. In permissive mode that says nothing, and `verified` is False."""

    verified: bool


@dataclass(frozen=True, slots=True)
class Rejected:
    """The API does not take this message, or it was not fit to be sent, and `status` is None.

    `reason` may quote the message: it is for a table of rejected rows, not for a log.
    """

    reason: str
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """Every attempt failed before the API can have carried it out."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have been carried out: an answer was lost, or the server failed while it had the message."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The circuit breaker is open: nothing was sent. Worth another try in `retry_in` seconds."""

    retry_in: float


Outcome = Accepted | Rejected | Failed | Unknown | Refused


@dataclass(frozen=True, slots=True)
class Delivery:
    """Messages that share an outcome.

    Attributes:
        outcome: What became of all of them.
        positions: Their places in what was given to `send`, from 0, ascending.
        message_ids: Their messageIds, in the same order; empty where a message had none and was not sent.
        sent_bytes: The bytes of the call that settled it; 0 if nothing was sent.
    """

    outcome: Outcome
    positions: Sequence[int]
    message_ids: Sequence[str]
    sent_bytes: int = 0

    def __len__(self) -> int:
        return len(self.positions)

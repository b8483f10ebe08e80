"""What the client logs: names of calls, counts, bytes. Never a key, a trait or a readable identifier."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from typing import Any

import structlog

NAME = "ecommerce_lakehouse.activation.customerio"
_IDENTIFIERS = frozenset({"user_id", "anonymous_id", "previous_id", "group_id"})
_PRIVATE = frozenset(
    {
        "key",
        "authorization",
        "traits",
        "properties",
        "context",
        "message",
        "messages",
        "body",
        "reason",
        "email",
    }
)


class Redaction:
    """A structlog processor that leaves nothing readable of keys and people.

    Identifiers become hashes keyed by the API key: equal ones stay equal, and guesses do not turn them back.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._salt = hashlib.blake2b(key.encode(), digest_size=32).digest()

    def __call__(self, logger: Any, method: str, event: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self._safe(name, value) for name, value in event.items()}

    def hashed(self, identifier: str) -> str:
        """What stands in the log for an identifier."""
        return hashlib.blake2b(identifier.encode(), digest_size=8, key=self._salt).hexdigest()

    def _safe(self, name: str, value: Any) -> Any:
        if name in _PRIVATE:
            return "[redacted]"
        if name in _IDENTIFIERS:
            return None if value is None else self.hashed(str(value))
        return value.replace(self._key, "[key]") if isinstance(value, str) else value


def client_logger(key: str, name: str = NAME) -> Any:
    """A logger of this client: through the standard library, so that the application says where it goes."""
    return structlog.wrap_logger(
        logging.getLogger(name),
        processors=[
            structlog.stdlib.filter_by_level,
            Redaction(key),
            structlog.processors.LogfmtRenderer(key_order=["event"]),
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
    )

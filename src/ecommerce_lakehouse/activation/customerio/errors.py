"""What stops the client altogether. What becomes of one message is an outcome, not an error."""

from __future__ import annotations


class CustomerIOError(Exception):
    """Sending cannot go on; the text says why, and never holds a key or personal data."""


class ConfigurationError(CustomerIOError):
    """The settings are wrong: a key of another region, an empty key, a base URL that would show the key."""


class AuthenticationError(CustomerIOError):
    """The API does not take the key (401), or the key may not do this (403). No message was rejected."""

    def __init__(self, status: int, host: str) -> None:
        self.status = status
        super().__init__(f"{host} answered {status}: it does not take this key")


class UnexpectedAnswerError(CustomerIOError):
    """An answer that no API of Customer.io gives, such as a redirect or 404: the host is the wrong one."""

    def __init__(self, status: int, host: str) -> None:
        self.status = status
        super().__init__(f"{host} answered {status}: this is not the API of Customer.io")


class DeliveryError(CustomerIOError):
    """A call of the App API failed.

    `unknown` says whether it may have been carried out all the same. `reason` has the server's words, which
    may quote what was sent.
    """

    def __init__(
        self, message: str, *, status: int | None = None, reason: str = "", unknown: bool = False
    ) -> None:
        self.status, self.reason, self.unknown = status, reason, unknown
        super().__init__(message)

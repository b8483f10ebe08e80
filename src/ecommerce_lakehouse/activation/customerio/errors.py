"""What stops the client altogether. What becomes of one message is an outcome, not an error."""

from __future__ import annotations


class CustomerIOError(Exception):
    """Sending cannot go on; the text says why, and never holds a key or personal data.

    A command line reads `code`, a constant for programs, `exit_code`, `hint` and `location`.
    """

    code = "CUSTOMERIO_FAILED"
    exit_code = 1
    hint: str | None = None
    location: str | None = None


class ConfigurationError(CustomerIOError):
    """The settings are wrong: a key of another region, an empty key, a base URL that would show the key."""

    code = "CUSTOMERIO_CONFIGURATION"
    exit_code = 2


class AuthenticationError(CustomerIOError):
    """The API does not take the key (401), or the key may not do this (403). No message was rejected."""

    code = "CUSTOMERIO_KEY_REFUSED"

    def __init__(self, status: int, host: str) -> None:
        self.status = status
        super().__init__(f"{host} answered {status}: it does not take this key")


class UnexpectedAnswerError(CustomerIOError):
    """An answer that Customer.io does not give, such as a redirect or 404: the host is wrong."""

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

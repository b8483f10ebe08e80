"""Why an export failed: `ExportError`, and which errors are worth another attempt."""

from __future__ import annotations

import psycopg

from ecommerce_lakehouse.errors import ShopError, first_line

# libpq gives no code for an error while connecting, so the server's text has to do. Other errors are tried
# again until the budget is used up.
_PERMANENT = (
    "password authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "is not permitted to log in",
    "does not exist",
    "certificate verify failed",
    "server certificate for",
    "does not support SSL",
    "root certificate",
    "could not translate host name",
    "failed to resolve host",
)


class ExportError(ShopError):
    """Metrics could not be exported; the message is one line without secrets."""

    code = "NOT_EXPORTED"


def is_temporary(error: psycopg.Error) -> bool:
    """Whether a retry may succeed: the server is down, restarting, slow or overloaded."""
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return False
    if not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return False
    return not any(words in str(error) for words in _PERMANENT)


def reason(error: Exception) -> str:
    """A database error in one line, without libpq's prefixes."""
    text = first_line(error)
    for prefix in ("connection failed: ", "consuming input failed: ", "sending query failed: "):
        text = text.removeprefix(prefix)
    return text.rstrip(".")

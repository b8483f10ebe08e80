"""A connection to PostgreSQL that is verified, limited in time, and reveals no secret: `connected`."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import Connection
from pydantic import SecretStr

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.observability.lakehouse import SecretError, lakehouse_of, secret_of
from ecommerce_lakehouse.observability.metrics_export.failures import ExportError

SMALLEST_TIMEOUT_SECONDS = 2  # libpq's own


def password_of(config: LakehouseConfig) -> SecretStr | None:
    """The password, from the variable POSTGRES_PASSWORD, else from the settings' secret scope.

    None on a laptop without either, for a server that trusts local users. Raises ExportError on Databricks if
    the secret cannot be read.
    """
    try:
        return secret_of(lakehouse_of(config), "POSTGRES_PASSWORD", config.postgres_password_key)
    except SecretError as error:
        raise ExportError(str(error)) from None


@contextmanager
def connected(config: LakehouseConfig, password: SecretStr | None, deadline: float) -> Iterator[Connection]:
    """A connection to the configured database, closed at `deadline` (of time.monotonic) whatever it does.

    In autocommit mode, with the configured schema as search path and a limit on every statement. Raises
    psycopg.Error as psycopg does; its messages name host, port, user and database, never the password.
    """
    remaining = deadline - time.monotonic()
    connection = psycopg.connect(
        host=config.postgres_host,
        port=config.postgres_port,
        dbname=config.postgres_database,
        user=config.postgres_user,
        password=password.get_secret_value() if password else None,
        connect_timeout=max(
            SMALLEST_TIMEOUT_SECONDS, min(config.postgres_connect_timeout_seconds, int(remaining))
        ),
        application_name="ecommerce_lakehouse metrics export",
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=config.postgres_statement_timeout_seconds * 1000,
        autocommit=True,
        **_tls(config),
    )
    # The server's own limits do not help if the whole server hangs: then the socket is closed from here.
    watchdog = threading.Timer(max(deadline - time.monotonic(), 0), _cut, (connection,))
    watchdog.daemon = True
    watchdog.start()
    try:
        limit = f"{config.postgres_statement_timeout_seconds}s"
        connection.execute(
            "SELECT set_config('search_path', quote_ident(%s), false), "
            "set_config('statement_timeout', %s, false), set_config('TimeZone', 'UTC', false), "
            "set_config('idle_in_transaction_session_timeout', %s, false)",
            (config.postgres_schema, limit, limit),
        )
        yield connection
    finally:
        watchdog.cancel()
        connection.close()


def _tls(config: LakehouseConfig) -> dict[str, Any]:
    if config.postgres_sslrootcert:
        return {"sslmode": config.postgres_sslmode, "sslrootcert": config.postgres_sslrootcert}
    if config.postgres_sslmode.startswith("verify"):
        return {"sslmode": config.postgres_sslmode, "sslrootcert": _public_authorities()}
    return {"sslmode": config.postgres_sslmode}


def _public_authorities() -> str:
    """The machine's file of certificate authorities, which psycopg's own OpenSSL does not know."""
    if found := ssl.get_default_verify_paths().cafile:
        return found
    with suppress(ImportError):
        import certifi

        return certifi.where()
    return "system"


def _cut(connection: Connection) -> None:
    with suppress(psycopg.Error, OSError):
        shut = socket.socket(fileno=os.dup(connection.fileno()))
        try:
            shut.shutdown(socket.SHUT_RDWR)
        finally:
            shut.close()

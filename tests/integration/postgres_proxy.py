"""Stands between a client and PostgreSQL: adds TLS, which the tests' server lacks, or strikes midway."""

from __future__ import annotations

import selectors
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"


class PostgresProxy:
    """Listens on `port` of 127.0.0.1 and passes bytes on, as pgbouncer does. `tls` counts handshakes.

    With a certificate it answers PostgreSQL's SSLRequest and speaks TLS with the client. `after(n, action)`
    runs `action` in the middle of what the client sends, once `n` more bytes of it have been passed on.
    """

    def __init__(self, target: int, certificate: tuple[Path, Path] | None = None) -> None:
        self._target = target
        self._context: ssl.SSLContext | None = None
        if certificate:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(*certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.tls = 0
        self._left: int | None = None
        self._action: Callable[[], None] = lambda: None
        threading.Thread(target=self._accept, daemon=True).start()

    def after(self, sent: int, action: Callable[[], None]) -> None:
        self._action, self._left = action, sent

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", self._target)) as server:
            if self._context:
                if client.recv(len(SSL_REQUEST), socket.MSG_PEEK) != SSL_REQUEST:
                    return
                client.recv(len(SSL_REQUEST))
                client.sendall(b"S")
                with self._context.wrap_socket(client, server_side=True) as encrypted:
                    self.tls += 1
                    self._pass_on(encrypted, server)
            else:
                self._pass_on(client, server)

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        with selectors.DefaultSelector() as ready:
            ready.register(client, selectors.EVENT_READ, server)
            ready.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _ in ready.select():
                    data = self._received(key.fileobj)  # type: ignore[arg-type]
                    if not data:
                        return
                    if key.fileobj is client:
                        data = self._count(data, server)
                    key.data.sendall(data)

    def _received(self, source: socket.socket) -> bytes:
        data = source.recv(65536)
        while isinstance(source, ssl.SSLSocket) and source.pending():  # no event tells of what is decrypted
            data += source.recv(65536)
        return data

    def _count(self, data: bytes, server: socket.socket) -> bytes:
        if self._left is None:
            return data
        if len(data) < self._left:
            self._left -= len(data)
            return data
        head, data, self._left = data[: self._left], data[self._left :], None
        server.sendall(head)
        self._action()
        return data


def certificate_for(host: str, folder: Path) -> tuple[Path, Path, Path]:
    """A certificate authority and a certificate of its for a host name or address: CA, certificate, key."""
    folder.mkdir()
    kind = "IP" if host.replace(".", "").isdigit() else "DNS"
    authority, authority_key = folder / "ca.pem", folder / "ca.key"
    new = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    _openssl(*new, "-subj", "/CN=Test authority", "-keyout", authority_key, "-out", authority)
    certificate, key = folder / "server.pem", folder / "server.key"
    _openssl(
        *new, "-subj", "/CN=server", "-addext", f"subjectAltName={kind}:{host}",
        "-addext", "basicConstraints=critical,CA:FALSE", "-CA", authority, "-CAkey", authority_key,
        "-keyout", key, "-out", certificate,
    )  # fmt: skip
    return authority, certificate, key


def _openssl(*arguments: object) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

"""A POST to a configured address that cannot be diverted to this machine or its network: `post_json`.

A name in a public DNS may point to 127.0.0.1 or to a cloud's metadata service, and a public server may
redirect there. So no redirect is followed, and the socket connects to exactly the address that was checked. A
numeric address is intended, so it is used as it is.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import urllib.request
from collections.abc import Callable
from typing import Any

from ecommerce_lakehouse.errors import ShopError


class AddressRefusedError(ShopError):
    """Nothing may be sent to the address; the message omits it, because it often holds a token."""


def post_json(url: str, body: bytes, headers: dict[str, str], timeout_seconds: float) -> None:
    """POST `body`; an answer other than 2xx raises HTTPError, which the caller closes.

    Raises AddressRefusedError for a name in this network. The environment's proxy (`https_proxy`, `no_proxy`)
    is used; then the proxy resolves the name.
    """
    if not url.startswith(("https://", "http://")):
        raise AddressRefusedError("its address is not an http or https URL")
    opener = urllib.request.build_opener(_NoRedirect, _Plain, _Encrypted)
    with opener.open(urllib.request.Request(url, body, headers), timeout=timeout_seconds):
        pass


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """None: the redirect itself becomes the answer, an HTTPError."""


class _Plain(urllib.request.HTTPHandler):
    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_guarded(http.client.HTTPConnection, request), request)


class _Encrypted(urllib.request.HTTPSHandler):
    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_guarded(http.client.HTTPSConnection, request), request)


def _guarded(
    kind: type[http.client.HTTPConnection], request: urllib.request.Request
) -> Callable[..., http.client.HTTPConnection]:
    """Returns a maker of connections that go only to public addresses, unless they go to a proxy."""

    def connection(*args: Any, **options: Any) -> http.client.HTTPConnection:
        made = kind(*args, **options)
        if not request.has_proxy() and not getattr(request, "_tunnel_host", None):
            made._create_connection = _connect  # type: ignore[attr-defined]
        return made

    return connection


def _connect(address: tuple[str, int], timeout: float, source: None = None) -> socket.socket:
    host, port = address
    numbers = [str(target[0]) for *_, target in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    if not _is_numeric(host):
        for number in numbers:
            _refuse_private(number)
    failure: OSError = OSError("the name has no address")
    for number in numbers:
        try:
            return socket.create_connection((number, port), timeout, source)
        except OSError as error:
            failure = error
    raise failure


def _is_numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _refuse_private(number: str) -> None:
    found = ipaddress.ip_address(number.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    if not (mapped or found).is_global:
        raise AddressRefusedError(
            f"its name leads to {found}, on this machine or its network; write the number to mean that"
        )

"""Where calls go and with which key: `Settings`. Nothing is sent from here."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address
from typing import Self
from urllib.parse import urlsplit

from pydantic import SecretStr

from ecommerce_lakehouse.activation.customerio.errors import ConfigurationError
from ecommerce_lakehouse.activation.customerio.limits import Limits

_KEY_WITH_REGION = re.compile(r"(?:pk|sk)_(us|eu)_.+")


class Region(StrEnum):
    """Where a workspace's data is kept."""

    US = "us"
    EU = "eu"


PIPELINES = {Region.US: "https://cdp.customer.io/v1", Region.EU: "https://cdp-eu.customer.io/v1"}
APP = {Region.US: "https://api.customer.io/v1", Region.EU: "https://api-eu.customer.io/v1"}


@dataclass(frozen=True, slots=True)
class Retries:
    """How a call is tried again after 408, 429, 5xx and transport errors.

    The wait grows from `wait_initial` to `wait_max` seconds, and a random part of up to `wait_jitter` is
    added. A `Retry-After` of the server takes its place, up to `retry_after_max`. No attempt begins later
    than `budget` seconds after the first.
    """

    attempts: int = 8
    budget: float = 120.0
    wait_initial: float = 0.5
    wait_max: float = 20.0
    wait_jitter: float = 1.0
    retry_after_max: float = 60.0


@dataclass(frozen=True, slots=True)
class Settings:
    """Key, region and behaviour of a client. Make it with `Settings.of`, which checks and fills it.

    `strict` asks the API to answer 400 and 401 to what it does not take; without it the API answers 200 to
    everything, and what it accepted stays unverified. `concurrency` is the number of batches under way at a
    time: with more than one, a person's messages in different batches may arrive in another order.
    """

    key: SecretStr
    region: Region
    base_url: str
    strict: bool = True
    timeout: float = 15.0
    concurrency: int = 1
    breaker_failures: int = 10
    breaker_seconds: float = 30.0
    limits: Limits = field(default_factory=Limits)
    retries: Retries = field(default_factory=Retries)
    bearer: bool = False

    @classmethod
    def of(
        cls,
        key: str | SecretStr,
        region: Region | str | None = None,
        *,
        base_url: str | None = None,
        strict: bool = True,
        timeout: float = 15.0,
        concurrency: int = 1,
        breaker_failures: int = 10,
        breaker_seconds: float = 30.0,
        limits: Limits | None = None,
        retries: Retries | None = None,
    ) -> Self:
        """Settings with everything checked before anything is sent.

        Args:
            key: The key of the source; a newline at its end is removed.
            region: `us` or `eu`; by default what the key says, and `us` for a key that does not say it.
            base_url: Another address than the region's, for tests: https, or http on this machine.

        Raises:
            ConfigurationError: The key is empty or of another region, or the address would show it.
        """
        secret = _clean(key)
        where = _region(secret, region)
        return cls(
            key=SecretStr(secret),
            region=where,
            base_url=checked_url(base_url or PIPELINES[where]),
            strict=strict,
            timeout=timeout,
            concurrency=concurrency,
            breaker_failures=breaker_failures,
            breaker_seconds=breaker_seconds,
            limits=limits or Limits(),
            retries=retries or Retries(),
        )

    @classmethod
    def of_app(
        cls,
        key: str | SecretStr,
        region: Region | str = Region.US,
        *,
        base_url: str | None = None,
        timeout: float = 15.0,
        retries: Retries | None = None,
    ) -> Self:
        """Settings for the App API, which has other hosts and other keys, always as Bearer.

        Raises:
            ConfigurationError: The key is empty, or the address would show it.
        """
        secret = _clean(key)
        where = _region(secret, region)
        return cls(
            key=SecretStr(secret),
            region=where,
            base_url=checked_url(base_url or APP[where]),
            timeout=timeout,
            # Transactional messages: 100 in a second.
            limits=Limits(requests=100, seconds=1.0),
            retries=retries or Retries(),
            bearer=True,
        )

    @property
    def host(self) -> str:
        """The host that gets the calls."""
        return urlsplit(self.base_url).netloc

    def authorization(self) -> str:
        """The header's value: Bearer for a key that names its region, HTTP Basic for an older one."""
        key = self.key.get_secret_value()
        if self.bearer or _KEY_WITH_REGION.fullmatch(key):
            return f"Bearer {key}"
        return "Basic " + base64.b64encode(f"{key}:".encode()).decode()


def checked_url(url: str) -> str:
    """The address without a slash at its end.

    Raises:
        ConfigurationError: It is not https, nor http on this machine; or it holds a user or a query.
    """
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query or parts.fragment or not parts.hostname:
        raise ConfigurationError("base_url has to be an address like https://cdp.customer.io/v1")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_local(parts.hostname)):
        raise ConfigurationError(
            f"{parts.scheme}://{parts.hostname} would show the key on its way; use https"
        )
    return url.rstrip("/")


def _clean(key: str | SecretStr) -> str:
    text = (key.get_secret_value() if isinstance(key, SecretStr) else key).rstrip("\r\n")
    if not text:
        raise ConfigurationError("the key is empty")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigurationError("the key has a character that no key has; was something else pasted?")
    return text


def _region(key: str, region: Region | str | None) -> Region:
    try:
        wanted = None if region is None else Region(region)
    except ValueError:
        raise ConfigurationError(f"the region {region!r} is neither us nor eu") from None
    match = _KEY_WITH_REGION.fullmatch(key)
    said = Region(match[1]) if match else None
    if wanted and said and wanted is not said:
        raise ConfigurationError(f"the key belongs to the region {said}, and {wanted} is configured")
    return wanted or said or Region.US


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False

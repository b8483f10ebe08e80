"""Whether everything is in place, and whether the key is taken: `SetupManager`, `AuthenticationManager`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from typing import Any, ClassVar

from ecommerce_lakehouse.activation.customerio.errors import AuthenticationError
from ecommerce_lakehouse.activation.customerio.limits import Limits
from ecommerce_lakehouse.activation.customerio.models import Identify
from ecommerce_lakehouse.activation.customerio.outcomes import Accepted
from ecommerce_lakehouse.activation.customerio.settings import PIPELINES, Settings
from ecommerce_lakehouse.activation.errors import NoKeyError
from ecommerce_lakehouse.activation.managers.base import ClientManager

PACKAGES = ("httpx2", "orjson", "pydantic", "structlog", "tenacity")


def settings_from(
    environment: Callable[[str], str | None],
    secret: Callable[[], str | None],
    *,
    region: str | None = None,
    **options: Any,
) -> Settings:
    """Settings from the environment and a secret, for a notebook or a job.

    Args:
        environment: Gives an environment variable, such as `os.environ.get`; `CUSTOMERIO_KEY` goes before
            the secret.
        secret: Gives the key from a secret scope; it is asked only without the variable.
        region: `us` or `eu`; empty means what the key says.
        **options: More of `Settings.of`.

    Raises:
        NoKeyError: Neither has a key.
        ConfigurationError: The key is of another region, or the address would show it.
    """
    key = environment("CUSTOMERIO_KEY") or secret()
    if not key:
        raise NoKeyError(
            "There is no key of Customer.io: set the variable CUSTOMERIO_KEY, or put the key into the secret "
            "scope that the notebook names"
        )
    return Settings.of(key, region or None, **options)


@dataclass(frozen=True, slots=True)
class Finding:
    """One part of the setup: whether it is as it should be, and what was found."""

    name: str
    ok: bool
    found: str


class SetupManager(ClientManager):
    """Looks at the setup without sending anything."""

    name: ClassVar[str] = "setup"

    def check(self) -> list[Finding]:
        """Host, transport, mode, limits and packages, each with what was found; the key is not shown."""
        settings = self._client.settings
        with self._measured("check") as call:
            limits, documented = settings.limits, Limits()
            found = [
                Finding("region", True, settings.region.value),
                Finding("host", settings.base_url == PIPELINES[settings.region], settings.host),
                Finding("encrypted", settings.base_url.startswith("https:"), settings.base_url.split(":")[0]),
                Finding(
                    "strict mode", settings.strict, "on" if settings.strict else "off: 200 to everything"
                ),
                Finding(
                    "limits",
                    limits == documented,
                    f"{limits.call_bytes} bytes a call, {limits.batch_bytes} a batch, "
                    f"{limits.requests} requests in {limits.seconds:g} s",
                ),
                *map(_package, PACKAGES),
            ]
            call.outcomes["done"] += 1
            return found


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether the API takes the key. `reason` says why it is not known, where `verified` is False."""

    verified: bool
    reason: str = ""


class AuthenticationManager(ClientManager):
    """Says how the key is used and whether the API takes it; it never shows the key."""

    name: ClassVar[str] = "authentication"

    def describe(self) -> dict[str, str]:
        """The scheme of the header, the region and the host that gets the key."""
        settings = self._client.settings
        scheme = settings.authorization().partition(" ")[0]
        return {"scheme": scheme, "region": settings.region.value, "host": settings.host}

    def verify(self, user_id: str) -> Verification:
        """Identify a person of your own, without traits, and see whether the API takes it.

        The API has no call that only checks a key. In permissive mode it answers 200 to a wrong key as well,
        so nothing is ever verified there.
        """
        try:
            outcome = self._send("verify", lambda: Identify(user_id=user_id))
        except AuthenticationError as error:
            return Verification(False, str(error))
        if outcome == Accepted(verified=True):
            return Verification(True)
        if isinstance(outcome, Accepted):
            return Verification(False, "in permissive mode the API answers 200 to a wrong key as well")
        return Verification(False, f"the call was {type(outcome).__name__.lower()}")


def _package(name: str) -> Finding:
    try:
        return Finding(name, True, metadata.version(name))
    except metadata.PackageNotFoundError:
        return Finding(name, False, "not installed")

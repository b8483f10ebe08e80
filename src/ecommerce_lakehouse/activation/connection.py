"""How the shop reaches Customer.io: `settings_of` an environment, and a client that is `connected`."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.observability.lakehouse import Lakehouse, secret_of

if TYPE_CHECKING:
    from ecommerce_lakehouse.activation.customerio.calls import Attempt
    from ecommerce_lakehouse.activation.customerio.client import Client
    from ecommerce_lakehouse.activation.customerio.settings import Settings

LOCK = "activation"
"""What sends, or erases who may be sent, holds `Lakehouse.exclusive` of this name."""


def settings_of(config: LakehouseConfig, lakehouse: Lakehouse) -> Settings | None:
    """The client's settings with the key of CUSTOMERIO_KEY, else of the secret scope; None without a key.

    Raises ConfigurationError for a key of another region than the environment's, and SecretError as
    `Lakehouse.secret` does.
    """
    from ecommerce_lakehouse.activation.customerio.settings import Settings

    key = secret_of(lakehouse, "CUSTOMERIO_KEY", config.customerio_key)
    if key is None:
        return None
    return Settings.of(
        key,
        config.customerio_region,
        base_url=config.customerio_base_url,
        concurrency=config.customerio_concurrency,
    )


@contextmanager
def connected(
    settings: Settings, rate_file: Path | None = None, observe: Callable[[Attempt], None] | None = None
) -> Iterator[Client]:
    """A client that shares the limit of requests with all processes that use the file."""
    from ecommerce_lakehouse.activation.customerio.client import Client
    from ecommerce_lakehouse.activation.customerio.rates import RequestRate

    rate = RequestRate(settings.limits, lease=2 * settings.timeout, path=rate_file)
    try:
        with Client(settings, rate=rate, observe=observe) as client:
            yield client
    finally:
        rate.close()


def rate_file_of(config: LakehouseConfig, settings: Settings) -> Path:
    """Shared by all processes of this machine that send with the key; its name does not tell the key."""
    folder = Path(config.tables_root).parent if config.tables_root else Path(tempfile.gettempdir())
    key = settings.key.get_secret_value().encode()
    return folder / f"requests-{hashlib.sha256(key).hexdigest()[:12]}.rate"

"""What the workspace does, without HTTP: one module per subject, together in `Services`."""

from __future__ import annotations

from dataclasses import dataclass

from ecommerce_lakehouse.engine.storage import Storage
from ecommerce_lakehouse.workspace.store import Store


@dataclass(frozen=True)
class Settings:
    """How the server runs. `token` is asked for with every call; `host_url` is what the CLI connects to."""

    host_url: str
    token: str
    user: str = "developer@example.com"
    max_upload_bytes: int = 500 * 2**20


@dataclass
class Services:
    """Everything that handlers and pages use."""

    settings: Settings
    storage: Storage
    store: Store

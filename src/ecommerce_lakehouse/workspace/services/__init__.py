"""What the workspace does, without HTTP: one module per subject, together in `Services`."""

from __future__ import annotations

from dataclasses import dataclass

from ecommerce_lakehouse.engine.storage import Storage
from ecommerce_lakehouse.workspace.services.alerts import Alerts
from ecommerce_lakehouse.workspace.services.dashboards import Dashboards
from ecommerce_lakehouse.workspace.services.secrets import Secrets
from ecommerce_lakehouse.workspace.services.statements import Statements
from ecommerce_lakehouse.workspace.services.tables import Tables
from ecommerce_lakehouse.workspace.services.volume_files import VolumeFiles
from ecommerce_lakehouse.workspace.services.warehouses import Warehouses
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

    def __post_init__(self) -> None:
        self.dashboards = Dashboards(self.settings, self.storage, self.store)
        self.secrets = Secrets(self.storage.home / "workspace" / "secrets.db", self.settings.user)
        self.tables = Tables(self.settings, self.storage)
        self.volume_files = VolumeFiles(self.settings, self.storage)
        self.warehouses = Warehouses(self.settings, self.store)
        self.statements = Statements(self.storage, self.warehouses)
        self.alerts = Alerts(self.settings, self.storage, self.store, self.warehouses)

    def start(self) -> None:
        """Begin what goes on by itself: schedules."""
        self.alerts.start()

    def close(self) -> None:
        """End it, and what statements still run."""
        self.alerts.close()
        self.statements.close()
        self.secrets.close()

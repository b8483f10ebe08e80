"""What the workspace does, without HTTP: one module per subject, together in `Services`."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from ecommerce_lakehouse.engine.storage import Storage
from ecommerce_lakehouse.workspace.services.catalog import CatalogService
from ecommerce_lakehouse.workspace.services.creations import CreationService
from ecommerce_lakehouse.workspace.services.grants import GrantService
from ecommerce_lakehouse.workspace.services.identity import IdentityService
from ecommerce_lakehouse.workspace.services.jobs import JobService
from ecommerce_lakehouse.workspace.services.permissions import PermissionService
from ecommerce_lakehouse.workspace.services.pipelines import PipelineService
from ecommerce_lakehouse.workspace.services.workspace_files import WorkspaceFiles
from ecommerce_lakehouse.workspace.store import Store

logger = logging.getLogger(__name__)


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
    identity: IdentityService = field(init=False)
    permissions: PermissionService = field(init=False)
    creations: CreationService = field(init=False)
    files: WorkspaceFiles = field(init=False)
    jobs: JobService = field(init=False)
    pipelines: PipelineService = field(init=False)
    grants: GrantService = field(init=False)
    catalog: CatalogService = field(init=False)

    def __post_init__(self) -> None:
        store, user = self.store, self.settings.user
        self.identity = IdentityService(store, user)
        self.permissions = PermissionService(store, user)
        self.creations = CreationService(store)
        self.files = WorkspaceFiles(store, self.storage.home / "workspace", user, self.permissions)
        self.jobs = JobService(store, user, self.permissions, self.creations)
        self.pipelines = PipelineService(store, user, self.permissions, self.creations)
        self.grants = GrantService(store)
        self.catalog = CatalogService(store, self.storage, user, self.grants, self.creations)

    def recover(self) -> None:
        """Put right what an earlier server left unfinished; called once, before the first request."""
        for taken_back in self.creations.recover():
            logger.warning("Took back %s: the server had stopped before it answered.", taken_back)

    def close(self) -> None:
        """Stop what runs; called once, after the last request."""
        self.store.close()

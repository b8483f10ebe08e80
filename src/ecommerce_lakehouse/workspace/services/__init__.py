"""What the workspace does, without HTTP: one module per subject, together in `Services`."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from ecommerce_lakehouse.engine.storage import Storage
from ecommerce_lakehouse.workspace.services.alerts import Alerts
from ecommerce_lakehouse.workspace.services.catalog import CatalogService
from ecommerce_lakehouse.workspace.services.compute import Compute
from ecommerce_lakehouse.workspace.services.creations import CreationService
from ecommerce_lakehouse.workspace.services.dashboards import Dashboards
from ecommerce_lakehouse.workspace.services.deployed import Deployed
from ecommerce_lakehouse.workspace.services.grants import GrantService
from ecommerce_lakehouse.workspace.services.identity import IdentityService
from ecommerce_lakehouse.workspace.services.jobs import JobService
from ecommerce_lakehouse.workspace.services.permissions import PermissionService
from ecommerce_lakehouse.workspace.services.pipelines import PipelineService
from ecommerce_lakehouse.workspace.services.run_history import RunHistory
from ecommerce_lakehouse.workspace.services.runs import Runs
from ecommerce_lakehouse.workspace.services.scheduler import Scheduler
from ecommerce_lakehouse.workspace.services.secrets import Secrets
from ecommerce_lakehouse.workspace.services.statements import Statements
from ecommerce_lakehouse.workspace.services.tables import Tables
from ecommerce_lakehouse.workspace.services.updates import Updates
from ecommerce_lakehouse.workspace.services.volume_files import VolumeFiles
from ecommerce_lakehouse.workspace.services.warehouses import Warehouses
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
    dashboards: Dashboards = field(init=False)
    secrets: Secrets = field(init=False)
    tables: Tables = field(init=False)
    volume_files: VolumeFiles = field(init=False)
    warehouses: Warehouses = field(init=False)
    statements: Statements = field(init=False)
    alerts: Alerts = field(init=False)
    compute: Compute = field(init=False)
    updates: Updates = field(init=False)
    run_history: RunHistory = field(init=False)
    runs: Runs = field(init=False)
    scheduler: Scheduler = field(init=False)

    def __post_init__(self) -> None:
        store, user = self.store, self.settings.user
        self.identity = IdentityService(store, user)
        self.permissions = PermissionService(store, user)
        self.creations = CreationService(store)
        self.files = WorkspaceFiles(store, self.storage.home / "workspace", user, self.permissions)
        self.jobs = JobService(store, user, self.permissions, self.creations)
        self.pipelines = PipelineService(store, user, self.permissions, self.creations, self.storage)
        self.grants = GrantService(store)
        self.catalog = CatalogService(store, self.storage, user, self.grants, self.creations)
        self.dashboards = Dashboards(self.settings, self.storage, self.store)
        self.secrets = Secrets(self.storage.home / "workspace" / "secrets.db", self.settings.user)
        self.tables = Tables(self.settings, self.storage)
        self.volume_files = VolumeFiles(self.settings, self.storage)
        self.warehouses = Warehouses(self.settings, self.store)
        self.statements = Statements(self.storage, self.warehouses)
        self.alerts = Alerts(self.settings, self.storage, self.store, self.warehouses)
        self.creations.register("alert", lambda id: self.alerts.trash(id, purge=True))
        self.creations.register("dashboard", self.dashboards.trash)
        self._build_runs()

    def _build_runs(self) -> None:
        """What runs deployed things: workers, updates of pipelines, runs of jobs, schedules."""
        deployed = Deployed(self.storage, self.files.local_path)
        self.run_history = RunHistory(self.store)
        self.compute = Compute(
            self.storage,
            on_output=self.run_history.heard,
            read_secret=lambda scope, key: self.secrets.get_value(scope, key).decode(),
            environment={"DATABRICKS_HOST": self.settings.host_url, "DATABRICKS_TOKEN": self.settings.token},
        )
        self.updates = Updates(self.store, self.compute, deployed)
        self.runs = Runs(
            host_url=self.settings.host_url,
            user=self.settings.user,
            store=self.store,
            compute=self.compute,
            deployed=deployed,
            updates=self.updates,
        )
        self.scheduler = Scheduler(self.store, self.runs)
        self.jobs.on_change.append(self.scheduler.follow)
        self.pipelines.on_change.append(self.updates.follow)
        self.pipelines.state_of = self.updates.state_of

    def recover(self) -> None:
        """Put right what an earlier server left unfinished; called once, before the first request."""
        for taken_back in self.creations.recover():
            logger.warning("Took back %s: the server had stopped before it answered.", taken_back)
        self.updates.recover()
        self.runs.recover()

    def start(self) -> None:
        """Begin what goes on by itself: schedules."""
        self.alerts.start()
        self.scheduler.start()

    def close(self) -> None:
        """Stop what runs; called once, after the last request."""
        self.scheduler.close()
        self.runs.close()
        self.updates.close()
        self.compute.close()
        self.alerts.close()
        self.statements.close()
        self.secrets.close()
        self.store.close()

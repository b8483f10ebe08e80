"""The workspace's functions without HTTP, in one module per subject: `Services`."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from lakerun.plugins import Loaded, loaded_plugins
from lakerun.tables.storage import Storage
from lakerun.workspace.services.access.identity import IdentityService
from lakerun.workspace.services.access.permissions import PermissionService
from lakerun.workspace.services.access.secrets import Secrets
from lakerun.workspace.services.catalog.catalog import CatalogService
from lakerun.workspace.services.catalog.grants import GrantService
from lakerun.workspace.services.catalog.tables import Tables
from lakerun.workspace.services.compute.apps import Apps
from lakerun.workspace.services.compute.clusters import Clusters
from lakerun.workspace.services.compute.compute import Compute
from lakerun.workspace.services.compute.deployed import Deployed
from lakerun.workspace.services.creations import CreationService
from lakerun.workspace.services.files.volume_files import VolumeFiles
from lakerun.workspace.services.files.workspace_files import WorkspaceFiles
from lakerun.workspace.services.jobs.jobs import JobService
from lakerun.workspace.services.jobs.run_history import RunHistory
from lakerun.workspace.services.jobs.runs import Runs
from lakerun.workspace.services.jobs.scheduler import Scheduler
from lakerun.workspace.services.pipelines.pipelines import PipelineService
from lakerun.workspace.services.pipelines.updates import Updates
from lakerun.workspace.services.sql.alerts import Alerts
from lakerun.workspace.services.sql.dashboards import Dashboards
from lakerun.workspace.services.sql.statements import Statements
from lakerun.workspace.services.sql.warehouses import Warehouses
from lakerun.workspace.store import Store

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """The server's settings. Every call needs the `token`; clients connect to `host_url`."""

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
    plugins: Loaded = field(default_factory=loaded_plugins)
    identity: IdentityService = field(init=False)
    permissions: PermissionService = field(init=False)
    creations: CreationService = field(init=False)
    files: WorkspaceFiles = field(init=False)
    jobs: JobService = field(init=False)
    pipelines: PipelineService = field(init=False)
    grants: GrantService = field(init=False)
    catalog: CatalogService = field(init=False)
    apps: Apps = field(init=False)
    clusters: Clusters = field(init=False)
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
        self.identity = IdentityService(store, user, self.plugins.groups)
        self.permissions = PermissionService(store, user)
        self.creations = CreationService(store)
        self.files = WorkspaceFiles(store, self.storage.home / "workspace", user, self.permissions)
        self.jobs = JobService(store, user, self.permissions, self.creations)
        self.pipelines = PipelineService(store, user, self.permissions, self.creations, self.storage)
        self.grants = GrantService(store)
        self.catalog = CatalogService(
            store, self.storage, user, self.grants, self.creations, self.plugins.catalogs
        )
        self.apps = Apps(store, user, self.creations)
        self.clusters = Clusters(store, user, self.creations)
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
        """Build the services that run deployments: workers, updates of pipelines, runs of jobs, schedules."""
        deployed = Deployed(self.storage, self.files.local_path)
        self.run_history = RunHistory(self.store)
        self.compute = Compute(
            self.storage,
            on_output=self.run_history.add_output,
            read_secret=lambda scope, key: self.secrets.get_value(scope, key).decode(),
            hidden_variables=self.plugins.hidden_variables,
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
        self.scheduler = Scheduler(self.store, self.runs, deployed)
        self.jobs.on_change.append(self.scheduler.follow)
        self.pipelines.on_change.append(self.updates.follow)
        self.pipelines.state_of = self.updates.state_of

    def recover(self) -> None:
        """Clean up after an earlier server that was killed; called once, before the first request."""
        for undone in self.creations.recover():
            logger.warning("Deleted %s: the server had stopped before it answered the request.", undone)
        self.updates.recover()
        self.runs.recover()

    def start(self) -> None:
        """Start the schedules."""
        self.alerts.start()
        self.scheduler.start()

    def close(self) -> None:
        """Stop everything that runs; called once, after the last request."""
        self.scheduler.close()
        self.runs.close()
        self.updates.close()
        self.compute.close()
        self.alerts.close()
        self.statements.close()
        self.secrets.close()
        self.store.close()

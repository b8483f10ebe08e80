"""The settings of one environment: a frozen pydantic model over `<environment>_config.json`."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ecommerce_lakehouse.config.health import HealthTargets
from ecommerce_lakehouse.errors import USAGE, ShopError

Layer = Literal["bronze", "silver", "gold", "feature", "quarantine", "quality"]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$", max_length=255)]

LAYERS: tuple[Layer, ...] = ("bronze", "silver", "gold", "feature", "quarantine", "quality")


# pydantic warns because one of its deprecated methods is called `schema` too.
warnings.filterwarnings("ignore", message='Field name "schema" in "LakehouseConfig"', category=UserWarning)


class ConfigError(ShopError):
    """A setting or an environment name is wrong; the message is one line that says what is valid."""

    code = "INVALID_SETTINGS"
    exit_code = USAGE


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RowsGenerated(_Frozen):
    """Rows of the first batch of synthetic data, which covers `days` days; later batches add a day each."""

    orders: int = Field(ge=1, le=100_000_000)
    customer_activity: int = Field(ge=1, le=100_000_000)
    customers: int = Field(ge=1, le=10_000_000)
    days: int = Field(default=90, ge=1, le=3650)


class LakehouseConfig(_Frozen):
    """All settings of one environment.

    `catalog`, `schema` and `volume` name the place in Unity Catalog; `volumes_root` is `/Volumes` on
    Databricks and a folder on a laptop. `tables_root` is the laptop's folder of Delta tables, None on
    Databricks. Sizes are in MB, retention in days or hours as the name says, prices in the shop's currency.
    """

    environment: Literal["local", "dev", "staging", "prod"]
    catalog: Identifier
    schema: Identifier  # type: ignore[assignment]
    volume: Identifier
    on_databricks: bool = False
    volumes_root: str = "/Volumes"
    tables_root: str | None = None

    # Streaming ingestion.
    max_files_per_trigger: int = Field(ge=1, le=100_000)
    max_bytes_per_trigger: str = Field(pattern=r"^[1-9][0-9]*[bkmg]$")
    schema_evolution_mode: Literal["none", "rescue", "addNewColumns", "failOnNewColumns"]
    # A file that changes after it was read is read again, as a whole; otherwise an event names it.
    allow_overwrites: bool
    watermark_delay: str = Field(pattern=r"^[1-9][0-9]* (second|minute|hour|day)s?$")
    realtime_window: str = Field(pattern=r"^[1-9][0-9]* (second|minute|hour|day)s?$")

    # Table layout and retention.
    target_file_size_mb: int = Field(ge=1, le=1024)
    log_retention_days: int = Field(ge=1, le=3650)
    vacuum_retention_hours: int = Field(ge=168, le=8760)

    # Business thresholds.
    max_price: float = Field(gt=0)
    max_quantity: int = Field(ge=1)
    premium_customer_threshold: float = Field(gt=0)
    standard_customer_threshold: float = Field(gt=0)
    frequent_customer_orders: int = Field(ge=1)
    regular_customer_orders: int = Field(ge=1)
    popularity_buyer_weight: float = Field(ge=0)
    popularity_unit_weight: float = Field(ge=0)
    churn_medium_risk_days: int = Field(ge=1)
    churn_high_risk_days: int = Field(ge=1)
    new_customer_days: int = Field(ge=1)
    earliest_event: date
    future_tolerance: str = Field(pattern=r"^[1-9][0-9]* (second|minute|hour|day)s?$")

    # Feature snapshots are taken on a fixed grid of this many days.
    # It divides the trailing window of 28 days.
    feature_snapshot_days: Literal[1, 2, 4, 7, 14, 28]

    # Where data comes from: the generators write it, or others deliver it and the generators write nothing.
    source_data: Literal["generated", "delivered"]
    rows_generated: RowsGenerated
    issue_rate: float = Field(ge=0, le=1)

    health: HealthTargets

    # No file holds a secret: each comes from its variable, else from its key in this scope. Health checks
    # send failures to ALERT_WEBHOOK_URL; without it and without a key they send nothing.
    secret_scope: str = Field(min_length=1)
    alert_webhook_key: str | None = Field(default=None, min_length=1)

    # Activation: the key of the secret in the scope, whose variable is CUSTOMERIO_KEY. Without a region the
    # key's own counts. Another address than the region's is for tests. So many batches are under way at a
    # time.
    customerio_key: str = Field(min_length=1)
    customerio_region: Literal["us", "eu"] | None = None
    customerio_base_url: str | None = None
    customerio_concurrency: int = Field(ge=1, le=64)

    # Metrics export; nothing is exported without a host. The password's variable is POSTGRES_PASSWORD. The
    # budget is the longest that an export may take, retries included.
    postgres_host: str | None = Field(default=None, pattern=r"^(/.+|[A-Za-z0-9._:-]+)$")
    postgres_port: int = Field(ge=1, le=65535)
    postgres_database: str = Field(min_length=1, max_length=63)
    postgres_user: str = Field(min_length=1, max_length=63)
    postgres_schema: str = Field(pattern=r"^[a-z_][a-z0-9_]*$", max_length=63)
    postgres_sslmode: Literal["disable", "prefer", "require", "verify-ca", "verify-full"]
    postgres_sslrootcert: str | None = None
    postgres_password_key: str = Field(min_length=1)
    postgres_connect_timeout_seconds: int = Field(ge=2, le=300)
    postgres_statement_timeout_seconds: int = Field(ge=1, le=3600)
    postgres_budget_seconds: int = Field(ge=1, le=3600)

    @model_validator(mode="after")
    def _thresholds_are_ordered(self) -> LakehouseConfig:
        pairs = (
            ("standard_customer_threshold", "premium_customer_threshold"),
            ("regular_customer_orders", "frequent_customer_orders"),
            ("churn_medium_risk_days", "churn_high_risk_days"),
        )
        for low, high in pairs:
            if getattr(self, low) >= getattr(self, high):
                raise ValueError(f"{low} must be below {high}")
        return self

    # Places -----------------------------------------------------------------------------------------

    @property
    def volume_path(self) -> str:
        """The volume's folder: `/Volumes/<catalog>/<schema>/<volume>` or its place on the laptop."""
        return f"{self.volumes_root}/{self.catalog}/{self.schema}/{self.volume}"

    @property
    def orders_source_path(self) -> str:
        """Folder in which orders arrive as JSON lines."""
        return self.source_path("orders")

    @property
    def customer_activity_source_path(self) -> str:
        """Folder in which customer sessions arrive as JSON lines."""
        return self.source_path("customer_activity")

    @property
    def customer_profiles_source_path(self) -> str:
        """Folder in which customer profiles arrive as JSON lines."""
        return self.source_path("customer_profiles")

    @property
    def manifests_path(self) -> str:
        """Folder of the generator's manifests; no pipeline reads it."""
        return f"{self.volume_path}/manifests"

    def source_path(self, entity: str) -> str:
        """The folder of the volume in which the raw files of `entity` arrive."""
        return self.folder_path(f"{entity}_raw")

    def folder_path(self, folder: str) -> str:
        """A folder of the volume."""
        return f"{self.volume_path}/{folder}"

    def get_table_name(self, layer: Layer, entity: str) -> str:
        """`<catalog>.<schema>.<layer>_<entity>`; raises ConfigError for an unknown layer."""
        if layer not in LAYERS:
            raise ConfigError(f"Unknown layer '{layer}'. Valid: {', '.join(LAYERS)}.")
        if not re.fullmatch(r"[a-z][a-z0-9_]*", entity):
            raise ConfigError(
                f"'{entity}' is not a valid entity name: lower-case letters, digits and underscores."
            )
        return f"{self.catalog}.{self.schema}.{layer}_{entity}"

    # Table properties -------------------------------------------------------------------------------

    def get_bronze_table_properties(self, cols: Sequence[str] | None = None) -> dict[str, str]:
        """Delta properties of a bronze table, Z-ordered by `cols`; append-only."""
        return self._table_properties("bronze", cols) | {"delta.appendOnly": "true"}

    def get_silver_table_properties(self, cols: Sequence[str] | None = None) -> dict[str, str]:
        """Delta properties of a silver table, Z-ordered by `cols`; with change data feed."""
        return self._table_properties("silver", cols) | {
            "delta.enableChangeDataFeed": "true",
            "delta.enableDeletionVectors": "true",
        }

    def get_gold_table_properties(self, cols: Sequence[str] | None = None) -> dict[str, str]:
        """Delta properties of a gold or feature table, Z-ordered by `cols`."""
        return self._table_properties("gold", cols) | {"delta.enableDeletionVectors": "true"}

    def _table_properties(self, quality: str, cols: Sequence[str] | None) -> dict[str, str]:
        properties = {
            "quality": quality,
            "delta.autoOptimize.optimizeWrite": "true",
            "delta.autoOptimize.autoCompact": "true",
            "delta.targetFileSize": f"{self.target_file_size_mb}mb",
            "delta.logRetentionDuration": f"interval {self.log_retention_days} days",
            "delta.deletedFileRetentionDuration": f"interval {self.vacuum_retention_hours} hours",
        }
        if cols:
            properties["pipelines.autoOptimize.zOrderCols"] = ",".join(cols)
        return properties

    # Streaming --------------------------------------------------------------------------------------

    @property
    def stream_format(self) -> str:
        """`cloudFiles` (Auto Loader) on Databricks, Spark's own text source elsewhere."""
        return "cloudFiles" if self.on_databricks else "text"

    def get_streaming_options(self) -> dict[str, str]:
        """Reader options: the lines' format, and what bounds one micro-batch.

        Open-source Spark takes a limit of files or of bytes, not both. It also skips files that were modified
        more than `maxFileAge` before the newest one; a century keeps late files. Unlike Auto Loader, it reads
        only the folder's first level, or takes `day=2024-05-01` for a partition, unless it looks up files
        recursively. `allowOverwrites` is the runtime's.
        """
        if self.on_databricks:
            return {
                "cloudFiles.format": "text",
                "cloudFiles.maxFilesPerTrigger": str(self.max_files_per_trigger),
                "cloudFiles.maxBytesPerTrigger": self.max_bytes_per_trigger,
                "cloudFiles.schemaEvolutionMode": self.schema_evolution_mode,
                "cloudFiles.allowOverwrites": str(self.allow_overwrites).lower(),
            }
        return {
            "maxBytesPerTrigger": str(_bytes(self.max_bytes_per_trigger)),
            "maxFileAge": "36500d",
            "recursiveFileLookup": "true",
            "allowOverwrites": str(self.allow_overwrites).lower(),
        }


def _bytes(size: str) -> int:
    """`256m` as a number, which is all that Spark's file source takes."""
    return int(size[:-1]) << 10 * "bkmg".index(size[-1])


def known_environments() -> tuple[str, ...]:
    """Environments that have a settings file, in order of promotion."""
    return ("local", "dev", "staging", "prod")


def settings_file(environment: str) -> Path:
    """The JSON file of an environment."""
    return Path(__file__).parent / f"{environment}_config.json"


def settings_values(path: Path) -> dict[str, Any]:
    """The values of a settings file, unchecked; ConfigError if it cannot be read."""
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise ConfigError(f"{path.name} cannot be read: {error}") from None
    return values

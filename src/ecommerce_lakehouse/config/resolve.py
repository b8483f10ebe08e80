"""Which environment applies, and its settings with overrides: `get_config`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from ecommerce_lakehouse.config.settings import (
    ConfigError,
    LakehouseConfig,
    known_environments,
    settings_file,
    settings_values,
)

ENVIRONMENTS = known_environments()
DEFAULT_ENVIRONMENT = "dev"
OVERRIDES = {
    "CATALOG_NAME": "catalog",
    "SCHEMA_NAME": "schema",
    "VOLUME_NAME": "volume",
    "CUSTOMERIO_REGION": "customerio_region",
    "CUSTOMERIO_BASE_URL": "customerio_base_url",
    "POSTGRES_HOST": "postgres_host",
    "POSTGRES_PORT": "postgres_port",
    "POSTGRES_DATABASE": "postgres_database",
    "POSTGRES_USER": "postgres_user",
    "POSTGRES_SSLROOTCERT": "postgres_sslrootcert",
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: the settings file or environment variable, its field, and what is expected."""

    source: str
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.source}: {self.field}: {self.message}"


class _Widgets(Protocol):
    def text(self, name: str, default: str, label: str) -> None: ...
    def get(self, name: str) -> str: ...


class _Dbutils(Protocol):
    widgets: _Widgets


def get_config(environment: str | None = None) -> LakehouseConfig:
    """Settings of `environment`; else of Spark conf `PIPELINE_ENV`, else of the variable, else of dev.

    `CATALOG_NAME`, `SCHEMA_NAME`, `VOLUME_NAME`, `CUSTOMERIO_REGION` and `_BASE_URL`, and `POSTGRES_HOST`,
    `_PORT`, `_DATABASE`, `_USER` and `_SSLROOTCERT` override the file, again Spark conf before variable.
    Raises ConfigError: an unknown environment or a bad value, in one line that lists what is valid.
    """
    name = environment or setting("PIPELINE_ENV") or DEFAULT_ENVIRONMENT
    if name not in ENVIRONMENTS:
        raise ConfigError(f"Unknown environment '{name}'. Valid environments: {', '.join(ENVIRONMENTS)}.")
    overrides = {field: value for key, field in OVERRIDES.items() if (value := setting(key))}
    on_databricks = "DATABRICKS_RUNTIME_VERSION" in os.environ
    home = None if on_databricks else laptop_home()
    return _load(name, tuple(sorted(overrides.items())), home)


def widget_environment(dbutils: _Dbutils) -> str:
    """Notebook entry point: offer a widget `environment` and return its value.

    Use as `config = get_config(widget_environment(dbutils))` at the top of a notebook.
    """
    dbutils.widgets.text("environment", DEFAULT_ENVIRONMENT, f"Environment ({'/'.join(ENVIRONMENTS)})")
    return dbutils.widgets.get("environment")


def log_pipeline_config(config: LakehouseConfig | None = None) -> list[str]:
    """Print the settings that decide what a pipeline does, a line each, and return the lines.

    Called at every pipeline's start. The lines are in the driver log on Databricks, in the event log on a
    laptop.
    """
    config = config or get_config()
    lines = [
        f"Pipeline Environment: {config.environment}",
        f"Target Catalog.Schema: {config.catalog}.{config.schema}",
        f"Source Path: {config.orders_source_path}",
        f"Max Files per Trigger: {config.max_files_per_trigger}",
        f"Target File Size: {config.target_file_size_mb}MB",
        f"Watermark Delay: {config.watermark_delay}",
        f"Premium Customer Threshold: {config.premium_customer_threshold:.2f}",
        f"Max Quantity Allowed: {config.max_quantity}",
        f"Max Price Allowed: {config.max_price:.2f}",
    ]
    for line in lines:
        print(line)
    return lines


def laptop_home() -> Path:
    """The data folder on a laptop: `LAKEHOUSE_HOME`, else `.lakehouse` in the working directory."""
    return Path(os.environ.get("LAKEHOUSE_HOME") or ".lakehouse").absolute()


def setting(key: str) -> str | None:
    """A value from the active Spark session's conf, else from the process environment."""
    return _spark_conf(key) or os.environ.get(key) or None


def _spark_conf(key: str) -> str | None:
    # Without an imported pyspark there is no session, and importing it here would cost a second.
    pyspark_sql = sys.modules.get("pyspark.sql")
    session = pyspark_sql.SparkSession.getActiveSession() if pyspark_sql else None
    if session is None:
        return None
    try:
        return session.conf.get(key, None) or None
    except Exception as error:
        # Databricks raises it for a key without a value, even though a default is given.
        if "[CONFIG_NOT_AVAILABLE]" in str(error):
            return None
        raise


@lru_cache(maxsize=32)
def _load(environment: str, overrides: tuple[tuple[str, str], ...], home: Path | None) -> LakehouseConfig:
    """`home` is the laptop's data folder, None on Databricks."""
    path = settings_file(environment)
    values = settings_values(path) | dict(overrides)
    values |= {"environment": environment, "on_databricks": home is None}
    if home is not None:
        values |= {"volumes_root": str(home / "volumes"), "tables_root": str(home / "tables")}
    try:
        return LakehouseConfig.model_validate(values)
    except ValidationError as error:
        sources = {field: key for key, field in OVERRIDES.items() if field in dict(overrides)}
        raise ConfigError("; ".join(map(str, problems_in(error, path.name, sources)))) from None


def problems_in(error: ValidationError, file: str, overridden: Mapping[str, str]) -> list[Problem]:
    """Every problem; `overridden` maps fields to the variables that override the settings `file`."""
    found = []
    for item in error.errors(include_url=False):
        field = ".".join(str(part) for part in item["loc"]) or "settings"
        source = overridden.get(field, file)
        found.append(Problem(source, field, f"{item['msg']}{_given_value(field, item)}"))
    return found


def _given_value(field: str, problem: Mapping[str, Any]) -> str:
    """The wrong value, in brackets, if there is one that may be shown.

    The database's are never shown: someone may have given a URL with a password as its host.
    """
    shown = problem["loc"] and problem["type"] != "missing" and not field.startswith("postgres_")
    return f" (given: {problem['input']!r})" if shown else ""

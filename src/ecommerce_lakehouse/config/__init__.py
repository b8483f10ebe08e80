"""One environment-aware settings object, read by every module: `get_config()`."""

from ecommerce_lakehouse.config.resolve import (
    ENVIRONMENTS,
    get_config,
    log_pipeline_config,
    widget_environment,
)
from ecommerce_lakehouse.config.settings import ConfigError, LakehouseConfig

__all__ = [
    "ENVIRONMENTS",
    "ConfigError",
    "LakehouseConfig",
    "get_config",
    "log_pipeline_config",
    "widget_environment",
]

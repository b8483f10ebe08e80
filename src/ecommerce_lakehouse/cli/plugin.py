"""What the shop adds to the runtime: `PLUGIN`, named by the entry point `lakerun.plugins`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from ecommerce_lakehouse import __version__
from ecommerce_lakehouse.cli.unions import UNIONS
from ecommerce_lakehouse.observability.health_sql import EVENTS
from lakerun.plugins import Environment, Environments, Monitoring, Plugin, Quarantine, RunSql

if TYPE_CHECKING:
    from ecommerce_lakehouse.observability.trends import Trends
    from lakerun.plugins import RuleValidator

NAMES = ("local", "dev", "staging", "prod")
EXAMPLES = {
    "run": (
        "run e2e_pipeline_job",
        "run generate_sample_data --param batches=7",
        "run e2e_pipeline_job --only generate_sample_data",
        "run medallion_dlt_pipeline --full-refresh silver_orders",
        "run medallion_dlt_pipeline --validate-only",
    ),
    "show": (
        "show silver_orders --limit 5",
        "show silver_orders --columns order_id,price",
        "show silver_orders --schema",
        "show silver_orders --history --json",
    ),
    "sql": (
        'sql "SELECT status, count(*) FROM silver_orders GROUP BY status"',
        "sql -f src/sql/expectation_failures.sql --format csv",
        'sql "SHOW TABLES"',
    ),
    "events": (
        "events medallion_dlt_pipeline",
        "events medallion_dlt_pipeline --level WARN --update latest",
        "events medallion_dlt_pipeline --type flow_progress --json",
    ),
    "validate": ("validate", "validate --env prod --json"),
}


def _commands() -> Sequence[Any]:
    from ecommerce_lakehouse.cli import (
        activate,
        config,
        generate,
        health,
        metrics,
        privacy,
        quality,
        quarantine,
    )

    return activate, config, generate, health, metrics, privacy, quality, quarantine


def _settings(name: str) -> Environment:
    """`--env` in terms of the bundle: its variables `environment`, `catalog`, `schema` and `volume`."""
    from ecommerce_lakehouse.config import get_config

    config = get_config(name)
    variables = {
        "environment": name,
        "catalog": config.catalog,
        "schema": config.schema,
        "volume": config.volume,
    }
    return Environment(variables=variables, catalog=config.catalog, schema=config.schema)


def _catalogs() -> Collection[str]:
    from ecommerce_lakehouse.config.settings import settings_file, settings_values

    return {str(settings_values(settings_file(name))["catalog"]) for name in NAMES}


def _validator(environment: str) -> RuleValidator:
    from ecommerce_lakehouse.cli.rule_validator import RegistryValidator
    from ecommerce_lakehouse.config import get_config

    return RegistryValidator(get_config(environment))


def _trends(run: RunSql, *, days: int) -> Trends:
    from ecommerce_lakehouse.observability.trends import trends

    return trends(run, days=days)


PLUGIN = Plugin(
    name="ecommerce-lakehouse",
    bundle="ecommerce_lakehouse",
    program="lakehouse",
    version=__version__,
    summary="Run and look at the lakehouse on this machine, with local Spark and Delta.",
    first_command="run e2e_pipeline_job",
    commands=_commands,
    examples=EXAMPLES,
    environments=Environments(names=NAMES, default="local", settings=_settings),
    catalogs=_catalogs,
    groups=("data-engineers",),
    layers=("bronze", "silver", "gold", "feature", "quarantine", "quality"),
    unions=UNIONS,
    hidden_variables=("PIPELINE_ENV", "CATALOG_NAME", "SCHEMA_NAME", "VOLUME_NAME"),
    validator=_validator,
    quarantine=Quarantine(prefix="quarantine_"),
    monitoring=Monitoring(events=EVENTS, trends=_trends, command="health"),
)

"""Where the bundle is, and the bundle as the command line resolves it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ecommerce_lakehouse.engine.bundle import Bundle

LOCAL = "local"


def project_root() -> Path:
    """The nearest folder with `databricks.yml`: the working directory or one above it."""
    from ecommerce_lakehouse.engine.errors import BundleError

    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "databricks.yml").is_file():
            return folder
    raise BundleError(f"There is no databricks.yml in {here} or above it. Run this in the project's folder.")


def load_project(environment: str = LOCAL, target: str | None = None) -> Bundle:
    """The project's bundle with the environment's catalog, schema and volume.

    Raises ConfigError for an unknown environment, BundleError or UnknownNameError for the bundle.
    """
    from ecommerce_lakehouse.config import get_config
    from ecommerce_lakehouse.engine.bundle import load_bundle

    config = get_config(environment)
    variables = {
        "environment": environment,
        "catalog": config.catalog,
        "schema": config.schema,
        "volume": config.volume,
    }
    return load_bundle(project_root(), target, variables)


def complete_runnable(incomplete: str) -> list[str]:
    """Jobs and pipelines whose name starts with what was typed."""
    try:
        bundle = load_project()
    except Exception:
        return []  # a completion has nowhere to show an error
    return [name for name in (*bundle.jobs, *bundle.pipelines) if name.startswith(incomplete)]


def complete_pipeline(incomplete: str) -> list[str]:
    """Pipelines whose name starts with what was typed."""
    try:
        return [name for name in load_project().pipelines if name.startswith(incomplete)]
    except Exception:
        return []


def complete_table(incomplete: str) -> list[str]:
    """Tables whose name starts with what was typed."""
    from ecommerce_lakehouse.engine.storage import Storage

    return [table.table for table in Storage.default().tables() if table.table.startswith(incomplete)]


def complete_environment(incomplete: str) -> list[str]:
    """Environments whose name starts with what was typed."""
    from ecommerce_lakehouse.config import ENVIRONMENTS

    return [name for name in ENVIRONMENTS if name.startswith(incomplete)]


EnvironmentOption = Annotated[
    str,
    typer.Option(
        "--env",
        help="Environment whose settings apply: local, dev, staging or prod.",
        autocompletion=complete_environment,
    ),
]
TargetOption = Annotated[
    str | None,
    typer.Option("--target", "-t", help="The bundle's target; by default its default target, dev."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]

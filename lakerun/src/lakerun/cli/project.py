"""Finds and resolves the bundle, and the environment whose settings apply."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakerun.errors import USAGE, BundleError, LakerunError
from lakerun.plugins import Environment, Plugin, loaded_plugins

if TYPE_CHECKING:
    from lakerun.bundles.model import Bundle


class NoEnvironmentsError(LakerunError):
    """`--env` was given, but the bundle has no environments."""

    code = "NO_ENVIRONMENTS"
    exit_code = USAGE


def project_root() -> Path:
    """The nearest folder with `databricks.yml`: the working directory or one above it."""
    if (found := _project_root()) is not None:
        return found
    raise BundleError(
        f"There is no databricks.yml in {Path.cwd()} or above it. Run this in the project's folder."
    )


def project_plugin() -> Plugin | None:
    """The plugin of the bundle here; outside of a bundle, the only one that is installed."""
    loaded = loaded_plugins()
    if not loaded.plugins:
        return None
    root = _project_root()
    if root is None:
        return loaded.of_bundle(None)
    from lakerun.bundles.name import bundle_name

    try:
        return loaded.of_bundle(bundle_name(root))
    except BundleError:  # reported by the commands that need the bundle
        return loaded.of_bundle(None)


def environment_here(name: str | None = None) -> Environment | None:
    """The environment with this name, by default the project's default; None if the project has none.

    Raises NoEnvironmentsError for a name if there are none, and the project's own error for an unknown one.
    """
    plugin = project_plugin()
    if plugin is not None and plugin.environments is not None:
        return plugin.environments.settings(name or plugin.environments.default)
    if name is None:
        return None
    raise NoEnvironmentsError(
        f"--env {name}: this bundle has no environments. Choose a target with --target."
    )


def default_names(environment: str | None = None) -> tuple[str | None, str | None]:
    """Catalog and schema of tables that are named without them; None if a project has no environments."""
    found = environment_here(environment)
    return (found.catalog, found.schema) if found else (None, None)


def table_layers() -> tuple[str, ...]:
    """Prefixes by which tables are grouped, in order: the project's, then the event logs."""
    plugin = project_plugin()
    return (*(plugin.layers if plugin else ()), "event_log")


def load_project(environment: str | None = None, target: str | None = None) -> Bundle:
    """The project's bundle for a target, with the environment's values for its variables.

    Raises BundleError or UnknownNameError for the bundle, and the project's own error for an environment.
    """
    from lakerun.bundles.load import load_bundle

    root = project_root()
    found = environment_here(environment)
    return load_bundle(root, target, found.variables if found else {})


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
    from lakerun.tables.storage import Storage

    return [table.table for table in Storage.default().tables() if table.table.startswith(incomplete)]


def complete_environment(incomplete: str) -> list[str]:
    """Environments whose name starts with what was typed."""
    plugin = project_plugin()
    names = plugin.environments.names if plugin and plugin.environments else ()
    return [name for name in names if name.startswith(incomplete)]


def _project_root() -> Path | None:
    from lakerun.bundles.name import root_names

    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if root_names(folder)), None)


EnvironmentOption = Annotated[
    str | None,
    typer.Option(
        "--env",
        metavar="NAME",
        help="Environment whose settings apply: {environments}.",
        autocompletion=complete_environment,
    ),
]
TargetOption = Annotated[
    str | None,
    typer.Option("--target", "-t", help="The bundle's target; by default its default target."),
]
SparkConnectOption = Annotated[
    bool,
    typer.Option(
        "--spark-connect",
        help="Give wheels, scripts and notebooks Spark Connect, as serverless compute does. Also by the "
        "variable LAKEHOUSE_SPARK_CONNECT=1.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]

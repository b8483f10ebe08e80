"""A project's additions to the runtime: a `Plugin`, named by an entry point of the group `lakerun.plugins`.

    [project.entry-points."lakerun.plugins"]
    my-shop = "my_shop.cli.plugin:PLUGIN"

All fields but the name are optional. Plugins are loaded at the start of each command, so their modules must
not import anything heavy.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any, Protocol

from lakerun.errors import first_line

GROUP = "lakerun.plugins"
METADATA = (".dist-info", ".egg-info")  # folders of installed packages
DEFAULT_CATALOG = "main"
# Comma-separated names of plugins; if it is set, no others are loaded.
CHOSEN = "LAKERUN_PLUGINS"


@dataclass(frozen=True, kw_only=True)
class Environment:
    """The settings of an environment.

    `variables` are values of the bundle's variables; `catalog` and `schema` are the defaults for names of
    tables without them.
    """

    variables: Mapping[str, str]
    catalog: str
    schema: str


@dataclass(frozen=True, kw_only=True)
class Environments:
    """The environments that `--env` offers. `settings` returns one by its name."""

    names: tuple[str, ...]
    default: str
    settings: Callable[[str], Environment]


@dataclass(frozen=True, order=True)
class Problem:
    """Something that would fail. `location` is `file:line`; the message is one line."""

    location: str
    message: str


class RuleValidator(Protocol):
    """The checks that `validate` needs from a project whose expectations come from a registry of rules."""

    def registry_problems(self) -> Iterable[Problem]:
        """The problems in the registry itself."""

    def loading(self) -> AbstractContextManager[None]:
        """The context in which pipelines are loaded, where a wrong rule must not hide other problems."""

    def location_of(self, name: str, constraint: str) -> str | None:
        """The location of an expectation's rule; None if the rule is not in the registry."""

    def nondeterminism(self, constraint: str) -> Iterable[str]:
        """The parts of a constraint that depend on more than its row, such as `now()`."""

    def table_problems(self, columns: Mapping[str, Sequence[str]]) -> Iterable[Problem]:
        """Rules for tables or columns that no pipeline declares. `columns` has the columns of every declared
        table by its plain name; they are empty for a table that could not be resolved."""

    def other_tables(self) -> Mapping[str, str]:
        """Tables that the project's own code writes and dashboards read: by their plain name, the columns
        with their types as in CREATE TABLE."""

    def counts(self) -> Mapping[str, int]:
        """How many of what else there are, by a singular noun, such as `rule`; asked without problems."""


@dataclass(frozen=True, kw_only=True)
class Quarantine:
    """A project's tables for refused lines: their names are `<prefix><entity>`, their columns `raw_text`,
    `source_file`, `ingested_at` and `broken_rules`, an array of rule names."""

    prefix: str = "quarantine_"


class Day(Protocol):
    """The figures of one day, in UTC. See `Trends`."""

    @property
    def day(self) -> date: ...
    @property
    def completed(self) -> int: ...
    @property
    def failed(self) -> int: ...
    @property
    def canceled(self) -> int: ...
    @property
    def rows_written(self) -> int: ...
    @property
    def judged_records(self) -> int: ...
    @property
    def failed_records(self) -> int: ...
    @property
    def success_rate_percent(self) -> float | None: ...
    @property
    def expectation_failure_percent(self) -> float | None: ...


class Trends(Protocol):
    """The figures of the workspace's health page: each day of a period, its totals, and datasets' ages.

    `datasets` have `pipeline`, `dataset`, `last_up_to_date` and `ages`, in seconds at the end of each day.
    """

    @property
    def now(self) -> datetime: ...
    @property
    def days(self) -> Sequence[Day]: ...
    @property
    def datasets(self) -> Sequence[Any]: ...
    @property
    def total(self) -> Day: ...
    def oldest_ages(self) -> Mapping[str, Sequence[float | None]]:
        """By pipeline, the age of its oldest dataset on each day, in seconds."""


@dataclass(frozen=True, kw_only=True)
class TableUnion:
    """One relation over every table of a schema whose name starts with `prefix` and that has these `columns`.

    `sql` returns its query in Databricks SQL over the tables with these names, at least one. On Databricks
    the project itself creates a view of that query. Here every query can use the relation's name, and the
    relation includes tables that are created later; a table with the same name takes precedence.
    """

    prefix: str
    columns: tuple[str, ...]
    sql: Callable[[Sequence[str]], str]


RunSql = Callable[[str], Sequence[Mapping[str, Any]]]
"""Runs a query in Databricks SQL; returns a mapping per row."""


class TrendsOf(Protocol):
    """Figures over the last `days` days. `run` finds the tables and unions of one schema by their names."""

    def __call__(self, run: RunSql, *, days: int) -> Trends: ...


@dataclass(frozen=True, kw_only=True)
class Monitoring:
    """Figures for the workspace's health page, for each schema in which the union `events` has tables.

    `command`, such as `health`, shows targets and results.
    """

    events: str
    trends: TrendsOf
    command: str = ""


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """The additions of one project.

    `bundle` is the name of its bundle, to which environments and rules are limited. `program` is the name of
    its own command line. `commands` are modules with a typer `app`, or with `NAME`, `EXAMPLES` and `command`.
    `examples` replace those in the help of the runtime's commands. `catalogs` and `groups` exist in the local
    workspace from the start. `layers` are the prefixes by which `tables` groups tables, in order. `unions`
    are relations over several tables, by their plain name in lower case. `hidden_variables` are environment
    variables that tasks of the local workspace do not get, as their settings come from the bundle.
    `first_command` is the command that messages suggest to a new user.
    """

    name: str
    bundle: str = ""
    program: str = "lakerun"
    version: str = ""
    summary: str = ""
    first_command: str = ""
    commands: Callable[[], Sequence[Any]] = tuple
    examples: Mapping[str, Sequence[str]] = field(default_factory=dict)
    environments: Environments | None = None
    catalogs: Callable[[], Collection[str]] = tuple
    groups: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    unions: Mapping[str, TableUnion] = field(default_factory=dict)
    hidden_variables: tuple[str, ...] = ()
    validator: Callable[[str], RuleValidator] | None = None
    quarantine: Quarantine | None = None
    monitoring: Monitoring | None = None


@dataclass(frozen=True)
class Loaded:
    """The plugins of this installation, and a line for each one that cannot be loaded."""

    plugins: tuple[Plugin, ...]
    problems: tuple[str, ...]

    @property
    def quarantine(self) -> Quarantine | None:
        """The quarantine of the first plugin that has one."""
        return next((plugin.quarantine for plugin in self.plugins if plugin.quarantine), None)

    @property
    def monitoring(self) -> Monitoring | None:
        """The health page's figures, from the first plugin that has them."""
        return next((plugin.monitoring for plugin in self.plugins if plugin.monitoring), None)

    @property
    def catalogs(self) -> frozenset[str]:
        """Catalogs that the local workspace has from the start, `main` as in a new workspace."""
        return frozenset({DEFAULT_CATALOG, *(name for plugin in self.plugins for name in plugin.catalogs())})

    @property
    def groups(self) -> tuple[str, ...]:
        """Groups that the local workspace has from the start, besides Databricks' own."""
        return tuple(name for plugin in self.plugins for name in plugin.groups)

    @property
    def unions(self) -> Mapping[str, TableUnion]:
        """Relations over several tables, by their plain name."""
        return {name: union for plugin in self.plugins for name, union in plugin.unions.items()}

    @property
    def hidden_variables(self) -> frozenset[str]:
        """Environment variables that tasks of the local workspace do not get."""
        return frozenset(name for plugin in self.plugins for name in plugin.hidden_variables)

    def of_bundle(self, bundle: str | None) -> Plugin | None:
        """The plugin of this bundle; without a bundle, the only plugin with environments, if there is one."""
        if bundle is not None:
            return next((plugin for plugin in self.plugins if plugin.bundle == bundle), None)
        found = [plugin for plugin in self.plugins if plugin.environments]
        return found[0] if len(found) == 1 else None


def loaded_plugins() -> Loaded:
    """Every plugin of this installation, or those that `LAKERUN_PLUGINS` names; sorted by name."""
    chosen = os.environ.get(CHOSEN)
    return _loaded(None if chosen is None else frozenset(name.strip() for name in chosen.split(",")))


@cache
def _loaded(chosen: frozenset[str] | None) -> Loaded:
    plugins: dict[str, Plugin] = {}
    problems = []
    for name, value in sorted(_entry_points().items()):
        if chosen is not None and name not in chosen:
            continue
        try:
            module, _, attribute = value.partition(":")
            found = attrgetter(attribute.strip())(import_module(module.strip()))
            if not isinstance(found, Plugin):
                raise TypeError(f"{value} is not a lakerun.plugins.Plugin")
        except Exception as error:
            reason = first_line(error)
            problems.append(f"Plugin '{name}' cannot be loaded: {type(error).__name__}: {reason}")
        else:
            plugins[name] = found
    return Loaded(tuple(plugins.values()), tuple(problems))


def _entry_points() -> dict[str, str]:
    """The entry points of the group, by name, as `importlib.metadata` finds them in installed packages.

    Importing that module and what it needs would take a tenth of a short command's time.
    """
    found: dict[str, str] = {}
    for folder in dict.fromkeys(sys.path):
        try:
            entries = [entry.path for entry in os.scandir(folder or ".") if entry.name.endswith(METADATA)]
        except OSError:  # not a folder, or missing
            continue
        for entry in entries:
            with suppress(OSError, UnicodeDecodeError):
                text = Path(entry, "entry_points.txt").read_text(encoding="utf-8")
                if GROUP in text:
                    for name, value in _section(text).items():
                        found.setdefault(name, value)
    return found


def _section(text: str) -> dict[str, str]:
    """The lines `name = value` of the group's section in an `entry_points.txt`."""
    values, within = {}, False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            within = line == f"[{GROUP}]"
        elif within and "=" in line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            values[name.strip()] = value.partition("[")[0].strip()
    return values

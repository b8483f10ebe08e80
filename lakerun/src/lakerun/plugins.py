"""What a project adds to the runtime: a `Plugin`, named by an entry point of the group `lakerun.plugins`.

    [project.entry-points."lakerun.plugins"]
    my-shop = "my_shop.cli.plugin:PLUGIN"

Every field has a default, and the runtime needs none of them. A plugin is loaded at the start of each
command: its module must not import anything heavy.
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
# Names of plugins with commas between; where it is set, no other is loaded.
CHOSEN = "LAKERUN_PLUGINS"


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What an environment's name stands for.

    `variables` are values of the bundle's variables; `catalog` and `schema` say where a table is that is
    named without them.
    """

    variables: Mapping[str, str]
    catalog: str
    schema: str


@dataclass(frozen=True, kw_only=True)
class Environments:
    """The environments that `--env` offers. `settings` gives the one of that name."""

    names: tuple[str, ...]
    default: str
    settings: Callable[[str], Environment]


@dataclass(frozen=True, order=True)
class Problem:
    """Something that would fail. `location` is `file:line`; the message is one line."""

    location: str
    message: str


class RuleValidator(Protocol):
    """What `validate` asks of a project whose expectations come from a registry of rules."""

    def registry_problems(self) -> Iterable[Problem]:
        """What is wrong in the registry itself."""

    def loading(self) -> AbstractContextManager[None]:
        """Entered while pipelines are loaded: a wrong rule must not hide the other problems."""

    def location_of(self, name: str, constraint: str) -> str | None:
        """Where the rule of an expectation is written; None for one that is not in the registry."""

    def nondeterminism(self, constraint: str) -> Iterable[str]:
        """What in a constraint depends on more than its row, such as `now()`."""

    def table_problems(self, columns: Mapping[str, Sequence[str]]) -> Iterable[Problem]:
        """Rules that ask for what no pipeline declares. `columns` are those of every declared table, by its
        plain name; none for a table that could not be resolved."""


@dataclass(frozen=True, kw_only=True)
class Quarantine:
    """How a project keeps refused lines: tables named `<prefix><entity>` with the columns `raw_text`,
    `source_file`, `ingested_at` and `broken_rules`, an array of rule names."""

    prefix: str = "quarantine_"


class Day(Protocol):
    """What happened on one day, in UTC. See `Trends`."""

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
    """What the workspace's health page shows: each day of a period, its sums, and how old datasets are.

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
        """Of each pipeline: the age of its oldest dataset on each day, in seconds."""


@dataclass(frozen=True, kw_only=True)
class TableUnion:
    """One relation over every table of a schema whose name starts with `prefix` and that has these `columns`.

    `sql` gives its query in Databricks SQL over the tables of these names; at least one. On Databricks the
    project creates a view of that query itself. Here the relation's name is answered in every query, also for
    tables that are made later; a table of the same name comes first.
    """

    prefix: str
    columns: tuple[str, ...]
    sql: Callable[[Sequence[str]], str]


RunSql = Callable[[str], Sequence[Mapping[str, Any]]]
"""Runs a query in Databricks SQL; a mapping per row."""


class TrendsOf(Protocol):
    """Figures over the last `days` days. `run` finds the tables and unions of one schema by their names."""

    def __call__(self, run: RunSql, *, days: int) -> Trends: ...


@dataclass(frozen=True, kw_only=True)
class Monitoring:
    """Figures for the workspace's health page, of each schema in which the union `events` has tables.

    `command` shows targets and verdicts: `health`.
    """

    events: str
    trends: TrendsOf
    command: str = ""


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """What one project adds.

    `bundle` is the name of its bundle: environments and rules apply to no other. `program` is what its own
    command line is called. `commands` are modules with a typer `app`, or with `NAME`, `EXAMPLES` and
    `command`. `examples` replace those in the help of the runtime's commands. `catalogs` and `groups` are
    there from the start in the local workspace. `layers` are the prefixes by which `tables` groups tables, in
    order. `unions` are relations over several tables, by their plain name in lower case.
    `hidden_variables` are environment variables that reach no task of the local workspace: there, settings
    come from the bundle. `first_command` is what a new user is told to run.
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
        """How refused lines are kept, by the first plugin that says so."""
        return next((plugin.quarantine for plugin in self.plugins if plugin.quarantine), None)

    @property
    def monitoring(self) -> Monitoring | None:
        """The health page's figures, from the first plugin that has some."""
        return next((plugin.monitoring for plugin in self.plugins if plugin.monitoring), None)

    @property
    def catalogs(self) -> frozenset[str]:
        """Catalogs that the local workspace has from the start, `main` as in a new workspace."""
        return frozenset({DEFAULT_CATALOG, *(name for plugin in self.plugins for name in plugin.catalogs())})

    @property
    def groups(self) -> tuple[str, ...]:
        """Groups that the local workspace has from the start, beside Databricks' own."""
        return tuple(name for plugin in self.plugins for name in plugin.groups)

    @property
    def unions(self) -> Mapping[str, TableUnion]:
        """Relations over several tables, by their plain name."""
        return {name: union for plugin in self.plugins for name, union in plugin.unions.items()}

    @property
    def hidden_variables(self) -> frozenset[str]:
        """Environment variables that reach no task of the local workspace."""
        return frozenset(name for plugin in self.plugins for name in plugin.hidden_variables)

    def of_bundle(self, bundle: str | None) -> Plugin | None:
        """The plugin of this bundle; without a bundle the only one that has environments."""
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
        except OSError:  # not a folder, or not there
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

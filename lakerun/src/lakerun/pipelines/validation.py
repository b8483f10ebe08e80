"""Finds all problems of the project at once, before anything runs: `validate`.

It checks the bundle for each target, the graph of every pipeline with all expectations, the dashboards, and
the project's registry of rules, if there is one. Nothing is written and no data is read: every table is an
empty one with the right schema.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lakerun.bundles.load import Bundle, bundle_targets, load_bundle
from lakerun.bundles.model import JobSpec, PipelineSpec
from lakerun.bundles.source_files import check_source_files
from lakerun.errors import GraphError, LakerunError, first_line
from lakerun.pipelines.definitions import DatasetDefinition, Definitions, load_definitions
from lakerun.pipelines.expectations import Expectation
from lakerun.pipelines.graph import resolve
from lakerun.plugins import Problem, RuleValidator
from lakerun.spark.session import session_with
from lakerun.tables.storage import Storage, TableName, name_parts

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

Schemas = dict[TableName, "StructType"]


@dataclass(frozen=True)
class Validation:
    """All problems, sorted by location; without any, how many of what there are, by a singular noun."""

    problems: list[Problem]
    counts: Mapping[str, int] = field(default_factory=dict)


def validate(root: Path, variables: Mapping[str, str], rules: RuleValidator | None = None) -> Validation:
    """Check the project in folder `root`.

    Locations are relative to the project. `variables` are the bundle's, for its default target; `rules`
    checks the project's registry of rules. Needs Spark, started by `get_session` before.
    """
    found = _bundle_problems(root, variables)
    found += rules.registry_problems() if rules else ()
    try:
        bundle = load_bundle(root, None, variables)
    except LakerunError:
        return Validation(_tidy(found, root))  # reported above; without a bundle there are no pipelines
    specs: list[PipelineSpec | JobSpec] = [*bundle.pipelines.values(), *bundle.jobs.values()]
    found += [Problem(refused.location, refused.message) for spec in specs for refused in spec.refused]
    with rules.loading() if rules else contextlib.nullcontext():
        schemas, more, declared = _pipeline_problems(bundle, rules)
        found += more
        if rules:
            columns = {table.table: schema.names for table, schema in schemas.items()}
            found += rules.table_problems({table.table: columns.get(table.table, []) for table in declared})
    if bundle.dashboards:
        from lakerun.sql.dashboards import dashboard_problems

        known = _with_logs(bundle, schemas) | _schemas_of(rules.other_tables() if rules else {})
        found += dashboard_problems(bundle.dashboards.values(), known)
    if problems := _tidy(found, root):
        return Validation(problems)
    counts = {
        "pipeline": len(bundle.pipelines),
        "dataset": len(declared),
        "job": len(bundle.jobs),
        "dashboard": len(bundle.dashboards),
    }
    return Validation([], counts | dict(rules.counts() if rules else {}))


def _bundle_problems(root: Path, variables: Mapping[str, str]) -> list[Problem]:
    found: list[Problem] = []
    targets: list[str | None] = [None]
    with contextlib.suppress(LakerunError):  # the default target has the same problem
        targets += bundle_targets(root)
    for target in targets:
        try:
            load_bundle(root, target, variables if target is None else {})
        except LakerunError as error:
            found.append(Problem(error.location or "databricks.yml", error.message))
    return found


# Pipelines --------------------------------------------------------------------------------------------------


def _pipeline_problems(
    bundle: Bundle, rules: RuleValidator | None
) -> tuple[Schemas, list[Problem], dict[TableName, str]]:
    """The tables' schemas, the pipelines' problems, and every declared table with its pipeline."""
    found: list[Problem] = []
    loaded: dict[str, Definitions] = {}
    owners: dict[TableName, str] = {}
    for key, spec in bundle.pipelines.items():
        with session_with(spec.configuration, spec.spark_conf) as session:
            try:
                check_source_files(spec.source_files)
                loaded[key] = load_definitions(spec.source_files, session, spec.root_path)
            except LakerunError as error:
                found.append(_problem(error, key, spec))
                continue
        for definition in loaded[key].datasets.values():
            if definition.kind == "VIEW":
                continue
            table = _table_name(definition.name, spec)
            if table in owners:
                other = f"'{table.table}' belongs to {owners[table]} and to {key}"
                found.append(Problem(_full(definition.location, spec), other))
            owners[table] = key
    schemas: Schemas = {}
    waiting = list(loaded)
    while waiting:
        # A pipeline that reads another's tables comes after it; pipelines in a cycle come in any order.
        for key in [*waiting, waiting[0]]:
            elsewhere = _Elsewhere(schemas, {table for table, owner in owners.items() if owner in waiting})
            resolved, problems = _resolve(bundle.pipelines[key], loaded[key], elsewhere, rules)
            if not elsewhere.missed:
                break
        waiting.remove(key)
        schemas |= resolved
        found += problems
    return schemas, found, owners


class _Elsewhere(dict[TableName, "StructType"]):
    """Schemas of the tables of other pipelines; notes requests for those that are not known yet."""

    def __init__(self, schemas: Schemas, awaited: set[TableName]) -> None:
        super().__init__(schemas)
        self._awaited = awaited
        self.missed: set[TableName] = set()

    def __contains__(self, table: object) -> bool:
        return super().__contains__(table) or table in self._awaited

    def __missing__(self, table: TableName) -> StructType:
        self.missed.add(table)
        raise LakerunError(f"Table '{table}' belongs to a pipeline that cannot be resolved before this one.")


def _resolve(
    spec: PipelineSpec, definitions: Definitions, elsewhere: Schemas, rules: RuleValidator | None
) -> tuple[Schemas, list[Problem]]:
    found: list[Problem] = []

    def report(definition: DatasetDefinition, item: Expectation | None, reason: Exception) -> None:
        if item is None:
            found.append(_problem(reason, definition.location, spec))
            return
        where = (rules and rules.location_of(item.name, item.constraint)) or _full(definition.location, spec)
        found.append(Problem(where, f"rule '{item.name}' of '{definition.name}': {first_line(reason)}"))

    with session_with(spec.configuration, spec.spark_conf) as session:
        try:
            graph = resolve(
                definitions,
                session,
                Storage.default(),
                spec.catalog,
                spec.schema,
                elsewhere=elsewhere,
                report=report,
            )
        except LakerunError as error:
            return {}, [*found, _problem(error, spec.key, spec)]
    for definition in definitions.datasets.values():
        for item in definition.expectations:
            for what in rules.nondeterminism(item.constraint) if rules else ():
                report(definition, item, GraphError(f"'{what}' depends on more than the row"))
    return {name: dataset.schema for name, dataset in graph.datasets.items()}, found


def _with_logs(bundle: Bundle, schemas: Schemas) -> dict[str, StructType]:
    """The schemas by plain name, with those of the published event logs."""
    from pyspark.sql.pandas.types import from_arrow_schema

    from lakerun.pipelines.event_log import arrow_schema

    log = from_arrow_schema(arrow_schema())
    logs = {spec.event_log.table: log for spec in bundle.pipelines.values() if spec.event_log}
    return {table.table: schema for table, schema in schemas.items()} | logs


def _schemas_of(tables: Mapping[str, str]) -> dict[str, StructType]:
    from pyspark.sql.types import StructType

    found = {}
    for name, columns in tables.items():
        schema = StructType.fromDDL(columns)
        assert isinstance(schema, StructType)
        found[name] = schema
    return found


def _table_name(name: str, spec: PipelineSpec) -> TableName:
    parts = name_parts(name)
    return TableName(*([spec.catalog, spec.schema][: 3 - len(parts)] + parts))


# Places -----------------------------------------------------------------------------------------------------


def _problem(error: Exception, otherwise: str, spec: PipelineSpec) -> Problem:
    """An error of a pipeline's definitions, at its own location, or else at `otherwise`."""
    location = getattr(error, "location", None) or otherwise
    return Problem(_full(location, spec), getattr(error, "message", None) or first_line(error, at_most=500))


def _full(location: str, spec: PipelineSpec) -> str:
    """The location with the whole path of the pipeline's source file."""
    name, _, line = location.partition(":")
    paths = [str(path) for path in spec.source_files if path.name == name]
    return f"{paths[0]}:{line}" if len(paths) == 1 else location


def _tidy(found: list[Problem], root: Path) -> list[Problem]:
    base = f"{root.absolute()}/"
    one_line = [Problem(each.location.removeprefix(base), " ".join(each.message.split())) for each in found]
    return sorted(set(one_line))

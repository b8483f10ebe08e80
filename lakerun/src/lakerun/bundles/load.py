"""Reads the bundle that Databricks deploys: `load_bundle`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lakerun.bundles.artifacts import read_artifacts
from lakerun.bundles.dashboard_specs import dashboard_specs
from lakerun.bundles.go_glob import BadPatternError, go_glob, has_pattern
from lakerun.bundles.model import Bundle, JobSpec, PipelineSpec, TaskSpec
from lakerun.bundles.name import ROOT_FILES, name_in, root_file
from lakerun.bundles.python_resources import with_python_resources
from lakerun.bundles.references import Resolver
from lakerun.bundles.sections import Section
from lakerun.bundles.specs import job_specs, pipeline_specs
from lakerun.bundles.yaml_tree import Mark, YamlList, YamlMap, kind_of, merge, plain, read_yaml
from lakerun.errors import BundleError, UnknownNameError

__all__ = ["Bundle", "JobSpec", "PipelineSpec", "TaskSpec", "bundle_targets", "load_bundle"]

INCLUDED = (".yml", ".yaml", ".json")
VARIABLE_KEYS = {"default", "lookup", "description", "type"}
RESOURCE_TYPES = (  # noqa: SIM905
    "alerts apps catalogs clusters dashboards database_catalogs database_instances experiments "
    "external_locations genie_spaces instance_pools job_runs jobs model_serving_endpoints models pipelines "
    "postgres_branches postgres_catalogs postgres_databases postgres_endpoints postgres_projects "
    "postgres_roles postgres_synced_tables quality_monitors registered_models schemas secret_scopes secrets "
    "sql_warehouses synced_database_tables vector_search_endpoints vector_search_indexes volumes"
).split()


def load_bundle(root: Path, target: str | None = None, variables: Mapping[str, str] | None = None) -> Bundle:
    """The bundle in folder `root`, resolved for `target` (by default the bundle's default target).

    Reads `databricks.yml` and its includes, merges the target's overrides, and resolves every reference in
    `resources`. A variable's value is the one in `variables`, else in the process environment as
    `BUNDLE_VAR_<name>`, else in `.databricks/bundle/<target>/variable-overrides.json`, else the target's,
    else its default; a lookup gives the name that it looks up.

    On a laptop nothing is deployed: names stay as written, without the prefix of development mode;
    `${resources.<type>.<key>.id}` is the resource's key; the workspace's user is the machine's, and its
    paths are `root`.

    Raises BundleError, a single line with file and key, for any mistake in the files, and UnknownNameError
    for a target or a variable that does not exist.
    """
    root = root.absolute()
    tree = _with_includes(root)
    targets = _mapping(tree, "targets")
    chosen = _choose_target(targets, target)
    overrides = _mapping(targets, chosen, "targets")
    for key in overrides.keys() - {"mode", "default", "variables"}:
        merged = merge(tree.get(key), overrides[key], key) if key in tree else overrides[key]
        tree.put(key, merged, overrides.marks[key])
    values = _variables(tree, overrides, chosen, root, variables or {})
    resolver = Resolver(tree, values, chosen, root)

    def resolved_values() -> dict[str, Any]:
        return {
            name: plain(resolver.resolve(value, f"variables.{name}", where))
            for name, (value, where) in values.items()
        }

    if python := _mapping(tree, "python") or _mapping(_mapping(tree, "experimental"), "python"):
        found = with_python_resources(tree, python, root, chosen, resolved_values())
        tree.put("resources", found, tree.marks.get("resources", tree.mark))
    declared = _checked_resources(_mapping(tree, "resources"))
    resources = resolver.resolve(declared, "resources", tree.mark)
    presets = resolver.resolve(_mapping(tree, "presets"), "presets", tree.mark)
    pipelines = pipeline_specs(resources, presets, in_development=overrides.get("mode") == "development")
    return Bundle(
        name=name_in(tree),
        target=chosen,
        root=root,
        variables=resolved_values(),
        pipelines=pipelines,
        jobs=job_specs(resources, presets, pipelines),
        dashboards=dashboard_specs(resources),
        artifacts=read_artifacts(
            Section(resolver.resolve(_mapping(tree, "artifacts"), "artifacts", tree.mark), "artifacts"), root
        ),
        resources=plain(resources),
    )


def bundle_targets(root: Path) -> list[str]:
    """The names of the targets, including those that included files declare."""
    return list(_mapping(_with_includes(root), "targets"))


def _with_includes(root: Path) -> YamlMap:
    """databricks.yml with every included file merged into it."""
    tree = root_file(root)
    seen = dict(_resource_keys(tree))
    for path in _included_files(tree, root):
        included = read_yaml(path, root)
        for key, mark in _resource_keys(included):
            if key in seen:
                raise BundleError(f"resources: '{key}' is already defined in {seen[key]}", location=mark)
            seen[key] = mark
        tree = merge(tree, included)
    return tree


def _included_files(tree: YamlMap, root: Path) -> list[Path]:
    patterns = tree.get("include")
    if patterns is None:
        return []
    if not isinstance(patterns, YamlList):
        raise BundleError(
            f"include: a list is expected, not {kind_of(patterns)}", location=tree.marks["include"]
        )
    files: list[Path] = []
    own = [root / name for name in ROOT_FILES]
    for pattern, mark in zip(patterns, patterns.marks, strict=True):
        if not isinstance(pattern, str) or not pattern or Path(pattern).is_absolute():
            raise BundleError(
                f"include: a path relative to the bundle is expected, not '{pattern}'", location=mark
            )
        try:
            found = go_glob(root, pattern)
        except BadPatternError as error:
            raise BundleError(f"include: {error}", location=mark) from None
        if not found and not has_pattern(pattern):
            raise BundleError(f"include: there is no file '{pattern}'", location=mark)
        for path in found:
            if path in files or path in own:
                continue
            if path.suffix not in INCLUDED:
                name = os.path.relpath(path, root)
                raise BundleError(f"include: {name} is not a YAML or JSON file", location=mark)
            files.append(path)
    return files


def _resource_keys(tree: YamlMap) -> Iterator[tuple[str, Mark]]:
    """Every resource's key, which must be unique in the bundle across all types."""
    resources = _mapping(tree, "resources")
    for kind in resources:
        yield from _mapping(resources, kind, "resources").marks.items()


def _choose_target(targets: YamlMap, target: str | None) -> str:
    if not targets and target in (None, "default"):
        return "default"
    if target is not None:
        if target not in targets:
            raise UnknownNameError("target", target, targets)
        return target
    defaults = [name for name in targets if _mapping(targets, name, "targets").get("default") is True]
    if len(defaults) > 1:
        raise BundleError(
            f"targets: more than one default: {', '.join(defaults)}", location=targets.marks[defaults[1]]
        )
    if defaults or len(targets) == 1:
        return defaults[0] if defaults else next(iter(targets))
    raise BundleError(
        f"targets: none is the default; name one of: {', '.join(targets)}", location=targets.mark
    )


def _variables(
    tree: YamlMap, overrides: YamlMap, target: str, root: Path, given: Mapping[str, str]
) -> dict[str, tuple[Any, Mark]]:
    """Each variable's value, not yet resolved, with its location."""
    declared = _mapping(tree, "variables")
    of_target = _mapping(overrides, "variables", f"targets.{target}")
    file = root / ".databricks" / "bundle" / target / "variable-overrides.json"
    of_file = read_yaml(file, root) if file.is_file() else YamlMap(declared.mark)
    for name in given:
        if name not in declared:
            raise UnknownNameError("variable", name, declared)
    for assigned in (of_target, of_file):
        for name, mark in assigned.marks.items():
            if name not in declared:
                raise BundleError(f"variables: {UnknownNameError('variable', name, declared)}", location=mark)
    values: dict[str, tuple[Any, Mark]] = {}
    for name, mark in declared.marks.items():
        definition = _definition(declared, name, of_target)
        if (text := given.get(name, os.environ.get(f"BUNDLE_VAR_{name}"))) is not None:
            values[name] = (text, mark)
        elif name in of_file:
            values[name] = (of_file[name], of_file.marks[name])
        elif definition.get("default") is not None:
            values[name] = (definition["default"], definition.marks["default"])
        elif lookup := _mapping(definition, "lookup", f"variables.{name}"):
            kind, looked_up = next(iter(lookup.items()))
            values[name] = (looked_up, lookup.marks[kind])
        else:
            raise BundleError(
                f"variables.{name}: it has no value for target '{target}'; set BUNDLE_VAR_{name}, "
                f"or give it one in targets.{target}.variables",
                location=mark,
            )
    return values


def _definition(declared: YamlMap, name: str, of_target: YamlMap) -> YamlMap:
    """A variable's definition with the target's value as its default."""
    definition = _mapping(declared, name, "variables")
    if name not in of_target:
        return definition
    value, mark = of_target[name], of_target.marks[name]
    if isinstance(value, YamlMap) and value and value.keys() <= VARIABLE_KEYS:
        override = value
    else:
        override = YamlMap(mark)
        override.put("default", value, mark)
    merged = YamlMap(definition.mark)
    for source in (definition, override):
        for key, item in source.items():
            merged.put(key, item, source.marks[key])
    if "lookup" in override:
        merged.pop("default", None)
    return merged


def _checked_resources(resources: YamlMap) -> YamlMap:
    """The resources of known types, without the types under which there is nothing."""
    found = YamlMap(resources.mark)
    for kind, mark in resources.marks.items():
        if kind not in RESOURCE_TYPES:
            raise BundleError(
                f"resources: {UnknownNameError('type of resource', kind, RESOURCE_TYPES)}", location=mark
            )
        of_kind = _mapping(resources, kind, "resources")
        for key in of_kind:
            if of_kind[key] is None:
                raise BundleError(f"resources.{kind}.{key} has no settings", location=of_kind.marks[key])
            _mapping(of_kind, key, f"resources.{kind}")
        if of_kind:
            found.put(kind, of_kind, mark)
    return found


def _mapping(parent: YamlMap, key: str, path: str = "") -> YamlMap:
    """The mapping under `key`; empty if there is none."""
    value = parent.get(key)
    if value is None:
        return YamlMap(parent.marks.get(key, parent.mark))
    if not isinstance(value, YamlMap):
        where = f"{path}.{key}" if path else key
        raise BundleError(f"{where}: a mapping is expected, not {kind_of(value)}", location=parent.marks[key])
    return value

"""Pipelines and jobs out of resolved resources, with their references to each other checked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from ecommerce_lakehouse.engine.bundle_model import JobSpec, PipelineSpec, TaskSpec
from ecommerce_lakehouse.engine.bundle_references import as_text
from ecommerce_lakehouse.engine.bundle_yaml import Mark, YamlList, YamlMap, kind_of, plain
from ecommerce_lakehouse.engine.errors import BundleError, UnknownNameError
from ecommerce_lakehouse.engine.storage import TableName


def pipeline_specs(resources: YamlMap, presets: YamlMap, in_development: bool) -> dict[str, PipelineSpec]:
    """Every pipeline by its key; a target in development mode makes them development pipelines."""
    development = Section(presets, "presets").flag("pipelines_development", in_development)
    found = Section(resources, "resources").section("pipelines")
    return {key: _pipeline(key, found.section(key), development) for key in found.values}


def job_specs(
    resources: YamlMap, presets: YamlMap, pipelines: Mapping[str, PipelineSpec]
) -> dict[str, JobSpec]:
    """Every job by its key; BundleError where a task refers to what is not there or to itself."""
    found = Section(resources, "resources").section("jobs")
    defaults = Section(presets, "presets")
    jobs = {key: _job(key, found.section(key), defaults) for key in found.values}
    for key, job in jobs.items():
        _check_tasks(found.section(key), job, pipelines, jobs)
    calls = {
        key: {t.payload["job_id"] for t in job.tasks if t.kind == "run_job"} for key, job in jobs.items()
    }
    if cycle := _cycle(calls):
        raise found.error(cycle[0], f"jobs run each other in a circle: {' -> '.join(cycle)}")
    return jobs


@dataclass(frozen=True)
class Section:
    """A mapping of the bundle and the key under which it is written; reads values of one type each."""

    values: YamlMap
    path: str

    def text(self, key: str, default: str | None = None) -> str:
        """A scalar as text; an error where it is missing and has no default."""
        value = self.values.get(key)
        if value is None:
            if default is None:
                raise self.error(key, "it is missing")
            return default
        if isinstance(value, (dict, list)):
            raise self.error(key, f"text is expected, not {kind_of(value)}")
        return as_text(value)

    def flag(self, key: str, default: bool) -> bool:
        """A boolean, or the words that a variable may give for one."""
        value = self.values.get(key)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        if value in ("true", "false"):
            return bool(value == "true")
        raise self.error(key, f"true or false is expected, not {kind_of(value)}")

    def number(self, key: str, default: int) -> int:
        """A whole number, or text that is one."""
        text = self.text(key, str(default))
        if not text.isdigit():
            raise self.error(key, f"a whole number is expected, not '{text}'")
        return int(text)

    def section(self, key: str) -> Section:
        """The mapping under `key`, empty where there is none."""
        value = self.values.get(key)
        path = f"{self.path}.{key}"
        if value is None:
            return Section(YamlMap(self.values.marks.get(key, self.values.mark)), path)
        if not isinstance(value, YamlMap):
            raise self.error(key, f"a mapping is expected, not {kind_of(value)}")
        return Section(value, path)

    def sections(self, key: str) -> list[Section]:
        """The mappings in the list under `key`."""
        value = self.values.get(key)
        if value is None:
            return []
        if not isinstance(value, YamlList):
            raise self.error(key, f"a list is expected, not {kind_of(value)}")
        found = []
        for position, (item, mark) in enumerate(zip(value, value.marks, strict=True)):
            path = f"{self.path}.{key}[{position}]"
            if not isinstance(item, YamlMap):
                raise BundleError(f"{mark}: {path}: a mapping is expected, not {kind_of(item)}")
            found.append(Section(item, path))
        return found

    def mark(self, key: str) -> Mark:
        return self.values.marks.get(key, self.values.mark)

    def error(self, key: str, problem: str) -> BundleError:
        """An error about the value under `key`."""
        return BundleError(f"{self.mark(key)}: {self.path}.{key}: {problem}")


def _pipeline(key: str, section: Section, development: bool) -> PipelineSpec:
    catalog = section.text("catalog")
    schema = section.text("schema")
    configuration = section.section("configuration")
    root = section.values.get("root_path")
    return PipelineSpec(
        key=key,
        name=section.text("name", key),
        catalog=catalog,
        schema=schema,
        configuration={name: configuration.text(name, "") for name in configuration.values},
        source_files=_source_files(section),
        root_path=None if root is None else _path(section, "root_path"),
        event_log=_event_log(section, catalog, schema),
        serverless=section.flag("serverless", False),
        development=development or section.flag("development", False),
        continuous=section.flag("continuous", False),
    )


def _event_log(section: Section, catalog: str, schema: str) -> TableName | None:
    log = section.section("event_log")
    if not log.values:
        return None
    return TableName(log.text("catalog", catalog), log.text("schema", schema), log.text("name"))


def _source_files(section: Section) -> tuple[Path, ...]:
    """The Python files that the libraries name: a glob, a file, or a notebook each."""
    files: set[Path] = set()
    for library in section.sections("libraries"):
        for kind, key in (("glob", "include"), ("file", "path"), ("notebook", "path")):
            if kind not in library.values:
                continue
            inner = library.section(kind)
            found = _python_files(_path(inner, key))
            if not found:
                raise inner.error(key, f"there is no Python file at '{inner.text(key)}'")
            files |= found
    return tuple(sorted(files))


def _python_files(path: Path) -> set[Path]:
    """The Python files at a path that may end in `/**`, or lack the `.py` of a notebook."""
    if path.name == "**":
        return {file for file in path.parent.rglob("*.py") if file.is_file()}
    candidates = (path, path.with_name(f"{path.name}.py"))
    return {file for file in candidates if file.suffix == ".py" and file.is_file()}


def _path(section: Section, key: str) -> Path:
    """A path, relative ones from the folder of the file that has it."""
    return Path(os.path.normpath(section.mark(key).folder / section.text(key)))


def _job(key: str, section: Section, presets: Section) -> JobSpec:
    schedule = section.section("schedule").values
    pause = presets.text("trigger_pause_status", "")
    return JobSpec(
        key=key,
        name=section.text("name", key),
        parameters={item.text("name"): item.text("default") for item in section.sections("parameters")},
        tasks=tuple(_task(item) for item in section.sections("tasks")),
        schedule=({"pause_status": pause or "UNPAUSED"} | plain(schedule)) if schedule else None,
        queue=section.section("queue").flag("enabled", False),
        max_concurrent_runs=section.number(
            "max_concurrent_runs", presets.number("jobs_max_concurrent_runs", 1)
        ),
    )


def _task(section: Section) -> TaskSpec:
    key = section.text("task_key")
    kinds = [name for name in section.values if name.endswith("_task")]
    if len(kinds) != 1:
        given = ", ".join(kinds) or "none"
        raise section.error(
            "task_key", f"task '{key}' needs exactly one type, such as pipeline_task; it has {given}"
        )
    payload = section.section(kinds[0])
    if kinds[0] == "python_wheel_task":
        payload.text("package_name"), payload.text("entry_point")
    return TaskSpec(
        key=key,
        kind=kinds[0].removesuffix("_task"),
        depends_on=tuple(item.text("task_key") for item in section.sections("depends_on")),
        run_if=section.text("run_if", "ALL_SUCCESS"),
        payload=plain(payload.values),
    )


def _check_tasks(
    section: Section, job: JobSpec, pipelines: Mapping[str, PipelineSpec], jobs: Mapping[str, JobSpec]
) -> None:
    keys = [task.key for task in job.tasks]
    for task, written in zip(job.tasks, section.sections("tasks"), strict=True):
        if keys.count(task.key) > 1:
            raise written.error("task_key", f"there is more than one task '{task.key}'")
        for upstream, entry in zip(task.depends_on, written.sections("depends_on"), strict=True):
            if upstream not in keys:
                raise entry.error("task_key", str(UnknownNameError("task", upstream, keys)))
        if task.kind == "pipeline":
            _check_reference(written.section("pipeline_task"), "pipeline_id", "pipeline", pipelines)
        elif task.kind == "run_job":
            _check_reference(written.section("run_job_task"), "job_id", "job", jobs)
            parameters = written.section("run_job_task").section("job_parameters")
            known = jobs[task.payload["job_id"]].parameters
            for name in parameters.values:
                if name not in known:
                    raise parameters.error(name, str(UnknownNameError("job parameter", name, known)))
    if cycle := _cycle({task.key: set(task.depends_on) for task in job.tasks}):
        raise section.error("tasks", f"tasks wait for each other in a circle: {' -> '.join(cycle)}")


def _check_reference(section: Section, key: str, kind: str, valid: Mapping[str, Any]) -> None:
    name = section.text(key)
    if name not in valid:
        raise section.error(key, str(UnknownNameError(kind, name, valid)))


def _cycle(graph: Mapping[str, set[str]]) -> list[str]:
    """The nodes of a circle, the first one repeated at the end; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        # graphlib lists each node before the one that waits for it.
        return [str(node) for node in reversed(error.args[1])]
    return []

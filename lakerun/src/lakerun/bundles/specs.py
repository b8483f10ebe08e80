"""Pipelines and jobs out of resolved resources, with their references to each other checked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lakerun.bundles.job_specs import read_job
from lakerun.bundles.model import JobSpec, PipelineSpec
from lakerun.bundles.sections import Section
from lakerun.bundles.yaml_tree import YamlMap
from lakerun.dag import find_cycle
from lakerun.errors import UnknownNameError
from lakerun.tables.storage import TableName


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
    jobs = {key: read_job(found.section(key), key, defaults) for key in found.values}
    for key, job in jobs.items():
        _check_references(found.section(key), job, pipelines, jobs)
    calls = {
        key: {t.payload["job_id"] for t in job.tasks if t.kind == "run_job"} for key, job in jobs.items()
    }
    if cycle := find_cycle(calls):
        raise found.error(cycle[0], f"jobs run each other in a circle: {' -> '.join(cycle)}")
    return jobs


def _pipeline(key: str, section: Section, development: bool) -> PipelineSpec:
    catalog = section.text("catalog")
    schema = section.text("schema")
    root = section.values.get("root_path")
    return PipelineSpec(
        key=key,
        name=section.text("name", key),
        catalog=catalog,
        schema=schema,
        configuration=section.text_map("configuration"),
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
    mark = section.mark(key)
    assert mark is not None
    return Path(os.path.normpath(mark.folder / section.text(key)))


def _check_references(
    section: Section, job: JobSpec, pipelines: Mapping[str, PipelineSpec], jobs: Mapping[str, JobSpec]
) -> None:
    for task, written in zip(job.tasks, section.sections("tasks"), strict=True):
        while task.each:
            task, written = task.each, written.section("for_each_task").section("task")
        if task.kind == "pipeline":
            _check_reference(written.section("pipeline_task"), "pipeline_id", "pipeline", pipelines)
        elif task.kind == "run_job":
            _check_reference(written.section("run_job_task"), "job_id", "job", jobs)
            parameters = written.section("run_job_task").section("job_parameters")
            known = jobs[task.payload["job_id"]].parameters
            for name in parameters.values:
                if name not in known:
                    raise parameters.error(name, str(UnknownNameError("job parameter", name, known)))


def _check_reference(section: Section, key: str, kind: str, valid: Mapping[str, Any]) -> None:
    name = section.text(key)
    if name not in valid:
        raise section.error(key, str(UnknownNameError(kind, name, valid)))

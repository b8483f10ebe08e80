"""Reads pipelines and jobs from resolved resources, and checks their references to each other."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lakerun.bundles.job_specs import read_job
from lakerun.bundles.model import JobSpec, PipelineSpec
from lakerun.bundles.pipeline_specs import read_pipeline
from lakerun.bundles.sections import Section
from lakerun.bundles.yaml_tree import YamlMap
from lakerun.dag import find_cycle
from lakerun.errors import UnknownNameError


def pipeline_specs(resources: YamlMap, presets: YamlMap, in_development: bool) -> dict[str, PipelineSpec]:
    """Every pipeline by its key; a target in development mode makes them development pipelines."""
    development = Section(presets, "presets").flag("pipelines_development", in_development)
    found = Section(resources, "resources").section("pipelines")
    return {
        key: read_pipeline(found.section(key), key, _path, development=development) for key in found.values
    }


def job_specs(
    resources: YamlMap, presets: YamlMap, pipelines: Mapping[str, PipelineSpec]
) -> dict[str, JobSpec]:
    """Every job by its key; BundleError if a task refers to something unknown or to itself."""
    found = Section(resources, "resources").section("jobs")
    defaults = Section(presets, "presets")
    jobs = {key: read_job(found.section(key), key, defaults) for key in found.values}
    for key, job in jobs.items():
        _check_references(found.section(key), job, pipelines, jobs)
    calls = {
        key: {t.payload["job_id"] for t in job.tasks if t.kind == "run_job"} for key, job in jobs.items()
    }
    if cycle := find_cycle(calls):
        raise found.error(cycle[0], f"jobs run each other in a cycle: {' -> '.join(cycle)}")
    return jobs


def _path(section: Section, key: str, text: str) -> Path:
    """A path; a relative one is resolved from the folder of the file that contains it."""
    mark = section.mark(key)
    assert mark is not None
    return Path(os.path.normpath(mark.folder / text))


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

"""Checks a job's settings, from a bundle or a request to the Jobs API 2.2, and reads them as a `JobSpec`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lakerun.bundles.dependencies import is_path, placed
from lakerun.bundles.go_glob import BadPatternError, go_glob
from lakerun.bundles.model import JobSpec, TaskSpec
from lakerun.bundles.review import review
from lakerun.bundles.sections import Section
from lakerun.bundles.triggers import PAUSE_STATUSES, VOLUMES, read_trigger
from lakerun.bundles.yaml_tree import plain
from lakerun.dag import find_cycle
from lakerun.errors import UnknownNameError

RUN_IF = (
    "ALL_SUCCESS", "AT_LEAST_ONE_SUCCESS", "NONE_FAILED",
    "ALL_DONE", "AT_LEAST_ONE_FAILED", "ALL_FAILED",
)  # fmt: skip
OPERATORS = (
    "EQUAL_TO", "NOT_EQUAL",
    "GREATER_THAN", "GREATER_THAN_OR_EQUAL", "LESS_THAN", "LESS_THAN_OR_EQUAL",
)  # fmt: skip
# Settings of a task whose value is a path, relative to the bundle's file that contains it.
PATHS = {"notebook": "notebook_path", "spark_python": "python_file"}
MAX_CONCURRENT_RUNS = 1000
MAX_CONCURRENT_ITERATIONS = 100
UNNAMED = "Untitled"  # what Databricks calls a job without a name
TASK_KEY = re.compile(r"[\w-]{1,100}")
PARAMETER_NAME = re.compile(r"[\w.-]+")


def job_from_settings(settings: Mapping[str, Any], key: str) -> JobSpec:
    """The job with these settings, a plain JSON mapping as `jobs/create` takes it; `key` is its id.

    Raises SettingsError, which names the field, for a value of the wrong type, a task without a type, an
    unknown name, or tasks that depend on each other in a cycle.
    """
    return read_job(Section(settings), key, Section({}))


def check_settings(settings: Mapping[str, Any], path: str = "") -> JobSpec:
    """The job with these settings, which are below `path` in a request to the API, for storing it.

    Unlike `job_from_settings` it does not accept a number as text. Raises SettingsError, which names the
    field.
    """
    return read_job(Section(settings, path, strict=True), UNNAMED, Section({}))


def read_job(section: Section, key: str, presets: Section) -> JobSpec:
    """The job that a section of a bundle or a request describes; `presets` are the target's."""
    environments = _environments(section)
    clusters = _clusters(section)
    section.text_map("tags")
    job = JobSpec(
        key=key,
        name=section.text("name", key),
        parameters=_parameters(section),
        tasks=tuple(_task(item, environments, clusters) for item in section.sections("tasks")),
        schedule=_schedule(section.section("schedule"), presets.text("trigger_pause_status", "")),
        queue=bool(section.values.get("queue")) and section.section("queue").flag("enabled"),
        max_concurrent_runs=section.number(
            "max_concurrent_runs",
            presets.number("jobs_max_concurrent_runs", 1),
            most=MAX_CONCURRENT_RUNS,
        ),
        timeout_seconds=section.number("timeout_seconds", 0),
        trigger=read_trigger(section),
    )
    _check_graph(section, job)
    found = review(section, "resources.Job")
    return job.model_copy(update=found.as_fields())


def _parameters(section: Section) -> dict[str, str]:
    written = section.sections("parameters")
    for item in written:
        if not PARAMETER_NAME.fullmatch(name := item.text("name")):
            raise item.error("name", f"letters, digits, -, _ and . are expected, not '{name}'")
    _check_unique("parameter", written, "name")
    return {item.text("name"): item.text("default") for item in written}


def _schedule(section: Section, preset: str) -> dict[str, Any] | None:
    if not section.values:
        return None
    section.text("quartz_cron_expression"), section.text("timezone_id")
    pause = section.choice("pause_status", PAUSE_STATUSES, preset or "UNPAUSED")
    schedule: dict[str, Any] = plain(section.values)
    return schedule | {"pause_status": pause}


def _task(
    section: Section,
    environments: Mapping[str, tuple[str, ...]],
    clusters: Mapping[str, Mapping[str, str]],
) -> TaskSpec:
    key = section.text("task_key")
    if not TASK_KEY.fullmatch(key):
        raise section.error("task_key", f"letters, digits, - and _ are expected, 100 at most, not '{key}'")
    kind = _kind(section, key)
    payload = section.section(f"{kind}_task")
    return TaskSpec(
        key=key,
        kind=kind,
        payload=_payload(kind, payload),
        depends_on=tuple(item.text("task_key") for item in section.sections("depends_on")),
        outcomes={
            item.text("task_key"): item.choice("outcome", ("true", "false"))
            for item in section.sections("depends_on")
            if item.values.get("outcome") is not None
        },
        run_if=section.choice("run_if", RUN_IF, "ALL_SUCCESS"),
        max_retries=section.number("max_retries", 0, least=-1),
        min_retry_interval_millis=section.number("min_retry_interval_millis", 0),
        retry_on_timeout=section.flag("retry_on_timeout", False),
        timeout_seconds=section.number("timeout_seconds", 0),
        disabled=section.flag("disabled", False),
        dependencies=_dependencies(section, environments),
        spark_conf=_spark_conf(section, clusters),
        each=_task(payload.section("task"), environments, clusters) if kind == "for_each" else None,
    )


def _kind(section: Section, key: str) -> str:
    """The task's type, which may be one that is refused here."""
    kinds = [name for name, value in section.values.items() if name.endswith("_task") and value is not None]
    if len(kinds) != 1:
        given = ", ".join(kinds) or "none"
        raise section.error(
            "task_key", f"task '{key}' needs exactly one type, such as pipeline_task; it has {given}"
        )
    return kinds[0].removesuffix("_task")


def _payload(kind: str, section: Section) -> dict[str, Any]:
    """The settings of a task's type, checked; paths of a bundle are made absolute."""
    payload: dict[str, Any] = plain(section.values)
    match kind:
        case "python_wheel":
            section.text("package_name"), section.text("entry_point")
            section.texts("parameters"), section.text_map("named_parameters")
        case "spark_python":
            section.text("python_file"), section.texts("parameters")
        case "notebook":
            section.text("notebook_path"), section.text_map("base_parameters")
        case "pipeline":
            payload["pipeline_id"] = section.text("pipeline_id")
            section.flag("full_refresh", False)
            section.texts("refresh_selection"), section.texts("full_refresh_selection")
        case "run_job":
            # The API's ids are numbers; a bundle may also refer to a job by its key.
            payload["job_id"] = str(section.number("job_id") if section.strict else section.text("job_id"))
            section.text_map("job_parameters")
        case "condition":
            section.choice("op", OPERATORS), section.text("left"), section.text("right")
        case "for_each":
            payload = {
                "inputs": section.text("inputs"),
                "concurrency": section.number("concurrency", 1, least=1, most=MAX_CONCURRENT_ITERATIONS),
            }
            if section.section("task").values.get("for_each_task") is not None:
                raise section.section("task").error("for_each_task", "a for_each_task cannot repeat another")
    if kind in PATHS:
        payload[PATHS[kind]] = _path(section, PATHS[kind], section.text(PATHS[kind]))
    return payload


def _path(section: Section, key: str, path: str) -> str:
    """A path in a bundle, resolved from the folder of the file that contains it."""
    mark = section.mark(key)
    if mark is None or path.startswith(("/", "{{")) or "://" in path:
        return path
    return os.path.normpath(mark.folder / path)


def _environments(section: Section) -> dict[str, tuple[str, ...]]:
    """The dependencies of each environment of the job."""
    found: dict[str, tuple[str, ...]] = {}
    written = section.sections("environments")
    _check_unique("environment", written, "environment_key")
    for environment in written:
        spec = environment.section("spec")
        lines = spec.texts("dependencies")
        found[environment.text("environment_key")] = placed_dependencies(spec, "dependencies", lines)
    return found


def _clusters(section: Section) -> dict[str, dict[str, str]]:
    """The Spark settings of each cluster of the job."""
    written = section.sections("job_clusters")
    _check_unique("cluster", written, "job_cluster_key")
    return {item.text("job_cluster_key"): _spark_conf(item, {}) for item in written}


def _spark_conf(section: Section, clusters: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """The Spark settings of a task's cluster, which is its own or the job's."""
    if section.values.get("job_cluster_key") is not None and clusters:
        name = section.text("job_cluster_key")
        if name not in clusters:
            raise section.error("job_cluster_key", str(UnknownNameError("cluster", name, clusters)))
        return dict(clusters[name])
    return section.section("new_cluster").text_map("spark_conf")


def _dependencies(section: Section, environments: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The dependencies of a task's environment, and its libraries of Python."""
    lines: tuple[str, ...] = ()
    if section.values.get("environment_key") is not None:
        name = section.text("environment_key")
        if name not in environments:
            raise section.error("environment_key", str(UnknownNameError("environment", name, environments)))
        lines += environments[name]
    for library in section.sections("libraries"):
        if library.values.get("whl") is not None:
            lines += placed_dependencies(library, "whl", [library.text("whl")])
        if library.values.get("requirements") is not None:
            path = library.text("requirements")
            lines += placed_dependencies(library, "requirements", [f"-r {path}"])
        if library.values.get("pypi") is not None:
            package = library.section("pypi")
            index = package.text("repo", "")
            lines += (package.text("package"), *([f"--extra-index-url {index}"] if index else []))
    return lines


def placed_dependencies(section: Section, key: str, lines: Iterable[str]) -> tuple[str, ...]:
    """The lines under a key, their paths absolute where they are in a bundle.

    There a wheel's pattern gives the files that match, or stays a pattern where none does, as before the
    first build. A path in a volume stays as it is.
    """
    mark = section.mark(key)
    if mark is None:
        return tuple(lines)
    found: list[str] = []
    for line in lines:
        path = placed(line, lambda path: os.path.normpath(mark.folder / path))
        if path.startswith(VOLUMES) or not (is_path(line) and line.endswith(".whl")):
            found.append(path)
            continue
        try:
            found += map(str, go_glob(mark.folder, line) or [Path(path)])
        except BadPatternError as error:
            raise section.error(key, str(error)) from None
    return tuple(found)


def _check_graph(section: Section, job: JobSpec) -> None:
    _check_unique("task", section.sections("tasks"), "task_key")
    keys = [task.key for task in job.tasks]
    kinds = {task.key: task.kind for task in job.tasks}
    for task, written in zip(job.tasks, section.sections("tasks"), strict=True):
        for upstream, entry in zip(task.depends_on, written.sections("depends_on"), strict=True):
            if upstream not in keys:
                raise entry.error("task_key", str(UnknownNameError("task", upstream, keys)))
            if upstream in task.outcomes and kinds[upstream] != "condition":
                raise entry.error("outcome", f"task '{upstream}' is not a condition_task and has no outcome")
    if cycle := find_cycle({task.key: task.depends_on for task in job.tasks}):
        raise section.error("tasks", f"tasks depend on each other in a cycle: {' -> '.join(cycle)}")


def _check_unique(kind: str, sections: list[Section], key: str) -> None:
    names = [section.text(key) for section in sections]
    for section, name in zip(sections, names, strict=True):
        if names.count(name) > 1:
            raise section.error(key, f"there is more than one {kind} '{name}'")

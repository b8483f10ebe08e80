"""`lakerun run`: a job or a pipeline of the bundle, on local Spark and Delta."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakerun.cli.project import (
    EnvironmentOption,
    JsonOption,
    SparkConnectOption,
    TargetOption,
    complete_runnable,
    complete_table,
)

if TYPE_CHECKING:
    from lakerun.bundles.load import Bundle, JobSpec, PipelineSpec
    from lakerun.cli.progress import Progress
    from lakerun.jobs.results import JobResult
    from lakerun.pipelines.results import UpdateResult
    from lakerun.tables.storage import Storage

NAME = "run"
EXAMPLES = (
    "Examples:\n\n{program} run nightly_job\n\n"
    "{program} run nightly_job --param day=2024-06-01\n\n"
    "{program} run nightly_job --only load+\n\n"
    "{program} run orders_pipeline --full-refresh orders\n\n"
    "{program} run orders_pipeline --validate-only\n\n"
    "{program} run nightly_job --spark-connect"
)


def command(
    name: Annotated[str, typer.Argument(help="Job or pipeline.", autocompletion=complete_runnable)],
    env: EnvironmentOption = None,
    target: TargetOption = None,
    param: Annotated[
        list[str] | None, typer.Option("--param", "-p", help="A job's parameter as name=value; repeatable.")
    ] = None,
    refresh: Annotated[
        list[str] | None,
        typer.Option("--refresh", help="Update only this table; repeatable.", autocompletion=complete_table),
    ] = None,
    full_refresh: Annotated[
        list[str] | None,
        typer.Option(
            "--full-refresh",
            help="Empty this table and compute it again; repeatable.",
            autocompletion=complete_table,
        ),
    ] = None,
    full_refresh_all: Annotated[
        bool, typer.Option("--full-refresh-all", help="Empty every table and compute it again.")
    ] = False,
    validate_only: Annotated[
        bool, typer.Option("--validate-only", help="Check the definitions; write nothing.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            help="Run only this task of a job; +task with what it depends on, task+ with what depends on it; "
            "repeatable.",
        ),
    ] = None,
    spark_connect: SparkConnectOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run a job or a pipeline; a second run processes only what is new."""
    from lakerun.bundles.load import JobSpec
    from lakerun.bundles.places import make_places
    from lakerun.bundles.review import check_supported
    from lakerun.cli.project import load_project
    from lakerun.program import program
    from lakerun.spark.connect import is_asked_for
    from lakerun.tables.storage import Storage

    bundle = load_project(env, target)
    spec = bundle.find(name)
    check_supported(spec)  # before Spark starts
    parameters = _parameters(spec, param or [])
    flags = {
        "--refresh": refresh,
        "--full-refresh": full_refresh,
        "--full-refresh-all": full_refresh_all,
        "--validate-only": validate_only,
    }
    if spark_connect and not isinstance(spec, JobSpec):
        raise typer.BadParameter(f"--spark-connect is for a job, and '{name}' is a pipeline.")
    given = [flag for flag, value in flags.items() if value]
    if isinstance(spec, JobSpec) and given:
        raise typer.BadParameter(f"{given[0]} is for a pipeline, and '{name}' is a job.")
    _check_tasks(spec, only or [])
    selection: dict[str, Any] = {
        "refresh": tuple(refresh or ()),
        "full_refresh": tuple(full_refresh or ()),
        "full_refresh_all": full_refresh_all,
        "validate_only": validate_only,
    }
    storage = Storage.default()
    os.environ["LAKEHOUSE_HOME"] = str(storage.home)  # tasks have their own working directories
    with storage.exclusive(program(f"run {name}")):
        log = storage.log_path("run")
        log.write_text("", encoding="utf-8")
        make_places(storage, bundle)
        load = partial(load_project, env, target)
        connect = spark_connect or is_asked_for()
        result = _run(
            bundle, load, spec.key, parameters, only or [], selection, storage, log, as_json, connect
        )
    raise typer.Exit(_finish(result, log, as_json))


def _parameters(spec: JobSpec | PipelineSpec, given: list[str]) -> dict[str, str]:
    from lakerun.bundles.load import JobSpec
    from lakerun.errors import UnknownNameError

    if given and not isinstance(spec, JobSpec):
        raise typer.BadParameter(f"--param is for a job, and '{spec.key}' is a pipeline.")
    parameters = {}
    for pair in given:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise typer.BadParameter(f"'{pair}' is not a parameter: write --param name=value.")
        if isinstance(spec, JobSpec) and key not in spec.parameters:
            raise UnknownNameError("job parameter", key, spec.parameters)
        parameters[key] = value
    return parameters


def _check_tasks(spec: JobSpec | PipelineSpec, only: list[str]) -> None:
    from lakerun.bundles.load import JobSpec
    from lakerun.jobs.runner import chosen_tasks

    if isinstance(spec, JobSpec):
        chosen_tasks(spec, only)
    elif only:
        raise typer.BadParameter(f"--only is for a job, and '{spec.key}' is a pipeline.")


def _run(
    bundle: Bundle,
    load: Callable[[], Bundle],
    key: str,
    parameters: dict[str, str],
    only: list[str],
    selection: dict[str, Any],
    storage: Storage,
    log: Path,
    silent: bool,
    spark_connect: bool,
) -> UpdateResult | JobResult:
    from lakerun.bundles.artifacts import build_wheels
    from lakerun.bundles.load import JobSpec
    from lakerun.cli.output import console
    from lakerun.cli.progress import progress_on
    from lakerun.cli.quiet import output_to
    from lakerun.jobs.local_task_runner import LocalTaskRunner
    from lakerun.jobs.runner import run_job

    out = console()  # made before the output is redirected
    with output_to(log), progress_on(out, silent) as progress:
        uses_wheels = any(".whl" in str(bundle.resources.get(kind)) for kind in ("jobs", "pipelines"))
        if uses_wheels and build_wheels(bundle.artifacts, log, progress.say):
            bundle = load()  # its patterns find the wheels now
        spec = bundle.find(key)
        updates_tables = not isinstance(spec, JobSpec) or any(task.kind == "pipeline" for task in spec.tasks)
        session = _Session(log, progress, typical=updates_tables and not selection["validate_only"])
        if not isinstance(spec, JobSpec):
            return _update(spec, storage, session, progress, selection)
        return run_job(
            spec,
            parameters,
            resources=bundle,
            task_runner=LocalTaskRunner(storage, session, say=progress.say, spark_connect=spark_connect),
            on_task=progress.on_task,
            on_event=progress.on_event,
            only=only,
        )


class _Session:
    """Starts Spark when it is first needed, and prints a line about it."""

    def __init__(self, log: Path, progress: Progress, *, typical: bool) -> None:
        self._log = log
        self._typical = typical
        self._progress = progress
        self._session: Any = None

    def __call__(self) -> Any:
        from lakerun.spark.memory import why_ended
        from lakerun.spark.session import get_session

        if self._session is None or why_ended():
            self._progress.say("Starting Spark")
            self._session = get_session(self._log, typical=self._typical)
            self._progress.say("")
        return self._session


def _update(
    spec: PipelineSpec,
    storage: Storage,
    session: _Session,
    progress: Progress,
    selection: dict[str, Any],
) -> UpdateResult:
    from lakerun.jobs.packages.installed import Packages
    from lakerun.jobs.packages.notebook_packages import notebook_dependencies
    from lakerun.jobs.task_process import own_imports
    from lakerun.pipelines.update import Selection, run_update
    from lakerun.spark.java import cache_root

    lines = (*spec.dependencies, *notebook_dependencies(spec.source_files))
    with own_imports(Packages(cache_root() / "wheels", storage).prepare(lines, progress.say)):
        session()
        return run_update(spec, storage=storage, selection=Selection(**selection), on_event=progress.on_event)


def _finish(result: UpdateResult | JobResult, log: Path, as_json: bool) -> int:
    """Print how it ended; the exit code."""
    from lakerun.cli.app import OK, fail
    from lakerun.cli.output import console, print_json
    from lakerun.cli.summary import print_summary, reason, succeeded
    from lakerun.errors import FAILED

    if as_json:
        print_json(asdict(result) | {"log": str(log)})
    else:
        print_summary(console(), result)
    if succeeded(result):
        return OK
    name = getattr(result, "job", None) or getattr(result, "pipeline", "")
    return fail(f"{name} failed: {reason(result)} Log: {log}", FAILED)

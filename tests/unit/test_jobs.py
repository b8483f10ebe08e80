"""Jobs on a laptop: order, skipping, parameters, and each kind of task."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecommerce_lakehouse.engine.bundle import Bundle, JobSpec, PipelineSpec, TaskSpec
from ecommerce_lakehouse.engine.errors import UnknownNameError
from ecommerce_lakehouse.engine.jobs import run_job
from ecommerce_lakehouse.engine.results import JobResult, TaskUpdate, UpdateResult, UpdateState


def task(
    key: str, kind: str, payload: dict[str, Any], *depends_on: str, run_if: str = "ALL_SUCCESS"
) -> TaskSpec:
    return TaskSpec(key=key, kind=kind, depends_on=depends_on, run_if=run_if, payload=payload)


def pipeline_task(key: str, *depends_on: str, **payload: Any) -> TaskSpec:
    return task(key, "pipeline", {"pipeline_id": key, **payload}, *depends_on)


def job(key: str, *tasks: TaskSpec, **parameters: str) -> JobSpec:
    return JobSpec(
        key=key,
        name=key,
        parameters=parameters,
        tasks=tasks,
        schedule=None,
        queue=False,
        max_concurrent_runs=1,
    )


def bundle_of(*jobs: JobSpec) -> Bundle:
    """A bundle with these jobs and every pipeline that their tasks name."""
    keys = {t.payload["pipeline_id"] for j in jobs for t in j.tasks if t.kind == "pipeline"}
    pipelines = {
        key: PipelineSpec(
            key=key,
            name=key,
            catalog="c",
            schema="s",
            configuration={},
            source_files=(),
            root_path=None,
            event_log=None,
            serverless=True,
            development=False,
            continuous=False,
        )
        for key in keys
    }
    return Bundle(
        name="b",
        target="dev",
        root=Path(),
        variables={},
        pipelines=pipelines,
        jobs={j.key: j for j in jobs},
        resources={},
    )


class Recorder:
    """Stands for the pipeline engine and the console; pipelines in `failing` fail."""

    def __init__(self, failing: Mapping[str, UpdateState | Exception] | None = None) -> None:
        self.failing = failing or {}
        self.updates: list[tuple[str, bool]] = []
        self.heard: list[TaskUpdate] = []
        self.sessions = 0

    def run_pipeline(self, spec: PipelineSpec, full_refresh: bool) -> UpdateResult:
        self.updates.append((spec.key, full_refresh))
        failure = self.failing.get(spec.key, "COMPLETED")
        if isinstance(failure, Exception):
            raise failure
        return UpdateResult(spec.key, "u1", failure, (), 0.1, None if failure == "COMPLETED" else "bad row")

    def get_session(self) -> Any:
        self.sessions += 1
        return object()

    def run(self, bundle: Bundle, name: str, **parameters: str) -> JobResult:
        return run_job(
            bundle,
            bundle.jobs[name],
            parameters,
            run_pipeline=self.run_pipeline,
            on_task=self.heard.append,
            get_session=self.get_session,
        )


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Installs a package `sample_wheel` whose console script `go` is the given function body."""

    def install(body: str) -> None:
        lines = "\n".join(f"    {line}" for line in body.splitlines())
        code = f"import sys\ndef main():\n{lines}\n"
        (tmp_path / "sample_wheel.py").write_text(code, encoding="utf-8")
        info = tmp_path / "sample_wheel-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: sample-wheel\nVersion: 1.0\n", encoding="utf-8"
        )
        (info / "entry_points.txt").write_text(
            "[console_scripts]\ngo = sample_wheel:main\n", encoding="utf-8"
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "sample_wheel", raising=False)

    return install


def wheel_job(**payload: Any) -> JobSpec:
    wheel = {"package_name": "sample_wheel", "entry_point": "go", **payload}
    return job("load", task("go", "python_wheel", wheel), day="monday")


# Order and states ---------------------------------------------------------------------------------------


@st.composite
def graphs(draw: st.DrawFn) -> tuple[JobSpec, set[str]]:
    """A job whose tasks depend on earlier ones, listed in any order, and the tasks that fail."""
    size = draw(st.integers(min_value=1, max_value=8))
    tasks = []
    for number in range(size):
        upstream = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        tasks.append(pipeline_task(f"t{number}", *(f"t{other}" for other in sorted(upstream))))
    failing = draw(st.sets(st.sampled_from([t.key for t in tasks]), max_size=2))
    return job("any", *draw(st.permutations(tasks))), failing


@given(graphs())
@settings(max_examples=100, deadline=None)
def test_a_task_starts_after_all_it_depends_on_and_only_if_they_succeeded(
    graph: tuple[JobSpec, set[str]],
) -> None:
    spec, failing = graph
    recorder = Recorder(dict.fromkeys(failing, "FAILED"))
    result = recorder.run(bundle_of(spec), "any")

    ended: dict[str, str] = {}
    for update in recorder.heard:
        upstream = next(t.depends_on for t in spec.tasks if t.key == update.key)
        if update.state == "RUNNING":
            assert all(ended.get(key) == "SUCCESS" for key in upstream)
        elif update.state == "SKIPPED":
            assert any(ended.get(key) in ("FAILED", "SKIPPED") for key in upstream)
        if update.state in ("SUCCESS", "FAILED", "SKIPPED"):
            assert update.key not in ended
            ended[update.key] = update.state
    assert ended == {r.key: r.state for r in result.tasks}
    assert set(ended) == {t.key for t in spec.tasks}
    assert {key for key, state in ended.items() if state == "FAILED"} <= failing
    assert result.state == ("SUCCESS" if set(ended.values()) == {"SUCCESS"} else "FAILED")


def test_a_failed_pipeline_skips_what_depends_on_it_and_nothing_else() -> None:
    spec = job(
        "nightly", pipeline_task("a"), pipeline_task("b", "a"), pipeline_task("c", "b"), pipeline_task("d")
    )
    recorder = Recorder({"a": "FAILED"})
    result = recorder.run(bundle_of(spec), "nightly")
    assert {r.key: r.state for r in result.tasks} == {
        "a": "FAILED",
        "b": "SKIPPED",
        "c": "SKIPPED",
        "d": "SUCCESS",
    }
    failed = next(r for r in result.tasks if r.key == "a")
    assert failed.error == "bad row"
    assert failed.update is not None
    assert failed.update.update_id == "u1"
    assert result.state == "FAILED"


def test_every_task_is_announced_before_the_first_one_runs() -> None:
    spec = job("nightly", pipeline_task("b", "a"), pipeline_task("a"))
    recorder = Recorder()
    recorder.run(bundle_of(spec), "nightly")
    assert [(u.key, u.state) for u in recorder.heard] == [
        ("b", "PENDING"),
        ("a", "PENDING"),
        ("a", "RUNNING"),
        ("a", "SUCCESS"),
        ("b", "RUNNING"),
        ("b", "SUCCESS"),
    ]


def test_an_error_in_a_pipeline_is_one_line_in_the_result_and_a_trace_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    recorder = Recorder({"a": ValueError("first line\nsecond line")})
    with caplog.at_level(logging.ERROR, "ecommerce_lakehouse.engine.jobs"):
        result = recorder.run(bundle_of(job("nightly", pipeline_task("a"))), "nightly")
    assert result.tasks[0].error == "ValueError: first line"
    # Whatever formats the log later, the record carries the exception with its trace.
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ValueError]


def test_a_pipeline_task_may_ask_for_a_full_refresh() -> None:
    spec = job("nightly", pipeline_task("a", full_refresh=True), pipeline_task("b", "a"))
    recorder = Recorder()
    recorder.run(bundle_of(spec), "nightly")
    assert recorder.updates == [("a", True), ("b", False)]


# Parameters ---------------------------------------------------------------------------------------------


def test_an_unknown_job_parameter_stops_the_job_before_it_starts() -> None:
    recorder = Recorder()
    with pytest.raises(UnknownNameError, match=r"Unknown job parameter 'dya'\. Did you mean 'day'"):
        recorder.run(bundle_of(job("nightly", pipeline_task("a"), day="monday")), "nightly", dya="x")
    assert recorder.heard == []


def test_a_wheel_gets_its_parameters_with_references_replaced(package: Callable[[str], None]) -> None:
    package("print('|'.join(sys.argv))")
    spec = wheel_job(
        named_parameters={"day": "{{job.parameters.day}}", "job": "{{ job.name }}-{{task.name}}"}
    )
    recorder = Recorder()
    recorder.run(bundle_of(spec), "load", day="friday")
    assert recorder.heard[-1].message == "go|--day=friday|--job=load-go"
    assert recorder.sessions == 1


def test_positional_parameters_stay_in_order(package: Callable[[str], None]) -> None:
    package("print('|'.join(sys.argv[1:]))")
    recorder = Recorder()
    recorder.run(bundle_of(wheel_job(parameters=["z", "{{job.parameters.day}}", "a"])), "load")
    assert recorder.heard[-1].message == "z|monday|a"


def test_the_start_time_and_run_id_are_those_of_the_run(package: Callable[[str], None]) -> None:
    package("print(*sys.argv[1:])")
    recorder = Recorder()
    spec = wheel_job(parameters=["{{job.run_id}}", "{{job.start_time.iso_date}}", "{{job.start_time.year}}"])
    result = recorder.run(bundle_of(spec), "load")
    run_id, date, year = recorder.heard[-1].message.split()
    assert run_id == result.run_id
    assert date.startswith(f"{year}-")
    assert len(date) == len("2026-01-31")


def test_an_unknown_reference_fails_the_task_and_lists_the_known_ones() -> None:
    recorder = Recorder()
    result = recorder.run(bundle_of(wheel_job(parameters=["{{job.parameters.dya}}"])), "load")
    assert "Did you mean '{{job.parameters.day}}'?" in str(result.tasks[0].error)


# Wheels -------------------------------------------------------------------------------------------------


def test_what_a_wheel_prints_goes_to_the_log_and_not_to_the_console(
    package: Callable[[str], None], capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    package("print('one')\nprint('two', file=sys.stderr)\nsys.stdout.write('three')")
    with caplog.at_level(logging.INFO, "ecommerce_lakehouse.engine.jobs"):
        result = Recorder().run(bundle_of(wheel_job()), "load")
    assert result.state == "SUCCESS"
    assert [record.getMessage() for record in caplog.records] == ["go: one", "go: two", "go: three"]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("sys.exit()", None),
        ("sys.exit(0)", None),
        ("sys.exit(3)", "exit code 3"),
        ("print('bad flag')\nsys.exit(2)", "exit code 2: bad flag"),
        ("sys.exit('no space left')", "no space left"),
        ("raise RuntimeError('broken')", "RuntimeError: broken"),
        ("raise KeyboardInterrupt", KeyboardInterrupt),
    ],
)
def test_how_a_wheel_ends_decides_its_state(
    package: Callable[[str], None], body: str, error: str | type[BaseException] | None
) -> None:
    package(body)
    before = sys.argv, sys.stdout
    recorder = Recorder()
    if isinstance(error, type):
        with pytest.raises(error):
            recorder.run(bundle_of(wheel_job()), "load")
    else:
        result = recorder.run(bundle_of(wheel_job()), "load")
        assert result.tasks[0].state == ("FAILED" if error else "SUCCESS")
        assert result.tasks[0].error == error
    assert (sys.argv, sys.stdout) == before


def test_an_unknown_entry_point_names_the_valid_one(package: Callable[[str], None]) -> None:
    package("pass")
    result = Recorder().run(bundle_of(wheel_job(entry_point="goo")), "load")
    assert result.tasks[0].error == "Unknown entry point of sample_wheel 'goo'. Did you mean 'go'? Valid: go."


def test_a_package_that_is_not_installed_is_named() -> None:
    result = Recorder().run(bundle_of(wheel_job(package_name="nowhere_to_be_found")), "load")
    assert str(result.tasks[0].error).startswith("Package 'nowhere_to_be_found' is not installed")


# Nested jobs and what a laptop does not run -------------------------------------------------------------


def test_a_nested_job_runs_with_its_own_parameters(package: Callable[[str], None]) -> None:
    package("print(sys.argv[1])")
    inner = wheel_job(parameters=["{{job.parameters.day}} in {{job.name}}"])
    nested = {"job_id": "load", "job_parameters": {"day": "{{job.parameters.when}}"}}
    outer = job("outer", task("first", "run_job", nested), pipeline_task("then", "first"), when="sunday")
    recorder = Recorder()
    result = recorder.run(bundle_of(inner, outer), "outer")
    assert [(u.job, u.key, u.state, u.message) for u in recorder.heard if u.state == "SUCCESS"] == [
        ("load", "go", "SUCCESS", "sunday in load"),
        ("outer", "first", "SUCCESS", ""),
        ("outer", "then", "SUCCESS", ""),
    ]
    nested_result = result.tasks[0].job
    assert nested_result is not None
    assert (nested_result.job, nested_result.state) == ("load", "SUCCESS")
    assert nested_result.run_id != result.run_id


def test_a_failure_in_a_nested_job_fails_its_task_and_says_where(package: Callable[[str], None]) -> None:
    package("sys.exit('disk full')")
    outer = job("outer", task("first", "run_job", {"job_id": "load"}), pipeline_task("then", "first"))
    recorder = Recorder()
    result = recorder.run(bundle_of(wheel_job(), outer), "outer")
    assert [(r.state, r.error) for r in result.tasks] == [
        ("FAILED", "load.go: disk full"),
        ("SKIPPED", "task 'first' did not succeed"),
    ]
    assert recorder.updates == []


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (task("t", "notebook", {"notebook_path": "x"}), "A notebook_task is not run on a laptop yet."),
        (task("t", "condition", {"op": "EQUAL_TO"}), "A condition_task is not run on a laptop yet."),
        (
            task("t", "pipeline", {"pipeline_id": "p", "refresh_selection": ["a"]}),
            "'refresh_selection' of a pipeline_task is not supported on a laptop yet.",
        ),
        (
            task("t", "pipeline", {"pipeline_id": "p"}, run_if="ALL_DONE"),
            "run_if ALL_DONE is not run on a laptop yet.",
        ),
    ],
)
def test_what_a_laptop_cannot_run_says_so(spec: TaskSpec, message: str) -> None:
    recorder = Recorder()
    result = recorder.run(bundle_of(job("nightly", spec)), "nightly")
    assert (result.state, result.tasks[0].error) == ("FAILED", message)
    assert recorder.updates == []

"""The environment and results of a task's code, without Spark: arguments, output, dbutils, traces."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from lakerun.errors import LakerunError, UnknownNameError
from lakerun.jobs.output import TaskOutput, captured
from lakerun.jobs.results import JobResult
from lakerun.spark.names import TaskTables, prepared
from unit.job_lab import JobLab, error_of, task


@pytest.fixture
def lab(tmp_path: Path) -> JobLab:
    return JobLab(tmp_path)


@pytest.fixture
def run_wheel(lab: JobLab, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Any:
    """Run a wheel task whose console script `go` has the given body."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    package = f"wheel_{abs(hash(request.node.name))}"

    def run(body: str, package_name: str = package, entry_point: str = "go", **payload: Any) -> JobResult:
        lines = "\n".join(f"    {line}" for line in body.splitlines())
        code = f"import sys\ndef main():\n{lines}\ndef bare():\n    print('bare', sys.argv[1:])\n"
        wheel = lab.wheel(package, code, f"go = {package}:main")
        settings = {"package_name": package_name, "entry_point": entry_point, **payload}
        spec = task("go", "python_wheel", settings, libraries=[{"whl": str(wheel)}])
        return lab.run(lab.job(spec, key="load", parameters={"day": "monday"}), parameters={"day": "friday"})

    return run


# Wheels ---------------------------------------------------------------------------------------------------


def test_a_wheel_gets_its_own_and_the_jobs_parameters_with_references_replaced(
    lab: JobLab, run_wheel: Any
) -> None:
    run_wheel(
        "print('|'.join(sys.argv))", named_parameters={"job": "{{ job.name }}-{{task.name}}", "day": "x"}
    )
    # Job parameters are pushed down to named parameters, where they win.
    assert lab.last("go").message == "go|--job=load-go|--day=friday"


def test_positional_parameters_stay_in_order_and_get_no_others(lab: JobLab, run_wheel: Any) -> None:
    run_wheel("print('|'.join(sys.argv[1:]))", parameters=["z", "{{job.parameters.day}}", "a"])
    assert lab.last("go").message == "z|friday|a"


def test_a_function_of_the_package_stands_in_for_an_entry_point(lab: JobLab, run_wheel: Any) -> None:
    run_wheel("pass", entry_point="bare", parameters=["a"])
    assert lab.last("go").message == "bare ['a']"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("sys.exit()", None),
        ("sys.exit(0)", None),
        ("sys.exit(3)", "exit code 3"),
        ("print('bad flag')\nsys.exit(2)", "exit code 2: bad flag"),
        ("sys.exit('no space left')", "no space left"),
        ("raise RuntimeError('broken\\nsecond line')", "RuntimeError: broken"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    ],
)
def test_a_wheels_exit_decides_its_state(run_wheel: Any, body: str, error: str | None) -> None:
    before = sys.argv, sys.stdout, sys.stderr
    (result,) = run_wheel(body).tasks
    assert (result.state, result.error) == ("FAILED" if error else "SUCCESS", error)
    assert (sys.argv, sys.stdout, sys.stderr) == before


def test_an_unknown_entry_point_names_the_valid_one(run_wheel: Any) -> None:
    error = run_wheel("pass", entry_point="goo").tasks[0].error
    assert "'goo'. Did you mean 'go'? Valid: go." in error


def test_a_package_that_is_not_installed_is_named(run_wheel: Any) -> None:
    error = run_wheel("pass", package_name="nowhere_to_be_found").tasks[0].error
    assert error.startswith("Package 'nowhere_to_be_found' is not installed")


def test_a_missing_wheel_is_named(lab: JobLab) -> None:
    payload = {"package_name": "p", "entry_point": "go"}
    spec = task("go", "python_wheel", payload, libraries=[{"whl": "/nowhere/p.whl"}])
    assert error_of(lab.run(lab.job(spec)), "go") == "Wheel '/nowhere/p.whl' does not exist."


# References -------------------------------------------------------------------------------------------------


def test_references_that_databricks_documents(lab: JobLab) -> None:
    names = [
        "{{job.id}} {{job.name}} {{job.trigger.type}} {{job.repair_count}}",
        "{{workspace.id}} {{workspace.url}}",
        "{{tasks.before.result_state}} {{tasks.before.execution_count}} [{{tasks.before.error_code}}]",
        "{{tasks.broken.result_state}} {{tasks.broken.error_code}}",
        "{{tasks.before.values.text}} {{tasks.before.values.number}} {{tasks.before.values.flag}}",
        "{{ tasks.before.values.`list` }} {{task.name}} {{task.execution_count}}",
        "{{job.run_id}} {{task.run_id}} {{tasks.before.run_id}}",
        "{{job.start_time.iso_date}}T {{job.start_time.year}}- {{job.trigger.time.second}}",
        "{{elsewhere.name}} {{x}} {single}",
    ]
    values = {"text": "a b", "number": 2.5, "flag": True, "list": [1, "x"]}
    spec = lab.job(
        lab.notebook("before", f"for k, v in {values}.items(): dbutils.jobs.taskValues.set(key=k, value=v)"),
        lab.script("broken", "1 / 0"),
        lab.script("show", "import sys\nfor a in sys.argv[1:]: print(a)", *names,
                   after=["before", "broken"], run_if="ALL_DONE"),
        key="j7",
    )  # fmt: skip
    result = lab.run(spec, trigger="periodic", workspace={"id": "42", "url": "http://127.0.0.1"})
    lines = lab.logs("show").splitlines()
    assert lines[:6] == [
        "j7 j7 periodic 0",
        "42 http://127.0.0.1",
        "success 1 []",
        "failed RunExecutionError",
        "a b 2.5 true",
        '[1, "x"] show 1',
    ]
    assert lines[6] == f"{result.run_id} {lab.last('show').task_run_id} {lab.last('before').task_run_id}"
    date, year, second = lines[7].split()
    assert date.startswith(year)
    assert second == "0"
    # Outside of the known namespaces it is not a reference.
    assert lines[8] == "{{elsewhere.name}} {{x}} {single}"


@pytest.mark.parametrize(
    ("reference", "guess"),
    [
        ("{{job.parameters.dya}}", "{{job.parameters.day}}"),
        ("{{tasks.before.values.rwos}}", "{{tasks.before.values.rows}}"),
        ("{{job.strat_time.year}}", "{{job.start_time.year}}"),
    ],
)
def test_an_unknown_reference_fails_the_task_and_names_the_closest(
    lab: JobLab, reference: str, guess: str
) -> None:
    spec = lab.job(
        lab.notebook("before", "dbutils.jobs.taskValues.set('rows', 1)"),
        lab.script("after", "", reference, after="before"),
        parameters={"day": "monday"},
    )
    assert f"Did you mean '{guess}'?" in error_of(lab.run(spec), "after")


def test_a_parameter_may_refer_to_the_run(lab: JobLab) -> None:
    show = lab.script("show", "import sys; print(sys.argv[1])", "{{job.parameters.name}}")
    lab.run(lab.job(show, parameters={"name": "run of {{job.name}}"}))
    assert lab.last("show").message == "run of nightly"


def test_an_unknown_job_parameter_stops_the_job_before_it_starts(lab: JobLab) -> None:
    spec = lab.job(lab.script("a", ""), parameters={"day": "monday"})
    with pytest.raises(UnknownNameError, match=r"Unknown job parameter 'dya'\. Did you mean 'day'"):
        lab.run(spec, parameters={"dya": "x"})
    assert lab.updates == []


# Scripts and output ---------------------------------------------------------------------------------------


def test_a_script_runs_as_main_and_imports_modules_beside_it(lab: JobLab) -> None:
    (lab.folder / "neighbour_of_main.py").write_text("NAME = 'next door'", encoding="utf-8")
    body = """
    import sys
    from neighbour_of_main import NAME
    if __name__ == "__main__":
        print(NAME, __file__ == sys.argv[0], sys.argv[1:])
    """
    lab.run(lab.job(lab.script("main", body, "a b", "c")))
    assert lab.last("main").message == "next door True ['a b', 'c']"


def test_parallel_tasks_have_separate_output_and_arguments(lab: JobLab) -> None:
    body = """
    import argparse, sys, threading
    parser = argparse.ArgumentParser()
    parser.add_argument("--name")
    name = parser.parse_args().name
    printed = threading.Event()
    def later():
        printed.wait()
        print("thread of", name)
    thread = threading.Thread(target=later)
    thread.start()
    for number in range(200):
        print(name, number)
        print(name, "error", file=sys.stderr)
    printed.set()
    thread.join()
    """
    names = ["one", "two", "three"]
    lab.run(lab.job(*(lab.script(name, body, f"--name={name}") for name in names)))
    for name in names:
        lines = lab.logs(name).splitlines()
        assert len(lines) == 401
        assert [line for line in lines if name not in line] == []
        assert lines[-1] == f"thread of {name}"


def test_what_a_task_prints_goes_to_the_log_and_not_to_the_console(
    lab: JobLab, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    body = "import sys\nprint('one')\nprint('two', file=sys.stderr)\nsys.stdout.write('three')"
    with caplog.at_level(logging.INFO, "lakerun.jobs.output"):
        lab.run(lab.job(lab.script("go", body)))
    assert [record.getMessage() for record in caplog.records] == ["go: one", "go: two", "go: three"]
    assert lab.logs("go") == "one\ntwo\nthree"
    assert capsys.readouterr() == ("", "")


def test_logs_to_the_console_are_part_of_the_output(lab: JobLab) -> None:
    body = """
    import logging, sys
    log = logging.getLogger("shop")
    handler = logging.StreamHandler(sys.stdout)
    logging.getLogger().addHandler(handler)
    log.warning("few orders")
    logging.getLogger().removeHandler(handler)
    """
    lab.run(lab.job(lab.script("go", body)))
    assert lab.logs("go") == "few orders\n"


def test_long_output_keeps_its_end() -> None:
    output = TaskOutput("go")
    with captured(output):
        for number in range(40_000):
            print(f"{number:06d}", "x" * 93)
    lines = output.text.splitlines()
    assert lines[0] == "... the beginning was cut off"
    assert lines[-1].startswith("039999 ")
    # A line has 101 bytes: 9900 whole ones fit in a megabyte.
    assert len(lines) == 1 + 1_000_000 // 101
    assert lines[1].startswith(f"{40_000 - 9_900:06d} ")


def test_an_error_is_one_line_in_the_result_with_the_trace_of_the_users_code(
    lab: JobLab, caplog: pytest.LogCaptureFixture
) -> None:
    body = "def divide():\n    return 1 / 0\nprint('before')\ndivide()"
    with caplog.at_level(logging.ERROR, "lakerun.jobs.local_task_runner"):
        result = lab.run(lab.job(lab.script("go", body)))
    assert result.tasks[0].error == "ZeroDivisionError: division by zero"
    outcome = lab.last("go").outcome
    assert outcome is not None
    trace = str(outcome.trace).splitlines()
    assert trace[0] == "Traceback (most recent call last):"
    assert trace[1] == f'  File "{lab.folder / "go.py"}", line 4, in <module>'
    assert trace[-1] == "ZeroDivisionError: division by zero"
    assert outcome.logs == f"before\n{outcome.trace}"
    # The record has the exception with its trace, for any format of the log.
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError]


def test_secrets_and_files_of_volumes(lab: JobLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_API_TOKEN", "s3cret")
    volume = lab.storage.volumes_root / "main" / "shop" / "data"
    (volume / "orders").mkdir(parents=True)
    (volume / "notes.txt").write_text("abcdef", encoding="utf-8")
    cell = """
    print(len(dbutils.secrets.get("shop", "api-token")))
    for info in dbutils.fs.ls("/Volumes/main/shop/data"): print(info.path, info.name, info.size)
    print(dbutils.fs.head("dbfs:/Volumes/main/shop/data/notes.txt", 3))
    """
    lab.run(lab.job(lab.notebook("n", cell)))
    assert lab.logs("n").splitlines() == [
        "6",
        "dbfs:/Volumes/main/shop/data/notes.txt notes.txt 6",
        "dbfs:/Volumes/main/shop/data/orders/ orders/ 0",
        "[Truncated to first 3 bytes]",
        "abc",
    ]


def test_a_script_gets_dbutils_as_wheels_on_databricks_do(lab: JobLab) -> None:
    pytest.importorskip("pyspark")
    body = "from pyspark.dbutils import DBUtils\nDBUtils().jobs.taskValues.set('rows', 5)"
    show = lab.script("show", "import sys; print(sys.argv[1])", "{{tasks.load.values.rows}}", after="load")
    lab.run(lab.job(lab.script("load", body), show))
    assert lab.last("show").message == "5"


def test_dbutils_belongs_to_a_task() -> None:
    from lakerun.jobs.dbutils import dbutils_module

    with dbutils_module():
        from pyspark.dbutils import DBUtils  # type: ignore[import-not-found]

    with pytest.raises(LakerunError, match="only in a task"):
        DBUtils()


# Tables in statements ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT * FROM main.shop.orders o", "SELECT * FROM delta.`{path}` o"),
        ("OPTIMIZE `main`.`shop`.`orders` ZORDER BY (day)", "OPTIMIZE delta.`{path}` ZORDER BY (day)"),
        ("SELECT 'main.shop.orders' -- main.shop.orders", "SELECT 'main.shop.orders' -- main.shop.orders"),
        ("SELECT * FROM main.shop.missing", "SELECT * FROM main.shop.missing"),
        ("SELECT main.shop.orders.id FROM x", "SELECT main.shop.orders.id FROM x"),
        ("SELECT * FROM delta.`/a/main.shop.orders/b`", "SELECT * FROM delta.`/a/main.shop.orders/b`"),
        ("VACUUM main.shop.orders RETAIN 0 HOURS", "VACUUM delta.`{path}` RETAIN 0 HOURS"),
        ("DESCRIBE DETAIL `main`.`shop`.`orders`", "DESCRIBE DETAIL delta.`{path}`"),
        ("DESC HISTORY `main`.`shop`.`orders` LIMIT 1", "DESC HISTORY delta.`{path}` LIMIT 1"),
        ("DESCRIBE FORMATTED `main`.`shop`.`orders`", "DESCRIBE FORMATTED delta.`{path}`"),
        ("DESCRIBE `main`.`shop`.`orders`", "DESCRIBE delta.`{path}`"),
        ("SHOW TBLPROPERTIES `main`.`shop`.`orders`", "SHOW TBLPROPERTIES delta.`{path}`"),
        ("SELECT 1 AS `main.shop.orders`", "SELECT 1 AS `main.shop.orders`"),
    ],
)
def test_a_statement_can_name_the_lakehouses_tables(lab: JobLab, statement: str, expected: str) -> None:
    log = lab.storage.tables_root / "main" / "shop" / "orders" / "_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020d}.json").write_text("{}", encoding="utf-8")
    assert prepared(statement, TaskTables(lab.storage), lambda _: False) == expected.format(path=log.parent)

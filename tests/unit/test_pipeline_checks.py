"""The checks after a run, on small tables; and how a notebook finds the package."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.observability.lakehouse import lakehouse_of
from ecommerce_lakehouse.observability.pipeline_checks import (
    PipelineCheck,
    PipelineCheckError,
    PipelineReport,
    check_pipelines,
)
from lakerun.tables.storage import Storage, TableName
from tests.unit.health_data import SCHEMA, Log

ROOT = Path(__file__).parents[2]
NOW = datetime.now(UTC)
Tables = dict[str, dict[str, Any]]


def sound() -> Tables:
    """Six lines: three orders, one of them sent twice, two lines that broke rules."""
    return {
        "bronze_orders": {"raw_line": [str(n) for n in range(6)]},
        "silver_orders": {"order_id": ["a", "b", "c"]},
        "quarantine_orders": {"broken_rules": [["valid_price", "valid_id"], ["valid_price"]]},
        "silver_orders_duplicates": {"order_id": ["a"]},
    }


def log_of(*states: str) -> Log:
    """An update an hour apart for each state, the last one an hour ago."""
    log = Log("medallion_dlt_pipeline")
    for number, state in enumerate(states):
        start = NOW - timedelta(hours=len(states) - number)
        log.update(f"u{number}", start, 60, state)
        log.defines(f"u{number}", start, "silver_orders", "gold_new")
        if state == "COMPLETED":
            log.flow(f"u{number}", start + timedelta(seconds=30), "silver_orders", "COMPLETED", (6, 2))
            log.flow(f"u{number}", start + timedelta(seconds=40), "gold_new", "COMPLETED")
    log.update("checked", NOW - timedelta(minutes=5), 3, "COMPLETED", validate_only=True)
    return log


def report_of(home: Path, tables: Tables, log: Log | None = None, **targets: Any) -> PipelineReport:
    storage = Storage(home)
    for name, columns in tables.items():
        path = storage.table_path(TableName(*SCHEMA, name))
        path.mkdir(parents=True)
        write_deltalake(str(path), pa.table(columns))
    (log or log_of("COMPLETED")).write(storage)
    config = get_config("local")
    config = config.model_copy(update={"health": config.health.model_copy(update=targets)})

    lakehouse = lakehouse_of(config)
    return check_pipelines(
        lakehouse.rows, {table.name: table.reference for table in lakehouse.tables()}, config
    )


def found(report: PipelineReport) -> dict[tuple[str, str], PipelineCheck]:
    return {(check.name, check.subject): check for check in report.checks}


def test_correct_tables_pass_every_check(home: Path) -> None:
    report = report_of(home, sound())
    assert report.failed == ()
    checks = found(report)
    assert set(checks) == {
        ("reconciliation", "orders"),
        ("keys", "silver_orders"),
        ("uniqueness", "silver_orders"),
        ("reasons", "quarantine_orders"),
        ("newest update", "medallion_dlt_pipeline"),
        ("freshness", "silver_orders"),
        ("freshness", "gold_new"),
    }
    reconciled = checks["reconciliation", "orders"]
    assert (reconciled.figure, reconciled.expected) == (
        "3 good + 2 quarantined + 1 duplicates = 6",
        "6 lines",
    )
    assert [dict(row) for row in report.expectations] == [
        {
            "pipeline_name": "medallion_dlt_pipeline",
            "dataset_name": "silver_orders",
            "expectation_name": "valid",
            "passed_records": 6,
            "failed_records": 2,
        }
    ]
    assert report.as_json()["passed"] is True


@pytest.mark.parametrize(
    ("break_it", "check", "figure"),
    [
        (
            lambda t: t["silver_orders"].update(order_id=["a", "b"]),
            ("reconciliation", "orders"),
            "2 good + 2 quarantined + 1 duplicates = 5",
        ),
        (
            lambda t: t["silver_orders"].update(order_id=["a", None, "c"]),
            ("keys", "silver_orders"),
            "1 NULL in order_id",
        ),
        (
            lambda t: t["silver_orders"].update(order_id=["a", "a", "a"]),
            ("uniqueness", "silver_orders"),
            "2 repeated in order_id",
        ),
        (
            lambda t: t["quarantine_orders"].update(broken_rules=[["valid_price"], []]),
            ("reasons", "quarantine_orders"),
            "1 without a broken rule",
        ),
        (
            lambda t: t["quarantine_orders"].update(broken_rules=[["valid_price"], None]),
            ("reasons", "quarantine_orders"),
            "1 without a broken rule",
        ),
        (
            lambda t: t.pop("silver_orders_duplicates"),
            ("tables", "orders"),
            "without silver_orders_duplicates",
        ),
    ],
)
def test_a_wrong_table_fails_only_its_check(
    home: Path, break_it: Callable[[Tables], object], check: tuple[str, str], figure: str
) -> None:
    tables = sound()
    break_it(tables)
    report = report_of(home, tables)
    assert [(each.name, each.subject) for each in report.failed] == [check]
    assert report.failed[0].figure == figure
    assert report.as_json()["passed"] is False


@pytest.mark.parametrize(
    ("states", "figure"),
    [(("COMPLETED", "FAILED"), "FAILED"), (("COMPLETED", ""), "not ended"), (("FAILED", "COMPLETED"), None)],
)
def test_the_newest_update_that_did_more_than_validate_has_to_complete(
    home: Path, states: tuple[str, ...], figure: str | None
) -> None:
    report = report_of(home, sound(), log_of(*states))
    assert [each.figure for each in report.failed] == ([figure] if figure else [])


def test_a_dataset_that_is_too_old_fails(home: Path) -> None:
    report = report_of(home, sound(), freshness_seconds=600)
    late = [each for each in report.failed if each.subject == "silver_orders"]
    assert [(each.name, each.expected) for each in late] == [("freshness", "less than 10 min")]
    units = {"h": 3600, "min": 60, "s": 1}
    seconds = sum(int(count) * units[unit] for count, unit in re.findall(r"(\d+) (h|min|s)", late[0].figure))
    since = (datetime.now(UTC) - NOW).total_seconds()
    assert seconds == pytest.approx(3600 - 30 + since, abs=60)


def test_before_the_first_run_the_error_says_what_to_run() -> None:
    with pytest.raises(
        PipelineCheckError, match=r"No pipeline has run in local\.data_eng yet.*lakehouse run"
    ):
        check_pipelines(lambda sql: [], {"silver_orders": "x"}, get_config("local"))


# How a notebook finds the package ---------------------------------------------------------------------


def located(folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs the notebook `package` from `folder`, in an interpreter that knows no packages."""
    code = (
        f"{(ROOT / 'src' / 'notebooks' / 'package.py').read_text(encoding='utf-8')}\n"
        "import ecommerce_lakehouse\nprint(ecommerce_lakehouse.__file__)"
    )
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], cwd=folder, capture_output=True, text=True
    )


def deployed(tmp_path: Path) -> Path:
    """The folders of a deployment: files without the package."""
    notebooks = tmp_path / "dev" / "files" / "src" / "notebooks"
    notebooks.mkdir(parents=True)
    return notebooks


@pytest.mark.parametrize("folder", ["", "customer_io"])
def test_a_deployed_notebook_takes_the_newest_wheel(tmp_path: Path, folder: str) -> None:
    notebooks = deployed(tmp_path)
    (notebooks / folder).mkdir(exist_ok=True)
    artifacts = tmp_path / "dev" / "artifacts" / ".internal"
    artifacts.mkdir(parents=True)
    with zipfile.ZipFile(artifacts / "ecommerce_lakehouse-0.1.0+abc-py3-none-any.whl", "w") as wheel:
        wheel.writestr("ecommerce_lakehouse/__init__.py", "")
    done = located(notebooks / folder)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).parts[-2:] == ("ecommerce_lakehouse", "__init__.py")
    shutil.rmtree(Path(done.stdout.strip()).parents[1])


@pytest.mark.parametrize("folder", ["", "customer_io"])
def test_a_notebook_in_a_git_folder_takes_the_sources_beside_it(tmp_path: Path, folder: str) -> None:
    notebooks = deployed(tmp_path)
    (notebooks / folder).mkdir(exist_ok=True)
    package = notebooks.parent / "ecommerce_lakehouse"
    package.mkdir()
    (package / "__init__.py").touch()
    assert located(notebooks / folder).stdout.strip() == str(package / "__init__.py")


def test_without_a_deployment_the_notebook_says_what_to_run(tmp_path: Path) -> None:
    assert "FileNotFoundError: The package is not deployed." in located(deployed(tmp_path)).stderr

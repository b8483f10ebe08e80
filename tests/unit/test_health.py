"""The health check: figures against hand-computed ones, verdicts, trends, and the commands' output."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from pydantic import ValidationError
from typer.testing import CliRunner

from ecommerce_lakehouse.cli.main import command_line
from ecommerce_lakehouse.config import LakehouseConfig, get_config
from ecommerce_lakehouse.observability import health, health_checks
from ecommerce_lakehouse.observability.health_checks import Check, Health, HealthError, check_health
from ecommerce_lakehouse.observability.health_sql import health_sql, sql_file
from lakerun.bundles.load import load_bundle
from lakerun.jobs.local_task_runner import LocalTaskRunner
from lakerun.jobs.runner import run_job
from lakerun.sql.query import query
from lakerun.tables.arrow_rows import rows_of
from lakerun.tables.storage import Storage
from tests.unit import health_data
from tests.unit.health_data import NOW, Log, march

ROOT = Path(__file__).parents[2]
EVENTS = "local.data_eng.pipeline_events"
DAY = 86_400


@pytest.fixture
def storage(home: Path) -> Storage:
    """The fortnight of two pipelines in a data folder of its own."""
    health_data.fortnight(Storage(home))
    return Storage(home)


def run_on(storage: Storage) -> health_checks.RunSql:
    def run(sql: str) -> list[dict[str, Any]]:
        found = query(sql, storage)
        return [dict(zip(found.column_names, row, strict=True)) for row in rows_of(found)]

    return run


def config_with(**targets: Any) -> LakehouseConfig:
    config = get_config("local")
    values = config.model_dump()
    return LakehouseConfig.model_validate(values | {"health": values["health"] | targets})


def checked(storage: Storage, **targets: Any) -> dict[tuple[str, str], Check]:
    found = check_health(run_on(storage), EVENTS, config_with(**targets), days=7, now=NOW)
    return {(check.name, check.subject): check for check in found.checks}


# Figures --------------------------------------------------------------------------------------------


def test_the_success_rate_counts_updates_that_completed_or_failed(storage: Storage) -> None:
    check = checked(storage)["success rate", ""]
    # u3, u5 and f1 completed and u4 failed; before, u1 completed and u2 failed.
    assert (check.figure, check.previous, check.unit) == (75.0, 50.0, "%")
    assert (check.verdict, check.trend) == ("failed", "better")


def test_the_expectation_failures_are_those_of_each_datasets_records(storage: Storage) -> None:
    found = checked(storage)
    # 5 of 495 + 5 + 500; before, 10 of 1000.
    orders, sales = (found["expectation failures", name] for name in ("silver_orders", "gold_sales"))
    assert (orders.figure, orders.previous, orders.verdict, orders.trend) == (0.5, 1.0, "ok", "better")
    assert (sales.figure, sales.previous, sales.trend) == (0, None, "new")


def test_more_rules_do_not_make_bad_lines_look_like_fewer(home: Path) -> None:
    """Five of a hundred lines are bad, each breaks one rule of six; two lines of two break both of theirs."""
    log = Log("shop")
    log.update("u1", march(14), 60, "COMPLETED")
    rules = {"a": (95, 5), "b": (100, 0), "c": (100, 0), "d": (100, 0), "e": (100, 0), "f": (100, 0)}
    log.expectations("u1", march(14), "silver_orders", rules)
    log.expectations("u1", march(14), "silver_returns", {"a": (0, 2), "b": (0, 2)})
    log.write(Storage(home))
    found = checked(Storage(home), expectation_failure_percent=5.1)
    orders, returns = (found["expectation failures", f"silver_{name}"] for name in ("orders", "returns"))
    assert (orders.figure, orders.verdict) == (5.0, "ok")
    assert (returns.figure, returns.verdict) == (100.0, "failed")
    assert (
        checked(Storage(home), expectation_failure_percent=5)["expectation failures", "silver_orders"].verdict
        == "failed"
    )


def test_a_dataset_is_as_old_as_its_last_time_up_to_date(storage: Storage) -> None:
    found = checked(storage)
    # Nothing new on the 14th at 10:00:30; a week before, complete on the 5th at 10:01:00.
    orders = found["freshness", "silver_orders"]
    assert (orders.figure, orders.previous) == (1 * DAY + 2 * 3600 - 30, 3 * DAY + 2 * 3600 - 60)
    assert (orders.verdict, orders.trend) == ("ok", "better")
    # Skipped on the 14th because its upstream failed: last complete on the 10th at 10:01:20.
    assert found["freshness", "gold_sales"].figure == 5 * DAY + 2 * 3600 - 80
    assert found["freshness", "feature_value"].figure == 1 * DAY + 3600 - 45
    assert found["freshness", "feature_value"].trend == "new"


def test_a_dataset_that_was_never_up_to_date_fails_and_a_removed_one_is_not_checked(
    storage: Storage,
) -> None:
    found = checked(storage)
    new = found["freshness", "gold_new"]
    assert (new.figure, new.verdict, new.note) == (None, "failed", "never up to date")
    assert ("freshness", "gold_removed") not in found


def test_latency_is_the_longest_time_from_an_updates_start(storage: Storage) -> None:
    found = checked(storage)
    orders, sales = found["latency", "silver_orders"], found["latency", "gold_sales"]
    assert (orders.figure, orders.previous, orders.trend) == (50, 60, "better")
    assert (sales.figure, sales.previous) == (80, 90)
    assert found["latency", "gold_new"].verdict == "no data"


def test_the_cost_is_run_seconds_by_gb_that_arrived(storage: Storage) -> None:
    check = checked(storage)["cost", ""]
    # 100 + 10 + 40 + 50 seconds for 200 MB; before, 100 + 20 seconds for 100 MB.
    assert check.figure == pytest.approx(200 / 0.2)
    assert check.previous == pytest.approx(120 / 0.1)
    assert (check.unit, check.verdict, check.trend) == ("s/GB", "ok", "better")


def test_end_to_end_latency_is_from_a_files_arrival_until_the_update_that_read_it(home: Path) -> None:
    log = Log("shop")
    for update, day in (("u1", 5), ("u2", 10), ("u3", 12)):
        log.update(update, march(day), 100, "FAILED" if update == "u2" else "COMPLETED")
        log.defines(update, march(day), "bronze_orders")
        log.flow(update, march(day, 10, 1), "bronze_orders", "COMPLETED")
    log.write(Storage(home))
    raw = Path(get_config("local").orders_source_path)
    health_data.raw_file(raw / "before.json", 10, march(4))
    health_data.raw_file(raw / "2024" / "now.json", 10, march(9))
    check = checked(Storage(home))["end-to-end latency", "orders"]
    # From the 9th until u3 ended on the 12th, as u2 failed; before, from the 4th until u1 ended on the 5th.
    assert (check.figure, check.previous, check.trend) == (3 * DAY + 100, DAY + 100, "worse")
    assert (check.target, check.verdict) == (7 * DAY, "ok")
    health_data.raw_file(raw / "waits.json", 10, march(12, 10, 0, 1))  # a second too late for u3
    late = checked(Storage(home), end_to_end_seconds=3 * DAY)["end-to-end latency", "orders"]
    assert (late.figure, late.verdict) == (3 * DAY + 2 * 3600 - 1, "failed")


def test_little_data_has_no_cost_per_gb(home: Path) -> None:
    storage, now = Storage(home), NOW
    log = Log("medallion_dlt_pipeline")
    log.update("only", now - timedelta(hours=1), 60, "COMPLETED")
    log.write(storage)
    for name in ("ml_features_pipeline", "order_analytics_pipeline"):
        Log(name).write(storage)
    raw = Path(get_config("local").orders_source_path) / "few.json"
    health_data.raw_file(raw, 99_999_999, now - timedelta(minutes=1))
    (cost,) = [
        c
        for c in check_health(run_on(storage), EVENTS, get_config("local"), days=7, now=now).checks
        if c.name == "cost"
    ]
    assert (cost.verdict, cost.note) == ("no data", "less than 100 MB arrived in this period")


# Verdicts -------------------------------------------------------------------------------------------


def test_targets_come_from_the_config_and_a_dataset_may_have_its_own(storage: Storage) -> None:
    own = {"gold_sales": {"freshness_seconds": 9 * DAY, "latency_seconds": 79}}
    found = checked(storage, freshness_seconds=DAY, latency_seconds=60, datasets=own)
    assert found["freshness", "silver_orders"].verdict == "failed"
    assert (found["freshness", "gold_sales"].target, found["freshness", "gold_sales"].verdict) == (
        9 * DAY,
        "ok",
    )
    assert found["latency", "silver_orders"].verdict == "ok"
    assert found["latency", "gold_sales"].verdict == "failed"


@pytest.mark.parametrize(
    ("name", "target", "verdict"),
    [
        ("success_rate_percent", 74.9, "ok"),
        ("success_rate_percent", 75.0, "failed"),  # over the target, not at it
        ("run_seconds_per_gb", 1001, "ok"),
        ("run_seconds_per_gb", 999, "failed"),
    ],
)
def test_a_figure_passes_on_the_right_side_of_its_target(
    storage: Storage, name: str, target: float, verdict: str
) -> None:
    subject = {"success": "success rate", "run": "cost"}
    assert checked(storage, **{name: target})[subject[name.split("_")[0]], ""].verdict == verdict


def test_a_period_without_an_update_has_no_success_rate_but_stale_datasets(storage: Storage) -> None:
    later = NOW + timedelta(days=60)
    found = check_health(run_on(storage), EVENTS, get_config("local"), days=7, now=later)
    verdicts = {(check.name, check.subject): check.verdict for check in found.checks}
    assert verdicts["success rate", ""] == verdicts["cost", ""] == "no data"
    assert verdicts["freshness", "silver_orders"] == "failed"
    assert not found.healthy


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("success_rate_percent", 101, "less than or equal to 100"),
        ("latency_seconds", 0, "greater than or equal to 1"),
        ("datasets", {"gold_sales": {"age": 1}}, "Extra inputs are not permitted"),
        ("succes_rate_percent", 99, "Extra inputs are not permitted"),
    ],
)
def test_a_wrong_target_is_refused(name: str, value: Any, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        config_with(**{name: value})


def test_without_an_event_log_the_error_says_what_to_run() -> None:
    with pytest.raises(HealthError, match=r"no event log in local\.data_eng yet.*lakehouse run"):
        check_health(lambda sql: [], None, get_config("local"))


def test_on_databricks_the_cost_is_the_list_price_and_missing_rights_are_noted(storage: Storage) -> None:
    config = get_config("local")
    plain = run_on(storage)

    def billed(sql: str) -> Any:
        return [{"period": "current", "usd": 0.5}] if "system.billing.usage" in sql else plain(sql)

    check = check_health(billed, EVENTS, config, billed=True, days=7, now=NOW).checks[-1]
    assert (check.name, check.unit) == ("cost", "USD/GB")
    assert check.figure == pytest.approx(0.5 / 0.2)

    def refused(sql: str) -> Any:
        if "system.billing.usage" in sql:
            raise PermissionError("no SELECT on system.billing.usage\n at line 1")
        return plain(sql)

    check = check_health(refused, EVENTS, config, billed=True, days=7, now=NOW).checks[-1]
    assert check.verdict == "no data"
    assert check.note == "system.billing cannot be read: no SELECT on system.billing.usage"


@pytest.mark.parametrize("name", ["updates", "completed_updates", "expectations", "datasets", "cost"])
def test_every_query_is_one_statement_of_databricks_sql(name: str) -> None:
    (statement,) = sqlglot.parse(health_sql(name, EVENTS, NOW, NOW, NOW), read="databricks")
    assert isinstance(statement, sqlglot.exp.Query)


# The commands ---------------------------------------------------------------------------------------


def recent(home: Path, failed: bool = False) -> None:
    """A pipeline that ran an hour ago."""
    log, start = Log("shop"), datetime.now(UTC) - timedelta(hours=1)
    log.update("u1", start, 60, "FAILED" if failed else "COMPLETED")
    log.defines("u1", start, "silver_orders")
    log.flow("u1", start + timedelta(seconds=30), "silver_orders", "COMPLETED", (1000, 1))
    log.write(Storage(home))


def test_lakehouse_health_shows_every_figure_and_exits_with_0(home: Path) -> None:
    recent(home)
    result = CliRunner().invoke(command_line(), ["health"])
    assert (result.exit_code, result.stderr) == (0, "")
    (rate,) = [line for line in result.stdout.splitlines() if line.startswith("success rate")]
    assert rate.split() == ["success", "rate", "100.00", "%", ">", "99.50", "%", "ok", "new"]
    assert re.search(r"^latency +silver_orders +30 s +< 30 min +ok +new", result.stdout, re.MULTILINE)
    assert "healthy: 5 checks over the last 7 days of local" in result.stdout


def test_datasets_that_are_ok_share_a_line_and_the_worst_is_named(storage: Storage) -> None:
    own = {"gold_sales": {"latency_seconds": 79}}
    found = check_health(run_on(storage), EVENTS, config_with(datasets=own), days=7, now=NOW)
    shown = [cells for _, cells in health.rows(found)]
    assert [cells[1:5] + cells[7:] for cells in shown if cells[0] == "freshness"] == [
        ("3 of 4", "5 days 1 h", "< 7 days", "ok", "worst: gold_sales"),
        ("gold_new", "", "< 7 days", "failed", "never up to date"),
    ]
    assert len(health.rows(found, every=True)) == len(found.checks)


def test_lakehouse_health_exits_with_1_when_a_target_is_missed(home: Path) -> None:
    recent(home, failed=True)
    result = CliRunner().invoke(command_line(), ["health", "--json", "--days", "3"])
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert (found["healthy"], found["days"]) == (False, 3)
    failed = [check for check in found["checks"] if check["verdict"] == "failed"]
    assert [(check["name"], check["figure"], check["target"]) for check in failed] == [
        ("success rate", 0, 99.5)
    ]


def test_lakehouse_health_without_an_event_log_is_one_line(home: Path) -> None:
    result = CliRunner().invoke(command_line(), ["health"])
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: There is no event log in local.data_eng yet.")


def test_the_module_checks_without_a_jvm(home: Path) -> None:
    recent(home, failed=True)
    module = [sys.executable, "-m", "ecommerce_lakehouse.observability.health"]
    done = subprocess.run([*module, "--check", "--environment", "local"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")
    last = done.stdout.splitlines()[-1]
    assert last == "unhealthy: 1 of 5 checks over the last 7 days of local failed: success rate"
    code = (
        "import sys\nfrom ecommerce_lakehouse.observability.health import main\n"
        "main(['--report', '--json', '--environment', 'local'])\n"
        "print(sorted(set(sys.modules) & {'pyspark', 'pandas', 'py4j'}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert json.loads(done.stdout)["healthy"] is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--days", "0"], "'0' is not a number of days from 1 to 365"),
        (["--days", "week"], "'week' is not a number of days"),
        (["--environment", "production"], "Unknown environment 'production'"),
        (["--environment", "local"], "There is no event log in local.data_eng yet"),
    ],
)
def test_wrong_arguments_are_exit_code_2(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        health.main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_a_check_of_one_dataset_is_named_in_the_summary() -> None:
    late = Check("freshness", "gold_sales", 99, 9, "s", "failed", "worse", 5)
    text = health.summary(Health("prod", NOW, 7, (late,)))
    assert text == "unhealthy: 1 of 1 checks over the last 7 days of prod failed: freshness of gold_sales"


# The jobs -------------------------------------------------------------------------------------------


def run_bundle_job(name: str, parameters: dict[str, str]) -> tuple[str, str]:
    """State and last line of a job of the bundle; it needs no Spark."""
    bundle = load_bundle(ROOT, "dev", {"environment": "local", "catalog": "local", "schema": "data_eng"})
    heard: list[Any] = []
    result = run_job(
        bundle.jobs[name],
        parameters,
        resources=bundle,
        task_runner=LocalTaskRunner(Storage.default(), lambda: None),
        on_task=heard.append,
    )
    return result.state, heard[-1].message


def test_the_daily_job_fails_when_a_target_is_missed_and_the_monthly_one_reports(home: Path) -> None:
    recent(home, failed=True)
    state, message = run_bundle_job("daily_health", {})
    assert state == "FAILED"
    assert message.startswith("exit code 1: unhealthy: 1 of 5 checks over the last 7 days")
    state, message = run_bundle_job("monthly_trends", {})
    assert state == "SUCCESS"
    assert message.startswith("unhealthy: 1 of 5 checks over the last 30 days of local failed: success rate")


def test_the_daily_job_succeeds_on_a_healthy_lakehouse(home: Path) -> None:
    recent(home)
    state, message = run_bundle_job("daily_health", {"days": "2"})
    assert (state, message) == ("SUCCESS", "healthy: 5 checks over the last 2 days of local")


# Alerts ---------------------------------------------------------------------------------------------


def alert_rows(storage: Storage, key: str) -> list[tuple[Any, ...]]:
    """The rows of a deployed alert's query, with the laptop's names."""
    bundle = load_bundle(ROOT, "dev", {"catalog": "local", "schema": "data_eng"})
    return rows_of(query(bundle.resources["alerts"][key]["query_text"], storage))


@pytest.mark.parametrize("target", ["dev", "staging", "prod"])
@pytest.mark.parametrize("key", ["failed_updates", "expectation_failures"])
def test_an_alerts_query_is_its_sql_file_over_every_pipelines_event_log(target: str, key: str) -> None:
    bundle = load_bundle(ROOT, target)
    schema = bundle.resources["schemas"]["data_eng"]
    relation = f"{schema['catalog_name']}.{schema['name']}.pipeline_events"
    text = sql_file(f"{key}_alert").replace("FROM pipeline_events", f"FROM {relation}")
    assert relation in text
    assert bundle.resources["alerts"][key]["query_text"].strip() == text.strip()


@pytest.mark.parametrize("target", ["dev", "staging", "prod"])
def test_the_alert_on_expectations_has_the_health_checks_target(target: str) -> None:
    evaluation = load_bundle(ROOT, target).resources["alerts"]["expectation_failures"]["evaluation"]
    threshold = evaluation["threshold"]["value"]["double_value"]
    assert threshold == get_config(target).health.expectation_failure_percent
    assert evaluation["comparison_operator"] == "GREATER_THAN_OR_EQUAL"


def test_the_alerts_see_only_failures_of_the_last_two_days(home: Path) -> None:
    storage, now = Storage(home), datetime.now(UTC)
    log = Log("medallion_dlt_pipeline")
    log.update("old", now - timedelta(days=3), 60, "FAILED")
    log.flow("old", now - timedelta(days=3), "silver_orders", "RUNNING", (0, 100))
    log.update("new", now - timedelta(hours=2), 60, "FAILED")
    log.update("fine", now - timedelta(hours=1), 60, "COMPLETED")
    log.flow("fine", now - timedelta(hours=1), "silver_orders", "RUNNING", (95, 5))
    log.flow("fine", now - timedelta(hours=1), "silver_orders", "RUNNING", (93, 7))
    log.flow("fine", now - timedelta(hours=1), "gold_sales", "RUNNING", (10, 0))
    log.write(storage)
    Log("ml_features_pipeline").write(storage)
    Log("order_analytics_pipeline").write(storage)
    ((pipeline, update, _, message),) = alert_rows(storage, "failed_updates")
    assert (pipeline, update, message) == ("medallion_dlt_pipeline", "new", "update_progress of new")
    assert sorted(alert_rows(storage, "expectation_failures")) == [
        ("local.data_eng.gold_sales", 0, 0.0),
        ("local.data_eng.silver_orders", 12, 6.0),
    ]

"""Metrics in a real PostgreSQL equal those of the event log and of gold, whatever is repeated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from ecommerce_lakehouse.cli.main import command_line
from ecommerce_lakehouse.config import LakehouseConfig, get_config
from ecommerce_lakehouse.observability.metrics_export import job
from ecommerce_lakehouse.observability.metrics_export.export import export_metrics
from ecommerce_lakehouse.observability.metrics_export.failures import ExportError
from ecommerce_lakehouse.observability.metrics_export.migrations import FOLDER, migrate, migrations
from lakerun.tables.storage import Storage
from tests.integration.postgres import PASSWORD, SCHEMA, Database
from tests.integration.recorded_updates import Recorder, differences, gold, gold_of_batches

LOG = "event_log_medallion_dlt_pipeline"
TABLES = (
    "schema_migrations",
    "pipeline_updates",
    "dataset_metrics",
    "expectation_metrics",
    "resource_metrics",
    "business_daily_metrics",
    "business_order_metrics",
)


@pytest.fixture
def storage(database: Database) -> Storage:
    return Storage.default()


@pytest.fixture
def recorder(storage: Storage) -> Recorder:
    return Recorder(storage)


@pytest.fixture
def config(database: Database) -> LakehouseConfig:
    return get_config("local")


def row_versions(database: Database) -> dict[str, dict[str, str]]:
    """Where each row is and which transaction wrote it; a row that is written again moves."""
    return {table: dict(database.rows(f"SELECT ctid::text, xmin::text FROM {table}")) for table in TABLES}


# What is exported ------------------------------------------------------------------------------------------


def test_the_database_holds_what_sql_over_the_event_log_gives(
    recorder: Recorder, storage: Storage, database: Database, config: LakehouseConfig
) -> None:
    for state in ("COMPLETED", "FAILED", "CANCELED", None, "COMPLETED"):
        recorder.record(state)
    features = Recorder(storage, "ml_features_pipeline", seed=2)
    features.record()
    assert export_metrics(config).updates == 6
    assert differences(storage, database, LOG, "event_log_ml_features_pipeline") == []
    assert {row[0] for row in database.rows("SELECT lakehouse FROM pipeline_updates")} == {"local.data_eng"}


def test_an_update_that_failed_says_what_failed_and_counts_its_datasets(
    recorder: Recorder, database: Database, config: LakehouseConfig
) -> None:
    recorder.record("FAILED", message="Flow 'gold' failed: it's \0 \"broken\"; DROP TABLE x")
    export_metrics(config)
    found = database.rows(
        "SELECT state, datasets_completed, datasets_failed, error_message, cause, full_refresh, "
        "duration_seconds = extract(epoch FROM ended_at - started_at) FROM pipeline_updates"
    )
    message = "Flow 'gold' failed: it's  \"broken\"; DROP TABLE x"
    assert found == [("FAILED", 2, 1, message, "USER_ACTION", True, True)]


def test_the_failure_rate_is_a_share_and_unknown_without_records(
    recorder: Recorder, database: Database, config: LakehouseConfig
) -> None:
    recorder.record()
    export_metrics(config)
    for passed, failed, rate in database.rows(
        "SELECT passed_records, failed_records, failure_rate FROM expectation_metrics"
    ):
        assert rate == (pytest.approx(failed / (passed + failed)) if passed + failed else None)


def test_the_order_batches_have_business_metrics_of_their_own(
    storage: Storage, database: Database, config: LakehouseConfig
) -> None:
    gold_of_batches(storage, [4, 5])
    assert export_metrics(config).days == 2
    gold_of_batches(storage, [5, 6])  # 5 March is gone, 7 March is new
    assert export_metrics(config).days == 2
    assert database.rows(
        "SELECT metric_date, orders, items_sold, revenue, average_order_value, active_customers, "
        "unearning_orders, unearning_share FROM business_order_metrics ORDER BY 1"
    ) == [
        (date(2024, 3, 6), 6, 10, Decimal("5.50"), Decimal("1.10"), 5, 2, 0.25),
        (date(2024, 3, 7), 7, 12, Decimal("6.50"), Decimal("1.10"), 6, 2, 0.25),
    ]
    assert database.rows("SELECT count(*) FROM business_daily_metrics") == [(0,)]


def test_business_metrics_are_those_of_gold_as_it_is_now(
    storage: Storage, database: Database, config: LakehouseConfig
) -> None:
    gold(storage, [0, 1, 2])
    assert export_metrics(config).days == 3
    assert database.rows(
        "SELECT metric_date, orders, units, revenue, average_order_value, active_customers, "
        "cancelled_orders, returned_orders, lost_value, active_customers_7d, revenue_7d "
        "FROM business_daily_metrics WHERE metric_date = '2024-03-03'"
    ) == [
        (
            date(2024, 3, 3), 3, 6, Decimal("2.50"), Decimal("12.34"), 2, 1, 2, Decimal("9.99"), 14,
            Decimal("140.00"),
        )
    ]  # fmt: skip
    gold(storage, [1, 2, 3], factor=10)  # 1 March is gone, 2 and 3 March have changed, 4 March is new
    assert export_metrics(config).days == 4
    assert database.rows("SELECT metric_date, revenue FROM business_daily_metrics ORDER BY 1") == [
        (date(2024, 3, 2), Decimal("10.50")),
        (date(2024, 3, 3), Decimal("20.50")),
        (date(2024, 3, 4), Decimal("30.50")),
    ]


def test_two_lakehouses_share_a_database(
    recorder: Recorder, storage: Storage, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder.record()
    gold(storage, [0])
    export_metrics(get_config("local"))
    Recorder(storage, schema="other", seed=5).record()
    gold(storage, [0, 1], schema="other")
    monkeypatch.setenv("SCHEMA_NAME", "other")
    export_metrics(get_config("local"))
    count = "SELECT lakehouse, count(*) FROM {} GROUP BY 1 ORDER BY 1"
    assert database.rows(count.format("pipeline_updates")) == [("local.data_eng", 1), ("local.other", 1)]
    assert database.rows(count.format("business_daily_metrics")) == [
        ("local.data_eng", 1),
        ("local.other", 2),
    ]


# Repeats ---------------------------------------------------------------------------------------------------


def test_a_repeat_changes_nothing_and_a_new_update_adds_only_itself(
    recorder: Recorder, storage: Storage, database: Database, config: LakehouseConfig
) -> None:
    recorder.record()
    recorder.record("FAILED")
    gold(storage, [0, 1])
    export_metrics(config)
    before = row_versions(database)
    done = export_metrics(config)
    assert (done.updates, done.days, done.migrations) == (0, 0, 0)
    assert row_versions(database) == before
    recorder.record()
    assert export_metrics(config).updates == 1
    after = row_versions(database)
    for table in TABLES:
        assert before[table].items() <= after[table].items(), table
    assert len(after["pipeline_updates"]) == 3


def test_an_update_that_goes_on_after_its_export_is_completed_by_the_next(
    recorder: Recorder, storage: Storage, database: Database, config: LakehouseConfig
) -> None:
    killed = recorder.record(None)
    recorder.record()
    export_metrics(config)
    state = f"SELECT state, ended_at IS NULL FROM pipeline_updates WHERE update_id = '{killed}'"
    assert database.rows(state) == [("RUNNING", True)]
    recorder.close_killed(killed)
    assert export_metrics(config).updates == 1
    assert database.rows(state) == [("FAILED", False)]
    assert differences(storage, database, LOG) == []


def test_rows_deleted_from_the_database_come_back(
    recorder: Recorder, storage: Storage, database: Database, config: LakehouseConfig
) -> None:
    recorder.record()
    recorder.record()
    export_metrics(config)
    with database.connect() as connection:
        connection.execute("DELETE FROM pipeline_updates WHERE update_id LIKE '%1'")
    assert differences(storage, database, LOG) != []
    assert export_metrics(config).updates == 1
    assert differences(storage, database, LOG) == []


def test_exports_at_the_same_time_do_not_disturb_each_other(
    recorder: Recorder, storage: Storage, database: Database, config: LakehouseConfig
) -> None:
    for _ in range(4):
        recorder.record()
    gold(storage, [0, 1, 2])
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: export_metrics(config), range(4)))
    assert sum(done.migrations for done in found) == len(migrations())
    assert [done.attempts for done in found] == [1, 1, 1, 1]
    assert differences(storage, database, LOG) == []


# Migrations ------------------------------------------------------------------------------------------------


def folder_with(path: Path, **files: str) -> Path:
    path.mkdir(exist_ok=True)
    for name, text in files.items():
        (path / f"{name.removeprefix('m')}.sql").write_text(text, encoding="utf-8")
    migrations.cache_clear()
    return path


def test_migrations_run_in_order_and_once(database: Database, tmp_path: Path) -> None:
    folder = folder_with(
        tmp_path / "sql",
        m0001_first="CREATE TABLE a (x int); INSERT INTO a VALUES (1);",
        m0002_second="ALTER TABLE a ADD COLUMN y int DEFAULT 5;",
    )
    with database.connect() as connection:
        assert [item.version for item in migrate(connection, SCHEMA, folder)] == [1, 2]
        assert migrate(connection, SCHEMA, folder) == []
        folder_with(folder, m0003_third="UPDATE a SET y = x + y;")
        assert [item.name for item in migrate(connection, SCHEMA, folder)] == ["third"]
        assert migrate(connection, SCHEMA, folder) == []
    assert database.rows("SELECT x, y FROM a") == [(1, 6)]
    assert database.rows("SELECT version, name FROM schema_migrations ORDER BY 1") == [
        (1, "first"),
        (2, "second"),
        (3, "third"),
    ]


def test_a_migration_that_fails_leaves_nothing_of_any_migration(database: Database, tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "sql", m0001_good="CREATE TABLE a (x int)", m0002_bad="CREATE TABLE ;")
    with database.connect() as connection:
        with pytest.raises(psycopg.errors.SyntaxError):
            migrate(connection, SCHEMA, folder)
        assert connection.execute("SELECT to_regnamespace(%s)", (SCHEMA,)).fetchone() == (None,)


def test_a_migration_that_changed_or_is_unknown_is_refused(database: Database, tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "sql", m0001_one="CREATE TABLE a (x int)", m0002_two="CREATE TABLE b ()")
    with database.connect() as connection:
        migrate(connection, SCHEMA, folder)
        folder_with(folder, m0001_one="CREATE TABLE a (x bigint)")
        with pytest.raises(ExportError, match=r"^migration 0001_one has changed since schema \w+ applied it"):
            migrate(connection, SCHEMA, folder)
        older = folder_with(tmp_path / "older", m0001_one="CREATE TABLE a (x int)")
        with pytest.raises(ExportError, match=r"has migration 0002_two, which this version lacks"):
            migrate(connection, SCHEMA, older)
        gap = folder_with(tmp_path / "gap", m0001_one="SELECT 1", m0003_three="SELECT 1")
        with pytest.raises(ExportError, match=r"0003_three\.sql should be called 0002_<name>\.sql"):
            migrate(connection, SCHEMA, gap)


def test_a_role_that_may_not_create_schemas_uses_the_one_made_for_it(
    recorder: Recorder, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder.record()
    with database.connect() as connection:
        connection.execute("DROP ROLE IF EXISTS exporter")
        connection.execute("CREATE ROLE exporter LOGIN PASSWORD 'other'")
        monkeypatch.setenv("POSTGRES_USER", "exporter")
        monkeypatch.setenv("POSTGRES_PASSWORD", "other")
        with pytest.raises(ExportError, match=r"^permission denied for database postgres$"):
            export_metrics(get_config("local"))
        connection.execute(f"CREATE SCHEMA {SCHEMA} AUTHORIZATION exporter".encode())
        assert export_metrics(get_config("local")).updates == 1


def test_every_migration_of_the_package_is_in_its_folder() -> None:
    assert [item.version for item in migrations(FOLDER)] == list(range(1, len(migrations(FOLDER)) + 1))


# Commands --------------------------------------------------------------------------------------------------


def test_the_task_says_what_it_exported_and_then_that_nothing_is_new(
    recorder: Recorder, storage: Storage, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder.record()
    gold(storage, [0, 1])
    arguments = ["--environment", "local", "--catalog", "", "--schema", "data_eng"]
    job.main(arguments)
    job.main(arguments)
    first, second = capsys.readouterr().out.splitlines()
    place = f"127.0.0.1, schema {SCHEMA} of {database.name}"
    assert first.startswith("exported 1 update and 2 days of business metrics in ")
    assert first.endswith(f" s to {place}")
    assert second == f"metrics are up to date on {place}"


def test_the_command_line_exports_and_prints_json(recorder: Recorder, database: Database) -> None:
    recorder.record()
    result = CliRunner().invoke(command_line(), ["metrics", "export", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["configured"], found["updates"], found["attempts"]) == (True, 1, 1)


def test_without_a_host_nothing_is_exported_and_nothing_is_started(home: Path) -> None:
    code = (
        "import sys; from ecommerce_lakehouse.observability.metrics_export.job import main;"
        "main(['--environment', 'local']);"
        "print(sorted({'pyspark', 'psycopg', 'deltalake'} & sys.modules.keys()))"
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith("POSTGRES_")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (done.stdout.splitlines(), done.stderr) == ([job.NOT_CONFIGURED, "[]"], "")


def test_an_export_on_a_laptop_starts_no_spark(recorder: Recorder, database: Database) -> None:
    recorder.record()
    code = (
        "import sys; from ecommerce_lakehouse.observability.metrics_export.job import main;"
        "main(['--environment', 'local']); print('pyspark' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    said, spark = done.stdout.splitlines()
    assert said.startswith("exported 1 update")
    assert (spark, done.stderr) == ("False", "")
    assert PASSWORD not in done.stdout

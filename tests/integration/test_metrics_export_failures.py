"""PostgreSQL down, killed, hanging or wrong: no job fails, no row is lost or repeated, no secret is shown."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from ecommerce_lakehouse.cli.main import command_line
from ecommerce_lakehouse.config import LakehouseConfig, get_config
from ecommerce_lakehouse.config.validate import problems_of
from ecommerce_lakehouse.observability.metrics_export import export as exporting
from ecommerce_lakehouse.observability.metrics_export import job
from ecommerce_lakehouse.observability.metrics_export.database import password_of
from ecommerce_lakehouse.observability.metrics_export.export import export_metrics
from ecommerce_lakehouse.observability.metrics_export.failures import ExportError
from lakerun.tables.storage import Storage
from tests.integration.postgres import PASSWORD, Database, PostgresServer, free_port
from tests.integration.postgres_proxy import PostgresProxy, certificate_for
from tests.integration.recorded_updates import Recorder, differences, gold

LOG = "event_log_medallion_dlt_pipeline"


@pytest.fixture
def storage(database: Database) -> Storage:
    return Storage.default()


@pytest.fixture
def recorder(storage: Storage) -> Recorder:
    return Recorder(storage)


@pytest.fixture
def proxy(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresProxy]:
    """The way to the server that the settings name."""
    found = PostgresProxy(database.server.port)
    monkeypatch.setenv("POSTGRES_PORT", str(found.port))
    yield found
    found.close()


def local(**changes: object) -> LakehouseConfig:
    return get_config("local").model_copy(update=changes)


def run_job(monkeypatch: pytest.MonkeyPatch, config: LakehouseConfig) -> float:
    """The job's task with these settings; returns the seconds that it took. Whatever happens, it returns."""
    monkeypatch.setattr(job, "config_from", lambda arguments: config)
    began = time.monotonic()
    job.main(["--environment", "local"])
    return time.monotonic() - began


def away(server: PostgresServer, seconds: float, *, kill: bool) -> threading.Thread:
    """Kill the server now; the returned thread starts it again."""
    if kill:
        server.kill()
    else:
        server.crash()

    def back() -> None:
        time.sleep(seconds)
        server.start()

    thread = threading.Thread(target=back)
    thread.start()
    return thread


# Killed ----------------------------------------------------------------------------------------------------


def test_a_server_killed_and_restarted_in_the_middle_of_an_export_has_only_whole_updates(
    recorder: Recorder,
    storage: Storage,
    database: Database,
    proxy: PostgresProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exporting, "UPDATES_AT_ONCE", 2)
    for _ in range(6):
        recorder.record()
    gold(storage, range(10))
    seen: list[int] = []
    threads = []

    def strike() -> None:
        seen.append(len(database.rows("SELECT FROM pipeline_updates")))
        threads.append(away(database.server, 0.7, kill=True))

    retries: list[str] = []
    proxy.after(18_000, strike)
    done = export_metrics(local(), on_retry=retries.append)
    threads[0].join()
    assert 0 < seen[0] < 6  # some were there, some were not
    assert done.attempts == len(retries) + 1 >= 2
    assert done.updates == 6
    assert differences(storage, database, LOG) == []
    assert database.rows("SELECT count(*) FROM business_daily_metrics") == [(10,)]


@pytest.mark.parametrize("updates", [6, pytest.param(20, marks=pytest.mark.slow)])
def test_a_server_killed_at_random_moments_still_ends_with_all_of_the_event_log(
    recorder: Recorder,
    storage: Storage,
    database: Database,
    proxy: PostgresProxy,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    updates: int,
) -> None:
    chance = random.Random(20)
    struck = 0
    threads: list[threading.Thread] = []

    def strike() -> None:
        nonlocal struck
        struck += 1
        threads.append(away(database.server, chance.uniform(0, 1.5), kill=chance.random() < 0.5))

    # So short that some exports give up: the ones after them have to make up for it.
    config = local(postgres_budget_seconds=1)
    for number in range(updates):
        killed = recorder.record(chance.choice(["COMPLETED", "FAILED", None]))
        if chance.random() < 0.5:
            recorder.close_killed(killed)
        gold(storage, range(number + 1))
        proxy.after(chance.randrange(200, 9_000), strike)
        assert run_job(monkeypatch, config) < 10
        for thread in threads:
            thread.join()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == updates
    assert struck >= updates // 2
    assert any(line.startswith("WARNING: metrics not exported: ") for line in lines)
    assert any(line.startswith("exported ") for line in lines)
    proxy.after(10**9, strike)
    assert run_job(monkeypatch, local()) < 10
    assert differences(storage, database, LOG) == []
    assert database.rows("SELECT count(*), count(DISTINCT update_id) FROM pipeline_updates") == [
        (updates, updates)
    ]
    assert database.rows("SELECT count(*) FROM business_daily_metrics") == [(updates,)]


# Down, hanging, slow ---------------------------------------------------------------------------------------


def test_a_server_that_is_down_costs_no_more_than_the_budget_and_the_next_export_catches_up(
    recorder: Recorder,
    storage: Storage,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recorder.record()
    nowhere = local(postgres_port=free_port(), postgres_budget_seconds=2)
    assert run_job(monkeypatch, nowhere) < 3
    said = capsys.readouterr()
    assert re.fullmatch(
        r"WARNING: metrics not exported: connection to server at \"127\.0\.0\.1\", port \d+ failed: "
        r"Connection refused \([2-9] attempts in \d s\); the next export catches up\n",
        said.out,
    )
    assert said.err.count("trying again in") == said.err.count("\n") >= 1
    assert export_metrics(local()).updates == 1
    assert differences(storage, database, LOG) == []


def test_the_command_line_exits_with_1_if_the_server_is_down(
    recorder: Recorder, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ecommerce_lakehouse.config.get_config", lambda env: local(
        postgres_port=free_port(), postgres_budget_seconds=1))  # fmt: skip
    result = CliRunner().invoke(command_line(), ["metrics", "export"])
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("Error: metrics not exported: connection to server at ")


def test_a_server_that_accepts_and_never_answers_is_given_up(
    recorder: Recorder,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recorder.record()
    database.server.freeze()
    try:
        config = local(postgres_connect_timeout_seconds=2, postgres_budget_seconds=3)
        assert run_job(monkeypatch, config) < 6
    finally:
        database.server.thaw()
    assert "WARNING: metrics not exported: connection timeout expired" in capsys.readouterr().out


def test_a_server_that_hangs_in_the_middle_is_cut_off_at_the_end_of_the_budget(
    recorder: Recorder,
    storage: Storage,
    database: Database,
    proxy: PostgresProxy,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recorder.record()
    proxy.after(4_000, database.server.freeze)
    try:
        assert 2 < run_job(monkeypatch, local(postgres_budget_seconds=3)) < 5
    finally:
        database.server.thaw()
    assert "WARNING: metrics not exported: " in capsys.readouterr().out
    assert export_metrics(local()).updates == 1
    assert differences(storage, database, LOG) == []


def test_a_statement_that_takes_too_long_is_tried_again(
    recorder: Recorder, storage: Storage, database: Database
) -> None:
    recorder.record()
    export_metrics(local())
    recorder.record()
    retries: list[str] = []
    with database.connect() as other:
        other.autocommit = False
        other.execute("LOCK TABLE dataset_metrics")

        def release(line: str) -> None:
            retries.append(line)
            other.rollback()

        done = export_metrics(local(postgres_statement_timeout_seconds=1), on_retry=release)
    assert [line.split(";")[0] for line in retries] == ["canceling statement due to statement timeout"]
    assert (done.updates, done.attempts) == (1, 2)
    assert differences(storage, database, LOG) == []


# Wrong settings and secrets --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        (
            "POSTGRES_PASSWORD",
            "hunter2 is wrong",
            'password authentication failed for user "lakehouse_metrics"',
        ),
        ("POSTGRES_DATABASE", "nowhere", 'database "nowhere" does not exist'),
    ],
)
def test_a_permanent_error_is_one_line_at_once(
    recorder: Recorder,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, value)
    assert run_job(monkeypatch, local()) < 2
    found = capsys.readouterr()
    (line,) = found.out.splitlines()
    assert line.startswith("WARNING: metrics not exported: connection to server at ")
    assert said in line
    assert found.err == ""
    assert "hunter2" not in line


def test_no_output_of_any_kind_holds_the_password(
    recorder: Recorder, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every kind of output, in a process of its own, with a server that works and one that does not."""
    recorder.record()
    code = (
        "import faulthandler, logging, traceback\n"
        "logging.basicConfig(level=logging.DEBUG)\n"
        "from ecommerce_lakehouse.config import get_config\n"
        "from ecommerce_lakehouse.observability.metrics_export import database, export, job\n"
        "import time\n"
        "config = get_config('local').model_copy(update={'postgres_budget_seconds': 1})\n"
        "password = database.password_of(config)\n"
        "print(config, repr(config), config.model_dump_json(), password, repr(password))\n"
        "try:\n"
        "    with database.connected(config, password, time.monotonic() + 5) as c: print(c, [c], c.info)\n"
        "except Exception as error: traceback.print_exception(error)\n"
        "try: print(export.export_metrics(config))\n"
        "except Exception as error: traceback.print_exception(error); print(repr(error), error.__context__)\n"
        "job.config_from = lambda arguments: config\n"
        "job.main(['--environment', 'local'])\n"
    )
    up, down = str(database.server.port), str(free_port())
    for port, password in ((up, PASSWORD), (up, "wrong but secret"), (down, PASSWORD)):
        monkeypatch.setenv("POSTGRES_PORT", port)
        monkeypatch.setenv("POSTGRES_PASSWORD", password)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout
        assert password not in done.stdout + done.stderr


def test_a_url_in_place_of_the_host_is_refused_without_showing_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POSTGRES_HOST", "postgres://user:hunter2@db.example.com/metrics")
    with pytest.raises(SystemExit) as stopped:
        job.main(["--environment", "local"])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("export_metrics: POSTGRES_HOST: postgres_host: String should match pattern")
    assert "hunter2" not in said
    (problem,) = problems_of("prod")
    assert (problem.source, problem.field) == ("POSTGRES_HOST", "postgres_host")
    assert "hunter2" not in str(problem)


def test_an_unexpected_error_is_a_warning_with_its_location(
    recorder: Recorder,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(config: LakehouseConfig) -> None:
        raise RuntimeError(f"could not do it with {PASSWORD}")

    monkeypatch.setattr(exporting, "lakehouse_of", broken)
    run_job(monkeypatch, local())
    (line,) = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"WARNING: metrics not exported: unexpected RuntimeError in test_\w+\.py, line \d+; "
        r"the next export catches up",
        line,
    )


# TLS -------------------------------------------------------------------------------------------------------


def test_a_verified_server_is_exported_to_and_any_other_is_not(
    recorder: Recorder, storage: Storage, database: Database, tmp_path: Path
) -> None:
    recorder.record()
    authority, *own = certificate_for("127.0.0.1", tmp_path / "right")
    other_authority, *of_other_host = certificate_for("db.example.com", tmp_path / "other")
    right, wrong_host = (
        PostgresProxy(database.server.port, tuple(files))  # type: ignore[arg-type]
        for files in (own, of_other_host)
    )

    def refused(port: int, trusted: Path) -> str:
        with pytest.raises(ExportError) as raised:
            export_metrics(verified(port, trusted))
        return str(raised.value)

    def verified(port: int, trusted: Path) -> LakehouseConfig:
        return local(postgres_port=port, postgres_sslmode="verify-full", postgres_sslrootcert=str(trusted))

    try:
        assert "certificate verify failed" in refused(right.port, other_authority)
        assert 'server certificate for "db.example.com"' in refused(wrong_host.port, other_authority)
        assert "does not support SSL" in refused(database.server.port, authority)
        assert "does not exist" in refused(right.port, tmp_path / "nothing.pem")
        assert export_metrics(verified(right.port, authority)).updates == 1
        assert (right.tls, wrong_host.tls) == (1, 1)
    finally:
        right.close()
        wrong_host.close()
    assert differences(storage, database, LOG) == []


def test_outside_a_laptop_the_server_is_verified_by_default() -> None:
    modes = {name: get_config(name).postgres_sslmode for name in ("local", "dev", "staging", "prod")}
    assert modes == {
        "local": "prefer", "dev": "verify-full", "staging": "verify-full", "prod": "verify-full"
    }  # fmt: skip


def test_on_databricks_the_password_comes_from_the_secret_scope_and_its_absence_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Databricks' own module exists only there; only that is replaced here."""
    monkeypatch.delenv("POSTGRES_PASSWORD", raising=False)
    secrets = {("ecommerce_lakehouse", "postgres_password"): "from the scope"}

    class Utilities:
        def __init__(self, spark: object) -> None:
            self.secrets = SimpleNamespace(get=lambda scope, key: secrets[scope, key])

    monkeypatch.setitem(sys.modules, "pyspark.dbutils", SimpleNamespace(DBUtils=Utilities))
    config = local(on_databricks=True, tables_root=None)
    found = password_of(config)
    assert found is not None
    assert found.get_secret_value() == "from the scope"
    assert "from the scope" not in f"{found} {found!r}"
    secrets.clear()
    with pytest.raises(ExportError, match=r"^secret 'postgres_password' of scope '\w+' cannot be read"):
        password_of(config)
    monkeypatch.setenv("POSTGRES_PASSWORD", "from the variable")
    assert (password := password_of(config)) is not None
    assert password.get_secret_value() == "from the variable"

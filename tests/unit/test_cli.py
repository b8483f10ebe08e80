"""The `lakehouse` command without Spark: what it prints, where, and with which exit code."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner, Result
from unit import cli_data

from ecommerce_lakehouse import __version__
from ecommerce_lakehouse.cli.main import command_line
from lakerun.tables.storage import Storage

ROOT = Path(__file__).parents[2]
COMMANDS = ["run", "list", "tables", "show", "sql", "events", "config", "clean"]

BUNDLE = """
bundle:
  name: ecommerce_lakehouse
variables:
  environment: {default: dev}
  catalog: {default: c}
  schema: {default: data_eng}
  volume: {default: data}
targets:
  dev:
    mode: development
    default: true
  prod:
    mode: production
resources:
  jobs:
    nightly:
      name: nightly
      description: Everything, every night
      parameters:
        - {name: environment, default: "${var.environment}"}
      schedule: {quartz_cron_expression: "0 0 3 * * ?", timezone_id: UTC, pause_status: PAUSED}
      tasks:
        - task_key: medallion
          pipeline_task:
            pipeline_id: ${resources.pipelines.medallion_dlt_pipeline.id}
  pipelines:
    medallion_dlt_pipeline:
      name: medallion_dlt_pipeline
      catalog: ${var.catalog}
      schema: ${var.schema}
      libraries:
        - file: {path: ./counted.py}
      event_log: {catalog: main_dev, schema: data_eng, name: event_log_medallion_dlt_pipeline}
    quiet:
      name: quiet
      catalog: ${var.catalog}
      schema: ${var.schema}
      libraries:
        - file: {path: ./counted.py}
"""


@pytest.fixture
def storage(home: Path) -> Storage:
    """A data folder with four orders and the events of two updates."""
    storage = Storage(home)
    cli_data.table(storage, "silver_orders", cli_data.orders(), description="Valid orders")
    cli_data.table(storage, "event_log_medallion_dlt_pipeline", cli_data.event_log())
    return storage


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small bundle in the working directory."""
    root = tmp_path / "project"
    (root / "deeper").mkdir(parents=True)
    (root / "databricks.yml").write_text(BUNDLE, encoding="utf-8")
    (root / "counted.py").write_text("", encoding="utf-8")
    monkeypatch.chdir(root)
    return root


def lakehouse(*arguments: str, **options: Any) -> Result:
    return CliRunner().invoke(command_line(), list(arguments), **options)


def as_json(*arguments: str) -> Any:
    """What the command prints with --json; the test fails unless that is all it prints."""
    result = lakehouse(*arguments, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout)


def error_of(code: int, *arguments: str) -> str:
    """The one line with which the command fails."""
    result = lakehouse(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    return line.removeprefix("Error: ")


# The command itself ---------------------------------------------------------------------------------


def test_the_version_is_the_packages() -> None:
    assert lakehouse("--version").stdout == f"lakehouse {__version__}\n"


def test_help_names_every_command() -> None:
    for arguments in ((), ("--help",)):
        result = lakehouse(*arguments)
        assert result.exit_code == 0
        assert [name for name in COMMANDS if name not in result.stdout] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_commands_help_has_examples(command: str) -> None:
    text = lakehouse(command, "--help").stdout
    assert "Examples:" in text
    assert f"lakehouse {command}" in text.split("Examples:")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rnu",), "Unknown command 'rnu'. Did you mean 'run'? Valid: run, "),
        (("run",), "Missing argument 'name'. See: lakehouse run --help"),
        (("tables", "--jsno"), "No such option: --jsno"),
        (("sql", "SELECT 1", "--format", "xml"), "Invalid value for '--format'"),
        (("sql",), "Give one statement"),
        (("sql", "SELECT 1", "-f", "x.sql"), "Give one statement"),
        (("sql", "-f", "missing.sql"), "missing.sql cannot be read: No such file or directory."),
        (("show", "x", "--schema", "--history"), "Give --schema or --history, not both."),
        (
            ("config", "--env", "production"),
            "Unknown environment 'production'. Valid environments: local,",
        ),
        (("sql", "SELECT 1", "--env", "live"), "Unknown environment 'live'"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    home: Path, arguments: tuple[str, ...], message: str
) -> None:
    assert message in error_of(2, *arguments)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("run med", {"medallion_dlt_pipeline"}),
        ("run n", {"nightly"}),
        ("events q", {"quiet"}),
        ("show silver", {"silver_orders"}),
        ("config --env s", {"staging"}),
    ],
)
def test_the_shell_completes_names(storage: Storage, project: Path, typed: str, expected: set[str]) -> None:
    words = f"lakehouse {typed}"
    variables = {
        "_LAKEHOUSE_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    result = CliRunner().invoke(command_line(), [], prog_name="lakehouse", env=variables)
    assert set(result.stdout.split()) == expected


def test_an_unexpected_error_is_one_line_with_the_log_that_has_its_trace(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the disk\nis on fire")

    monkeypatch.setattr("lakerun.tables.table_info.table_info", broken)
    log = storage.logs_root / "lakehouse.log"
    assert error_of(1, "tables") == f"Unexpected RuntimeError: the disk. Details: {log}"
    assert "in broken" in log.read_text(encoding="utf-8")


def test_ctrl_c_ends_with_130(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lakerun.tables.table_info.table_info", interrupted)
    assert error_of(130, "tables") == "Interrupted."


def test_looking_needs_neither_spark_nor_pandas(storage: Storage, project: Path) -> None:
    code = """
import sys
from typer.testing import CliRunner
from ecommerce_lakehouse.cli.main import command_line
for line in sys.argv[1:]:
    result = CliRunner().invoke(command_line(), line.split("|"))
    assert result.exit_code == 0, result.output
print(sorted(set(sys.modules) & {"pyspark", "pandas", "py4j"}))
"""
    lines = [
        "--help",
        "list",
        "tables",
        "show|silver_orders",
        "show|silver_orders|--history",
        "sql|SELECT * FROM silver_orders",
        "events|medallion_dlt_pipeline",
        "config",
    ]
    done = subprocess.run([sys.executable, "-c", code, *lines], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.strip() == "[]"


def test_help_loads_nothing_heavy() -> None:
    code = """
import sys
from typer.testing import CliRunner
from ecommerce_lakehouse.cli.main import command_line
assert CliRunner().invoke(command_line(), ["--help"]).exit_code == 0
heavy = {"pyspark", "pandas", "numpy", "pyarrow", "deltalake", "duckdb", "sqlglot", "pydantic", "yaml"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.strip() == "[]"


# list -----------------------------------------------------------------------------------------------


def test_list_shows_jobs_and_pipelines_of_the_target(home: Path, project: Path) -> None:
    found = as_json("list", "--env", "staging", "--target", "prod")
    assert (found["bundle"], found["target"]) == ("ecommerce_lakehouse", "prod")
    (job,) = found["jobs"]
    assert job["description"] == "Everything, every night"
    assert job["parameters"] == {"environment": "staging"}
    assert job["schedule"] == "0 0 3 * * ? UTC (paused)"
    assert [(p["name"], p["catalog"]) for p in found["pipelines"]] == [
        ("medallion_dlt_pipeline", "staging"),
        ("quiet", "staging"),
    ]
    text = lakehouse("list").stdout
    assert "nightly" in text
    assert "bundle ecommerce_lakehouse, target dev" in text


def test_the_bundle_is_found_from_a_folder_below(
    home: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project / "deeper")
    assert as_json("list")["bundle"] == "ecommerce_lakehouse"


def test_outside_a_project_one_line_says_so(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "There is no databricks.yml" in error_of(2, "list")


def test_an_unknown_target_lists_the_valid_ones(home: Path, project: Path) -> None:
    assert error_of(2, "list", "-t", "prd") == "Unknown target 'prd'. Did you mean 'prod'? Valid: prod, dev."


def test_a_mistake_in_the_bundle_is_one_line(home: Path, project: Path) -> None:
    (project / "databricks.yml").write_text("bundle: [}", encoding="utf-8")
    assert error_of(2, "list").startswith("databricks.yml:1: YAML syntax error")


# tables ---------------------------------------------------------------------------------------------


def test_tables_lists_layer_rows_size_and_comment(storage: Storage) -> None:
    log, orders = as_json("tables")
    assert (log["layer"], log["rows"]) == ("event log", 10)
    assert orders["name"] == "main_dev.data_eng.silver_orders"
    assert (orders["layer"], orders["rows"], orders["version"]) == ("silver", 4, 0)
    assert orders["comment"] == "Valid orders"
    assert orders["last_modified"].endswith("Z")
    text = lakehouse("tables").stdout
    assert text.index("silver_orders") < text.index("event_log_medallion")  # by layer
    assert "all in main_dev.data_eng" in text


def test_without_tables_the_next_step_is_named(home: Path) -> None:
    assert "lakehouse run e2e_pipeline_job" in lakehouse("tables").stdout
    assert as_json("tables") == []


# show -----------------------------------------------------------------------------------------------


def test_show_prints_rows_that_people_can_read(storage: Storage) -> None:
    text = lakehouse("show", "silver_orders").stdout
    assert "2024-03-02 12:59:59" in text
    assert "caf\\xe9" in text  # bytes that are not UTF-8
    assert '["new", "gift"]' in text
    assert text.rstrip().endswith("4 rows")


def test_show_limits_rows_and_columns(storage: Storage) -> None:
    assert as_json("show", "silver_orders", "-n", "1", "-c", "price, order_id") == [
        {"price": 10.5, "order_id": "o1"}
    ]
    text = lakehouse("show", "silver_orders", "-n", "3").stdout
    assert "3 rows, and there are more (--limit)" in text


def test_show_as_json_keeps_every_type(storage: Storage) -> None:
    first, second, _, last = as_json("show", "silver_orders")
    assert first == {
        "order_id": "o1",
        "customer_id": "c1",
        "price": 10.5,
        "quantity": 2,
        "order_timestamp": "2024-03-01T12:00:00Z",
        "order_date": "2024-03-01",
        "raw_line": '{"a": 1}',
        "tags": ["new", "gift"],
        "ship": {"city": "Lyon"},
    }
    assert second["ship"] == {"city": None}
    assert (last["customer_id"], last["order_timestamp"], last["raw_line"]) == (None, None, None)


def test_show_schema_and_history(storage: Storage) -> None:
    schema = {column["name"]: column["type"] for column in as_json("show", "silver_orders", "--schema")}
    assert schema["price"] == "decimal(10,2)"
    cli_data.table(storage, "silver_orders", cli_data.orders(), mode="append")
    versions = as_json("show", "silver_orders", "--history")
    assert [(v["version"], v["operation"]) for v in versions] == [(1, "WRITE"), (0, "WRITE")]
    assert "num_added_rows 4" in lakehouse("show", "silver_orders", "--history").stdout


def test_an_unknown_table_or_column_names_the_closest(storage: Storage) -> None:
    assert error_of(2, "show", "silver_ordrs").startswith(
        "Unknown table 'silver_ordrs'. Did you mean 'silver_orders'?"
    )
    assert "Did you mean 'price'?" in error_of(2, "show", "silver_orders", "-c", "prize")


def test_control_characters_in_raw_input_do_not_reach_the_terminal(storage: Storage) -> None:
    cli_data.table(storage, "bronze_raw", pa.table({"raw_line": [b"\x1b[31mred\x07", b"[bold]x[/bold]"]}))
    text = lakehouse("show", "bronze_raw").stdout
    assert "\x1b" not in text
    assert "\\x1b[31mred\\x07" in text
    assert "[bold]x[/bold]" in text


# sql ------------------------------------------------------------------------------------------------

COUNT = "SELECT customer_id, count(*) AS orders FROM silver_orders GROUP BY 1 ORDER BY 2 DESC, 1"


def test_sql_prints_a_table_json_or_csv(storage: Storage) -> None:
    assert as_json("sql", COUNT)[0] == {"customer_id": "c1", "orders": 2}
    csv = lakehouse("sql", COUNT, "--format", "csv").stdout
    assert csv.splitlines() == ["customer_id,orders", "c1,2", ",1", "c2,1"]
    assert lakehouse("sql", COUNT).stdout.split("\n")[2].split() == ["c1", "2"]


def test_sql_reads_a_file_or_stdin(storage: Storage, tmp_path: Path) -> None:
    file = tmp_path / "count.sql"
    file.write_text(COUNT, encoding="utf-8")
    expected = lakehouse("sql", COUNT).stdout
    assert lakehouse("sql", "-f", str(file)).stdout == expected
    assert lakehouse("sql", "-", input=COUNT).stdout == expected


def test_sql_without_a_limit_shows_a_hundred_rows_and_gives_scripts_all(storage: Storage) -> None:
    cli_data.table(storage, "many", pa.table({"n": list(range(101))}))
    assert "100 rows, and there are more" in lakehouse("sql", "SELECT n FROM many").stdout
    assert len(as_json("sql", "SELECT n FROM many")) == 101
    assert len(as_json("sql", "SELECT n FROM many", "--limit", "7")) == 7


def test_columns_of_the_same_name_are_all_in_the_json(storage: Storage) -> None:
    assert as_json("sql", "SELECT 1 AS a, 2 AS a") == [[1, 2]]


@pytest.mark.parametrize("name", ["pipeline_updates.sql", "expectation_failures.sql"])
def test_the_monitoring_queries_run_from_their_files(storage: Storage, name: str) -> None:
    assert len(as_json("sql", "-f", str(ROOT / "src" / "sql" / name))) > 0


def test_sql_errors_are_one_line_with_their_place(storage: Storage) -> None:
    assert error_of(2, "sql", "SELECT FROM WHERE").startswith("SQL syntax, line 1, column")
    assert error_of(2, "sql", "DROP TABLE silver_orders").startswith("DROP is refused")
    assert error_of(2, "sql", "SELECT 1 FROM silver_ordrs").endswith("(line 1, column 15)")


# events ---------------------------------------------------------------------------------------------


def messages(*options: str) -> list[str]:
    return [row["message"] for row in as_json("events", "medallion_dlt_pipeline", *options)]


def test_events_come_the_newest_last(storage: Storage, project: Path) -> None:
    assert messages("--limit", "2") == ["Flow 'silver_orders' has FAILED.", "event 1030"]
    assert len(messages()) == 10
    text = lakehouse("events", "medallion_dlt_pipeline").stdout
    assert text.index("event 20") < text.index("event 1030")


def test_events_are_filtered_by_level_type_and_update(storage: Storage, project: Path) -> None:
    assert messages("--level", "warn") == ["Flow 'silver_orders' has FAILED.", "event 1030"]
    assert messages("--type", "create_update") == ["event 0", "event 1000"]
    assert messages("--update", "latest", "--type", "create_update") == ["event 1000"]
    assert messages("--update", "u1", "--type", "flow_progress") == ["event 20", "event 40", "event 41"]


def test_events_as_json_are_the_rows_of_the_table(storage: Storage, project: Path) -> None:
    row = as_json("events", "medallion_dlt_pipeline", "--type", "flow_progress")[-1]
    assert row["origin"]["flow_name"] == "silver_orders"
    assert row["error"]["exceptions"][0]["message"] == "no such thing"
    assert json.loads(row["details"]) == {"flow_progress": {"status": "FAILED"}}
    assert row["timestamp"] == "2024-03-01T12:17:09Z"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("medalion",), 2, "Unknown pipeline 'medalion'. Did you mean 'medallion_dlt_pipeline'?"),
        (("nightly",), 1, "'nightly' is a job; events are kept for each pipeline: medallion_dlt_pipeline"),
        (("medallion_dlt_pipeline", "--level", "WRN"), 2, "Unknown level 'WRN'. Did you mean 'WARN'?"),
        (("medallion_dlt_pipeline", "--type", "flow_progres"), 2, "Did you mean 'flow_progress'?"),
        (("medallion_dlt_pipeline", "--update", "u9"), 2, "Unknown update 'u9'."),
    ],
)
def test_a_wrong_filter_names_the_valid_ones(
    storage: Storage, project: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    assert message in error_of(code, "events", *arguments)


def test_a_pipeline_that_never_ran_has_no_events(home: Path, project: Path) -> None:
    assert as_json("events", "quiet") == []
    assert "no such event" in lakehouse("events", "quiet").stdout


# config ---------------------------------------------------------------------------------------------


def test_config_shows_an_environments_settings(home: Path) -> None:
    prod = as_json("config", "--env", "prod")
    assert (prod["environment"], prod["max_files_per_trigger"]) == ("prod", 1000)
    local = as_json("config")
    assert local["environment"] == "local"
    assert local["data_folder"] == str(home)
    assert "max_files_per_trigger" in lakehouse("config").stdout


def test_a_name_in_the_environment_overrides_the_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEMA_NAME", "dev_ana_data_eng")
    assert as_json("config")["schema"] == "dev_ana_data_eng"


# clean ----------------------------------------------------------------------------------------------


@pytest.fixture
def full(storage: Storage) -> Storage:
    """A data folder with something of every kind."""
    for folder in ("volumes/c/s/v", "pipelines/p", "logs", "scratch"):
        (storage.home / folder).mkdir(parents=True)
        (storage.home / folder / "file").write_text("x", encoding="utf-8")
    return storage


def test_clean_deletes_everything_after_a_yes(full: Storage) -> None:
    assert lakehouse("clean", input="n\n").exit_code == 1
    assert full.tables_root.exists()
    assert lakehouse("clean", input="y\n").exit_code == 0
    assert not full.home.exists()
    assert "There is nothing to delete" in lakehouse("clean", "--yes").stdout


def test_clean_without_an_answer_deletes_nothing(full: Storage) -> None:
    assert lakehouse("clean", input="").exit_code == 1
    assert full.tables_root.exists()


def test_clean_of_tables_takes_their_checkpoints_and_keeps_the_raw_files(full: Storage) -> None:
    assert lakehouse("clean", "--tables", "--yes").exit_code == 0
    assert sorted(path.name for path in full.home.iterdir() if path.is_dir()) == [
        "logs",
        "scratch",
        "volumes",
    ]


def test_clean_of_data_keeps_the_tables(full: Storage) -> None:
    assert lakehouse("clean", "--data", "--yes").exit_code == 0
    assert not full.volumes_root.exists()
    assert full.tables_root.exists()


def test_clean_leaves_files_that_are_not_the_lakehouses(full: Storage) -> None:
    (full.home / "notes.txt").write_text("mine", encoding="utf-8")
    assert lakehouse("clean", "--yes").exit_code == 0
    assert [path.name for path in full.home.iterdir()] == ["notes.txt"]


def test_clean_is_refused_while_a_run_goes_on(full: Storage) -> None:
    with full.exclusive("lakehouse run e2e_pipeline_job"):
        message = error_of(3, "clean", "--yes")
    assert "Another run is using" in message
    assert "lakehouse run e2e_pipeline_job" in message
    assert full.tables_root.exists()


# Colours and width ----------------------------------------------------------------------------------


def on_a_terminal(*arguments: str, **variables: str) -> str:
    """The output of the command in a process of its own whose streams are a terminal of 60 columns."""
    leader, follower = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "60", "LINES": "40"} | variables
    code = "from lakerun.cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=environment,
    )
    os.close(follower)
    output = b""
    while True:
        try:
            chunk = os.read(leader, 65536)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        output += chunk
    process.wait()
    os.close(leader)
    return output.decode()


def test_colours_are_for_terminals_and_no_color_is_respected(storage: Storage) -> None:
    assert "\x1b[" not in lakehouse("tables").stdout
    assert "\x1b[" in on_a_terminal("tables")
    assert "\x1b[3" not in on_a_terminal("sql", "SELECT nonsense FROM nowhere", NO_COLOR="1")


def test_columns_that_do_not_fit_a_terminal_are_named_below(storage: Storage) -> None:
    text = on_a_terminal("show", "silver_orders", NO_COLOR="1", TERM="dumb")
    assert "columns that do not fit:" in text
    assert max(len(line) for line in text.splitlines()[:-3]) <= 60

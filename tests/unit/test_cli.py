"""The `lakehouse` command without Spark: what it prints, where, and with which exit code."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ecommerce_lakehouse import __version__
from ecommerce_lakehouse.cli.main import command_line
from lakerun.tables.storage import Storage
from tests.unit.command_line import as_json, error_of, lakehouse

ROOT = Path(__file__).parents[2]
COMMANDS = ["run", "list", "tables", "show", "sql", "events", "config", "clean"]

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

    monkeypatch.setattr("lakerun.tables.delta_table.Table.figures", broken)
    log = storage.logs_root / "lakehouse.log"
    assert error_of(1, "tables") == f"Unexpected RuntimeError: the disk. Details: {log}"
    assert "in broken" in log.read_text(encoding="utf-8")


def test_ctrl_c_ends_with_130(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lakerun.tables.delta_table.Table.figures", interrupted)
    assert error_of(130, "tables") == "Interrupted."


def test_looking_needs_neither_spark_nor_pandas(storage: Storage, project: Path) -> None:
    code = """
import sys
from typer.testing import CliRunner
from ecommerce_lakehouse.cli.main import command_line
for line in sys.argv[1:]:
    result = CliRunner().invoke(command_line(), line.split("|"))
    assert result.exit_code == 0, result.output
print(sorted(set(sys.modules) & {"pyspark", "pandas", "py4j", "psutil"}))
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
heavy |= {"psutil"}
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

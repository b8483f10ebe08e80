"""The command line without Spark and without plugins: output and exit codes."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lakerun import __version__
from lakerun.cli.main import command_line
from lakerun.tables.storage import Storage
from unit.command_line import lakerun

COMMANDS = ["run", "list", "tables", "show", "sql", "events", "validate", "clean"]

# The command itself ---------------------------------------------------------------------------------


def test_version_prints_the_packages_version() -> None:
    assert lakerun("--version").stdout == f"lakerun {__version__}\n"


def test_help_names_every_command() -> None:
    for arguments in ((), ("--help",)):
        result = lakerun(*arguments)
        assert result.exit_code == 0
        assert [name for name in COMMANDS if name not in result.stdout] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_commands_help_has_examples(command: str) -> None:
    text = lakerun(command, "--help").stdout
    assert "Examples:" in text
    assert f"lakerun {command}" in text.split("Examples:")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rnu",), "Unknown command 'rnu'. Did you mean 'run'? Valid: run, "),
        (("run",), "Missing argument 'name'. See: lakerun run --help"),
        (("tables", "--jsno"), "No such option: --jsno"),
        (("sql", "SELECT 1", "--format", "xml"), "Invalid value for '--format'"),
        (("sql",), "Give one statement"),
        (("sql", "SELECT 1", "-f", "x.sql"), "Give one statement"),
        (("sql", "-f", "missing.sql"), "missing.sql cannot be read: No such file or directory."),
        (("show", "x", "--schema", "--history"), "Give --schema or --history, not both."),
        (("list", "--env", "live"), "No such option: --env"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    home: Path, arguments: tuple[str, ...], message: str
) -> None:
    assert message in lakerun.error(2, *arguments)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("run ord", {"orders_pipeline"}),
        ("run n", {"nightly"}),
        ("events q", {"quiet"}),
        ("show silver", {"silver_orders"}),
    ],
)
def test_the_shell_completes_names(storage: Storage, project: Path, typed: str, expected: set[str]) -> None:
    words = f"lakerun {typed}"
    variables = {
        "_LAKERUN_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    result = CliRunner().invoke(command_line(), [], prog_name="lakerun", env=variables)
    assert set(result.stdout.split()) == expected


def test_an_unexpected_error_is_one_line_with_the_log_that_has_its_trace(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the disk\nis on fire")

    monkeypatch.setattr("lakerun.tables.delta_table.Table.figures", broken)
    log = storage.logs_root / "lakerun.log"
    assert lakerun.error(1, "tables") == f"Unexpected RuntimeError: the disk. Details: {log}"
    assert "in broken" in log.read_text(encoding="utf-8")


def test_ctrl_c_ends_with_130(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lakerun.tables.delta_table.Table.figures", interrupted)
    assert lakerun.error(130, "tables") == "Interrupted."


def test_reading_commands_load_neither_spark_nor_pandas_and_help_nothing_heavy(
    storage: Storage, project: Path
) -> None:
    code = """
import sys
from typer.testing import CliRunner
from lakerun.cli.main import command_line

def loaded(names):
    return sorted(name for name in names.split() if name in sys.modules)

for line in sys.argv[1:]:
    result = CliRunner().invoke(command_line(), line.split("|"))
    assert result.exit_code == 0, result.output
    if line == "--help":
        print(loaded("pyspark pandas numpy pyarrow deltalake duckdb sqlglot pydantic yaml psutil"))
print(loaded("pyspark pandas py4j psutil"))
"""
    lines = [
        "--help",
        "list",
        "tables",
        "show|silver_orders",
        "show|silver_orders|--history",
        "sql|SELECT * FROM silver_orders",
        "events|orders_pipeline",
    ]
    done = subprocess.run([sys.executable, "-c", code, *lines], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.split("\n") == ["[]", "[]", ""]


# list -----------------------------------------------------------------------------------------------


def test_list_shows_jobs_and_pipelines_of_the_target(home: Path, project: Path) -> None:
    found = lakerun.json("list", "--target", "prod")
    assert (found["bundle"], found["target"]) == ("reports", "prod")
    (job,) = found["jobs"]
    assert job["description"] == "Everything, every night"
    assert job["parameters"] == {"region": "main_prod"}
    assert job["schedule"] == "0 0 3 * * ? UTC (paused)"
    assert [(p["name"], p["catalog"]) for p in found["pipelines"]] == [
        ("orders_pipeline", "main_prod"),
        ("quiet", "main_prod"),
    ]
    text = lakerun("list").stdout
    assert "nightly" in text
    assert "bundle reports, target dev" in text


def test_the_bundle_is_found_from_a_subfolder(
    home: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project / "deeper")
    assert lakerun.json("list")["bundle"] == "reports"


def test_outside_of_a_project_the_error_is_one_line(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "There is no databricks.yml" in lakerun.error(2, "list")


def test_an_unknown_target_lists_the_valid_ones(home: Path, project: Path) -> None:
    assert (
        lakerun.error(2, "list", "-t", "prd")
        == "Unknown target 'prd'. Did you mean 'prod'? Valid: prod, dev."
    )


def test_a_mistake_in_the_bundle_is_one_line(home: Path, project: Path) -> None:
    (project / "databricks.yml").write_text("bundle: [}", encoding="utf-8")
    assert lakerun.error(2, "list").startswith("databricks.yml:1: YAML syntax error")


# tables ---------------------------------------------------------------------------------------------


def test_tables_lists_rows_size_and_comment(storage: Storage) -> None:
    log, orders = lakerun.json("tables")
    assert (log["layer"], log["rows"]) == ("event log", 10)
    assert orders["name"] == "main_dev.sales.silver_orders"
    assert (orders["layer"], orders["rows"], orders["version"]) == ("", 4, 0)
    assert orders["comment"] == "Valid orders"
    assert orders["last_modified"].endswith("Z")
    assert "all in main_dev.sales" in lakerun("tables").stdout


def test_without_tables_the_next_step_is_shown(home: Path) -> None:
    assert "Start with: lakerun list" in lakerun("tables").stdout
    assert lakerun.json("tables") == []


# clean ----------------------------------------------------------------------------------------------


@pytest.fixture
def full(storage: Storage) -> Storage:
    """A data folder with every kind of data."""
    for folder in ("volumes/c/s/v", "pipelines/p", "logs", "scratch"):
        (storage.home / folder).mkdir(parents=True)
        (storage.home / folder / "file").write_text("x", encoding="utf-8")
    return storage


def test_clean_deletes_everything_after_confirmation(full: Storage) -> None:
    assert lakerun("clean", input="n\n").exit_code == 1
    assert full.tables_root.exists()
    assert lakerun("clean", input="y\n").exit_code == 0
    assert not full.home.exists()
    assert "There is nothing to delete" in lakerun("clean", "--yes").stdout


def test_clean_without_confirmation_deletes_nothing(full: Storage) -> None:
    assert lakerun("clean", input="").exit_code == 1
    assert full.tables_root.exists()


def test_clean_of_tables_also_deletes_checkpoints_but_not_raw_files(full: Storage) -> None:
    assert lakerun("clean", "--tables", "--yes").exit_code == 0
    assert sorted(path.name for path in full.home.iterdir() if path.is_dir()) == [
        "logs",
        "scratch",
        "volumes",
    ]


def test_clean_of_data_keeps_the_tables(full: Storage) -> None:
    assert lakerun("clean", "--data", "--yes").exit_code == 0
    assert not full.volumes_root.exists()
    assert full.tables_root.exists()


def test_clean_keeps_unknown_files(full: Storage) -> None:
    (full.home / "notes.txt").write_text("mine", encoding="utf-8")
    assert lakerun("clean", "--yes").exit_code == 0
    assert [path.name for path in full.home.iterdir()] == ["notes.txt"]


def test_clean_is_refused_during_a_run(full: Storage) -> None:
    with full.exclusive("lakerun run nightly"):
        message = lakerun.error(3, "clean", "--yes")
    assert "Another run is using" in message
    assert "lakerun run nightly" in message
    assert full.tables_root.exists()


# Colours and width ----------------------------------------------------------------------------------


def on_a_terminal(*arguments: str, **variables: str) -> str:
    """The output of the command in its own process, on a terminal of 60 columns."""
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
    assert "\x1b[" not in lakerun("tables").stdout
    assert "\x1b[" in on_a_terminal("tables")
    assert "\x1b[3" not in on_a_terminal("sql", "SELECT nonsense FROM nowhere", NO_COLOR="1")


def test_columns_that_do_not_fit_a_terminal_are_listed_below(storage: Storage) -> None:
    text = on_a_terminal("show", "silver_orders", NO_COLOR="1", TERM="dumb")
    assert "columns that do not fit:" in text
    assert max(len(line) for line in text.splitlines()[:-3]) <= 60

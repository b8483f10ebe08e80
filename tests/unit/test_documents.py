"""README.md and CLAUDE.md tell the truth: their commands, names, paths and tables exist."""

from __future__ import annotations

import doctest
import re
import shlex
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from ecommerce_lakehouse.cli.main import command_line
from ecommerce_lakehouse.config import ENVIRONMENTS, get_config
from ecommerce_lakehouse.domain.entities import ENTITIES, ORDER_BATCHES
from ecommerce_lakehouse.quality.rules import PIPELINES, datasets_with_rules, rules_for
from lakerun.bundles.load import Bundle, load_bundle
from lakerun.errors import UnknownNameError
from lakerun.pipelines.definitions import load_definitions
from lakerun.sql.databricks_sql import parse_statement, stored_tables

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CLAUDE.md")}
LAYERS = ("bronze", "silver", "quarantine", "gold", "feature", "quality")
TABLE_ROW = re.compile(rf"^\| `((?:{'|'.join(LAYERS)})_\w+)` \| (.+) \|$", re.MULTILINE)
TABLES = dict(TABLE_ROW.findall(README))
OPTIONS_WITH_A_TABLE = ("refresh", "full_refresh")


def blocks(text: str, language: str) -> list[str]:
    """The fenced code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[str]:
    """Every line of a bash block, and every command within backticks."""
    lines = [line.strip() for block in blocks(text, "bash") for line in block.splitlines()]
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    quoted = re.findall(r"`((?:[A-Z_]+=\S+ )*(?:uv run|bash|databricks bundle) [^`]+)`", prose)
    return [line for line in [*lines, *quoted] if line and not line.startswith("#")]


def words(command: str) -> list[str]:
    """The words of a command, without variables set before it, comments and `uv run`."""
    found = shlex.split(command, comments=True)
    while "=" in found[0]:
        found = found[1:]
    return found[2:] if found[:2] == ["uv", "run"] else found


ALL_COMMANDS = sorted({command for text in DOCUMENTS.values() for command in commands(text)})
LAKEHOUSE = [command for command in ALL_COMMANDS if words(command)[0] == "lakehouse"]
DATABRICKS = [command for command in ALL_COMMANDS if words(command)[0] == "databricks"]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(ROOT)


def parsed(command: str) -> tuple[str, dict[str, Any]]:
    """The subcommand and its options, as the real command line reads them; it raises for what is wrong."""
    _, *arguments = words(command)
    group: Any = typer.main.get_command(command_line())
    if not arguments or arguments[0].startswith("-"):
        known = {option for parameter in group.get_params(_context(group)) for option in parameter.opts}
        assert set(arguments) <= known
        return "", {}
    subcommand = group.commands[arguments[0]]
    context = subcommand.make_context(arguments[0], arguments[1:], parent=_context(group))
    return arguments[0], context.params


def _context(group: Any) -> Any:
    return group.make_context("lakehouse", ["list"], resilient_parsing=True)


def test_the_readme_has_the_two_commands_that_do_everything() -> None:
    assert "uv run lakehouse run e2e_pipeline_job\nuv run pytest\n" in blocks(README, "bash")


@pytest.mark.parametrize("command", LAKEHOUSE)
def test_every_lakehouse_command_is_one_that_the_command_line_takes(command: str, bundle: Bundle) -> None:
    name, options = parsed(command)
    if name == "run":
        spec = bundle.find(options["name"])
        given = [pair.partition("=")[0] for pair in options["param"] or ()]
        assert set(given) <= set(getattr(spec, "parameters", {}))
        tables = [table for option in OPTIONS_WITH_A_TABLE for table in options[option] or ()]
        assert set(tables) <= TABLES.keys()
    elif name == "show":
        assert options["table"] in TABLES
    elif name == "events":
        assert options["pipeline"] in bundle.pipelines
    elif name == "sql":
        statement = options["statement"] or (ROOT / options["file"]).read_text(encoding="utf-8")
        logs = {spec.event_log.table for spec in bundle.pipelines.values() if spec.event_log}
        read = {table.name for table in stored_tables(parse_statement(statement))}
        assert read <= TABLES.keys() | logs


def test_a_command_that_does_not_exist_is_noticed(bundle: Bundle) -> None:
    for wrong in ("lakehouse tabels", "lakehouse show silver_orders --colums a", "lakehouse --verbose"):
        with pytest.raises(Exception, match=r"tabels|colums|verbose"):
            parsed(wrong)
    with pytest.raises(UnknownNameError):
        bundle.find("e2e_job")


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["--help"], "Start with: lakehouse run e2e_pipeline_job"),
        (["list"], "e2e_pipeline_job"),
        (["config", "--env", "prod"], "prod"),
        (["tables"], "There is no table yet"),
        (["events", "medallion_dlt_pipeline", "--update", "latest"], None),
        (["sql", "SELECT 1 AS one"], "one"),
        (["clean", "--yes"], "There is nothing to delete"),
    ],
)
def test_the_quick_commands_run_before_there_is_any_data(
    arguments: list[str], answer: str | None, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(command_line(), arguments)
    if answer is None:
        assert (result.exit_code, result.stdout) == (2, "")
        assert "There is none yet." in result.stderr
    else:
        assert result.exit_code == 0, result.output
        assert answer in result.stdout


@pytest.mark.parametrize("command", DATABRICKS)
def test_every_databricks_command_names_a_target_and_a_resource_of_the_bundle(command: str) -> None:
    _, group, verb, *rest = words(command)
    if group == "fs":
        assert verb == "ls"
        (path,) = rest
        assert path.startswith(f"dbfs:/Volumes/{get_config('dev').catalog}/")
        return
    assert group == "bundle"
    assert verb in ("validate", "deploy", "run", "destroy")
    target = rest[rest.index("-t") + 1]
    deployed = load_bundle(ROOT, target)
    names = [word for word in rest if word not in ("-t", target, "--strict")]
    assert len(names) == (verb == "run")
    for name in names:
        deployed.find(name)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_variable_of_the_bundle_that_a_document_sets_exists(document: str, bundle: Bundle) -> None:
    named = set(re.findall(r"BUNDLE_VAR_([a-z]\w*)", DOCUMENTS[document]))
    assert named <= bundle.variables.keys()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_environment_variable_is_one_that_something_reads(document: str) -> None:
    source, tests = (
        "".join(
            path.read_text(encoding="utf-8") for folder in folders for path in (ROOT / folder).rglob("*.py")
        )
        for folders in (("src", "lakerun/src"), ("tests", "lakerun/tests"))
    )
    workflows = "".join(path.read_text(encoding="utf-8") for path in (ROOT / ".github").rglob("*.yml"))
    named = set(re.findall(r"`([A-Z]+_[A-Z_]+)[`=]", DOCUMENTS[document])) - {"DATABRICKS_HOST"}
    assert named
    read = {
        name
        for name in named
        if f'"{name}"' in (tests if name.startswith("LAKEHOUSE_TEST_") else source)
        or f"vars.{name}" in workflows
    }
    assert named == read


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_and_path_exists(document: str) -> None:
    text = DOCUMENTS[document]
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith("https://")]
    folders = r"(?:src|tests|docs|resources|benchmarks|fixtures|\.ci|\.github)"
    paths = re.findall(rf"`({folders}/[\w./-]+|[\w.-]+\.(?:md|yml|toml|lock))`", text)
    tools = [word for command in commands(text) for word in words(command) if re.match(folders + "/", word)]
    missing = [path for path in {*links, *paths, *tools} if not (ROOT / path).exists()]
    assert missing == []


def test_the_readme_lists_exactly_the_tables_that_the_pipelines_declare(bundle: Bundle, spark: Any) -> None:
    declared = {
        output.name.split(".")[-1]: output.comment
        for spec in bundle.pipelines.values()
        for output in load_definitions(spec.source_files, spark, spec.root_path).datasets.values()
        if output.kind != "VIEW"
    }
    assert declared == TABLES


def test_every_table_that_a_pipeline_declares_has_rules(bundle: Bundle) -> None:
    config = get_config("local")
    # The lines of silver_<entity>_parsed are judged by the rules of silver_<entity>.
    declared = {table.removesuffix("_parsed") for table in TABLES}
    assert declared == set(datasets_with_rules(config))
    for pipeline, rules in PIPELINES.items():
        assert (ROOT / "src" / "pipelines" / pipeline).is_dir()
        assert rules(config)


def test_the_readme_lists_a_table_once_and_under_its_layer() -> None:
    assert len(TABLE_ROW.findall(README)) == len(TABLES)
    sections = re.findall(r"^\| (\w+) \| \|\n\|---\|---\|\n((?:\|.*\n)+)", README, re.MULTILINE)
    layers = {title.lower().removesuffix("s"): TABLE_ROW.findall(rows) for title, rows in sections}
    assert sorted(layers) == sorted(LAYERS)
    for layer, rows in layers.items():
        assert rows
        assert {name.partition("_")[0] for name, _ in rows} == {layer}


def test_the_picture_shows_exactly_the_tables_of_the_readme() -> None:
    svg = ET.parse(ROOT / "docs" / "data_flow.svg")
    shown = {
        str(text.get("id")): text.text for text in svg.findall(".//{*}text") if text.get("class") == "name"
    }
    tables = {name: text for name, text in shown.items() if name.startswith(LAYERS)}
    assert tables.keys() == TABLES.keys()
    assert all(name in (text, f"{name.partition('_')[0]}_{text}") for name, text in tables.items())
    folders = {shown[name] for name in shown.keys() - tables.keys()}
    assert folders == {entity.folder for entity in (*ENTITIES.values(), ORDER_BATCHES)}


def test_the_example_output_names_tables_and_expectations_that_exist() -> None:
    config = get_config("local")
    (output,) = blocks(README, "text")
    tables = set(re.findall(rf"\b(?:{'|'.join(LAYERS)})_\w+", output))
    expectations = set(re.findall(r"(\w+) (?:warned|quarantined|dropped|failed) \d", output))
    assert tables
    assert tables <= TABLES.keys()
    rules = {
        rule.name for dataset in datasets_with_rules(config) for rule in rules_for(dataset, config).rules
    }
    assert expectations
    assert expectations <= rules


def test_the_environments_are_as_their_settings_say() -> None:
    rows = re.findall(r"^\| (local|dev|staging|prod) \| (.+) \|$", README, re.MULTILINE)
    expected = []
    for name in ENVIRONMENTS:
        config = get_config(name)
        expected.append(
            (
                name,
                f"{config.catalog} | {config.max_files_per_trigger} | {config.target_file_size_mb} MB | "
                f"{config.log_retention_days} days | {config.rows_generated.orders:,}",
            )
        )
    assert rows == expected


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_python_examples_give_what_they_show(document: str) -> None:
    for number, block in enumerate(blocks(DOCUMENTS[document], "python")):
        example = doctest.DocTestParser().get_doctest(block, {}, f"{document}[{number}]", document, 0)
        if example.examples:
            assert doctest.DocTestRunner().run(example).failed == 0
        else:
            compile(block, document, "exec")

"""The documents are right: their commands, names, paths and links exist, and their examples work."""

from __future__ import annotations

import ast
import doctest
import importlib.util
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from ecommerce_lakehouse.cli.main import command_line
from ecommerce_lakehouse.cli.unions import UNIONS
from ecommerce_lakehouse.config import get_config
from lakerun.bundles.load import Bundle, JobSpec, load_bundle
from lakerun.errors import UnknownNameError
from lakerun.sql.databricks_sql import parse_statement
from lakerun.tables.sql_names import stored_tables
from tests.unit.documents import (
    DOCUMENTS,
    README,
    ROOT,
    SNIPPET,
    TABLES,
    anchors,
    blocks,
    commands,
    prose,
    whole,
    words,
)

OPTIONS_WITH_A_TABLE = ("refresh", "full_refresh")
ALL_COMMANDS = sorted({command for text in DOCUMENTS.values() for command in commands(text)})
LAKEHOUSE = [command for command in ALL_COMMANDS if words(command)[0] == "lakehouse"]
DATABRICKS = [command for command in ALL_COMMANDS if words(command)[0] == "databricks"]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(ROOT)


def parsed(command: str) -> tuple[str, dict[str, Any]]:
    """The subcommand and its options, as the real command line parses them; it raises for a mistake."""
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
        assert read <= TABLES.keys() | logs | UNIONS.keys()


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
    given = rest[rest.index("--params") + 1] if "--params" in rest else ""
    names = [word for word in rest if word not in ("-t", target, "--strict", "--params", given)]
    assert len(names) == (verb == "run")
    for name in names:
        found = deployed.find(name)
        parameters = {pair.partition("=")[0] for pair in given.split(",") if pair}
        assert parameters <= (found.parameters.keys() if isinstance(found, JobSpec) else set())


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_variable_of_the_bundle_that_a_document_sets_exists(document: str, bundle: Bundle) -> None:
    named = set(re.findall(r"BUNDLE_VAR_([a-z]\w*)", DOCUMENTS[document]))
    assert named <= bundle.variables.keys()


def variables(document: str) -> set[str]:
    return set(re.findall(r"`([A-Z]+_[A-Z_]+)[`=]", DOCUMENTS[document])) - {"DATABRICKS_HOST"}


def test_the_documents_name_the_environment_variables() -> None:
    pages = ("configuration", "monitoring", "command_line", "troubleshooting")
    assert all(variables(f"docs/{page}.md") for page in pages)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_environment_variable_is_read_somewhere(document: str) -> None:
    source, tests = (
        "".join(
            path.read_text(encoding="utf-8") for folder in folders for path in (ROOT / folder).rglob("*.py")
        )
        for folders in (("src", "lakerun/src"), ("tests", "lakerun/tests"))
    )
    workflows = "".join(path.read_text(encoding="utf-8") for path in (ROOT / ".github").rglob("*.yml"))
    named = variables(document)
    read = {
        name
        for name in named
        if f'"{name}"' in (tests if name.startswith("LAKEHOUSE_TEST_") else source)
        or f"vars.{name}" in workflows
    }
    assert named == read


def test_the_configuration_page_names_every_variable_that_the_code_reads() -> None:
    files = [path for folder in ("src", "lakerun/src") for path in (ROOT / folder).rglob("*.py")]
    source = "".join(path.read_text(encoding="utf-8") for path in files)
    read = set(
        re.findall(r'"((?:LAKEHOUSE|ALERT|POSTGRES)_[A-Z_]+|LAKERUN_PLUGINS|PIPELINE_ENV|JAVA_HOME)"', source)
    )
    assert read >= {"LAKEHOUSE_HOME", "POSTGRES_PASSWORD"}
    assert read <= variables("docs/configuration.md")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_exists(document: str) -> None:
    text = DOCUMENTS[document]
    folders = r"(?:src|lakerun|tests|docs|resources|benchmarks|tools|fixtures|\.ci|\.github)"
    paths = re.findall(rf"`({folders}/[\w./-]+|[\w.-]+\.(?:md|yml|toml|lock))`", text)
    tools = [word for command in commands(text) for word in words(command) if re.match(folders + "/", word)]
    missing = [path for path in {*paths, *tools, *SNIPPET.findall(text)} if not (ROOT / path).exists()]
    assert missing == []


def broken_links(document: str, text: str) -> list[str]:
    """Relative links of a document, with pages and anchors that do not exist."""
    broken = []
    for link in re.findall(r"\]\(([^)]+)\)", prose(text)):
        path, _, anchor = link.partition("#")
        target = (ROOT / document).parent / path if path else ROOT / document
        if link.startswith("https://"):
            continue
        # The site is built from docs and cannot link to files outside.
        inside = not document.startswith("docs/") or target.resolve().is_relative_to(ROOT / "docs")
        if not (target.exists() and inside) or (
            anchor and anchor not in anchors(target.read_text(encoding="utf-8"))
        ):
            broken.append(link)
    return broken


@pytest.mark.parametrize("document", [*DOCUMENTS, "AGENTS.md", "lakerun/README.md"])
def test_every_link_leads_to_a_page_and_a_heading(document: str) -> None:
    assert broken_links(document, (ROOT / document).read_text(encoding="utf-8")) == []


def test_a_page_that_the_site_includes_has_no_link_that_breaks_there() -> None:
    for document, text in DOCUMENTS.items():
        if SNIPPET.search(text):
            assert broken_links(document, whole(text)) == []


def test_a_broken_link_is_noticed() -> None:
    right = "[a](rules.md) [b](data_flow.md#expectations) [c](https://example.com/rules)"
    text = f"{right} [d](rules.md#nowhere) [e](nowhere.md) [f](../README.md)"
    assert broken_links("docs/index.md", text) == ["rules.md#nowhere", "nowhere.md", "../README.md"]


def test_the_site_shows_every_page_once() -> None:
    site = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]

    def pages(entry: Any) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        parts = entry.values() if isinstance(entry, dict) else entry
        return [page for part in parts for page in pages(part)]

    shown = pages(site["nav"])
    assert len(shown) == len(set(shown))
    # The decisions are many: their index leads to each of them.
    listed = re.findall(r"^- \[.+\]\((.+)\)$", DOCUMENTS["docs/decisions/index.md"], re.MULTILINE)
    pages_of_site = {f"docs/{page}" for page in [*shown, *(f"decisions/{page}" for page in listed)]}
    assert pages_of_site == {name for name in DOCUMENTS if name.startswith("docs/")}


REFERENCE = re.findall(r"^::: (\S+)$", "\n".join(DOCUMENTS.values()), re.MULTILINE)


def test_every_module_of_the_reference_exists() -> None:
    assert REFERENCE
    assert [module for module in REFERENCE if importlib.util.find_spec(module) is None] == []


@pytest.mark.parametrize("module", REFERENCE)
def test_no_docstring_of_the_reference_looks_like_html(module: str) -> None:
    """Angle brackets must be in backticks or an indented block."""
    origin = Path(importlib.util.find_spec(module).origin)  # type: ignore[union-attr, arg-type]
    for path in origin.parent.rglob("*.py") if origin.name == "__init__.py" else [origin]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                text = re.sub(r"`[^`]*`", "", ast.get_docstring(node) or "")
                assert not re.search(r"^(?! ).*<\w", text, re.MULTILINE), path


@pytest.mark.parametrize("command", [command for command in ALL_COMMANDS if words(command)[0] == "python"])
def test_every_python_module_that_a_command_runs_exists(command: str) -> None:
    _, option, module, *_ = words(command)
    assert option == "-m"
    assert importlib.util.find_spec(module)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_python_examples_give_what_they_show(document: str) -> None:
    for number, block in enumerate(blocks(DOCUMENTS[document], "python")):
        example = doctest.DocTestParser().get_doctest(block, {}, f"{document}[{number}]", document, 0)
        if example.examples:
            assert doctest.DocTestRunner().run(example).failed == 0
        else:
            compile(block, document, "exec")


def test_every_decision_has_its_number_its_parts_and_its_place() -> None:
    pages = sorted(name for name in DOCUMENTS if re.match(r"docs/decisions/\d", name))
    for number, name in enumerate(pages, 1):
        text = DOCUMENTS[name]
        assert name.startswith(f"docs/decisions/{number:03}-")
        assert text.startswith(f"# {number}. ")
        parts = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert parts == ["Context", "Decision", "Consequences", "Where"]
        assert re.search(r"^- `.+`$", text, re.MULTILINE)


def test_the_plugin_of_the_example_maps_an_environment() -> None:
    (example,) = blocks(DOCUMENTS["docs/plugins.md"], "python")
    names: dict[str, Any] = {}
    exec(compile(example, "docs/plugins.md", "exec"), names)
    environment = names["PLUGIN"].environments.settings("prod")
    assert (environment.variables, environment.schema) == ({"catalog": "weather_prod"}, "readings")
    (union,) = names["PLUGIN"].unions.values()
    logs = [f"event_log_{name}" for name in ("rain", "wind")]
    assert {table.name for table in stored_tables(parse_statement(union.sql(logs)))} == set(logs)

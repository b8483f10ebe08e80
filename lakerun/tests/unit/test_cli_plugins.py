"""The command line with plugins and without them."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lakerun import plugins
from lakerun.cli.main import command_line
from lakerun.plugins import Environment, Environments, Loaded, Plugin

BUNDLE = """
bundle:
  name: {name}
variables:
  day: {{default: monday}}
resources:
  jobs:
    nightly:
      parameters:
        - {{name: day, default: "${{var.day}}"}}
      tasks:
        - task_key: load
          notebook_task: {{notebook_path: ./load}}
"""
SHOP = Plugin(
    name="shop",
    bundle="shop",
    examples={"list": ("list --shops-own",)},
    environments=Environments(
        names=("one", "two"),
        default="one",
        settings=lambda name: Environment(variables={"day": name}, catalog="c", schema="s"),
    ),
)


def project(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch, loaded: Loaded) -> None:
    (folder / "databricks.yml").write_text(BUNDLE.format(name=name), encoding="utf-8")
    (folder / "load.py").write_text("", encoding="utf-8")
    monkeypatch.chdir(folder)
    monkeypatch.setattr("lakerun.cli.project.loaded_plugins", lambda: loaded)


def test_environments_apply_to_the_plugins_own_bundle_only(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = Loaded((SHOP,), ())
    app = command_line("lakerun", loaded)
    for name, expected in (("shop", "one"), ("another", "monday")):
        project(tmp_path, name, monkeypatch, loaded)
        found = json.loads(CliRunner().invoke(app, ["list", "--json"]).stdout)
        assert found["jobs"][0]["parameters"] == {"day": expected}
    result = CliRunner().invoke(app, ["list", "--env", "two"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "Error: --env two: this bundle has no environments. Choose a target with --target.\n"
    )


def install(folder: Path, entry_points: str) -> None:
    """Write the files of an installed package with these entry points."""
    metadata_folder = folder / "guest-1.0.dist-info"
    metadata_folder.mkdir()
    (metadata_folder / "METADATA").write_text("Name: guest\nVersion: 1.0\n", encoding="utf-8")
    (metadata_folder / "entry_points.txt").write_text(entry_points, encoding="utf-8")


def test_plugins_are_found_as_the_standard_library_finds_entry_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "# none\n[lakerun.plugins]\nb = two.mod:B.C\na=one:A [extra]\n\n[other]\nc = three:C\n"
    install(tmp_path, lines)
    monkeypatch.syspath_prepend(tmp_path)
    points = {point.name: point for point in metadata.entry_points(group=plugins.GROUP)}
    assert {"a", "b"} <= points.keys()
    expected = {name: f"{point.module}:{point.attr}" for name, point in points.items()}
    assert plugins._entry_points() == expected


@pytest.mark.parametrize("loaded", [Loaded((), ()), Loaded((SHOP,), ())])
def test_help_includes_the_commands_of_plugins(loaded: Loaded) -> None:
    app = command_line("lakerun", loaded)
    for command in ("list", "run", "sql", "validate"):
        text = CliRunner().invoke(app, [command, "--help"]).stdout
        assert "{program}" not in text
        assert "{environments}" not in text
        assert ("--env" in text) == bool(loaded.plugins)
    text = CliRunner().invoke(app, ["list", "--help"]).stdout
    assert ("lakerun list --shops-own" in text) == bool(loaded.plugins)


def test_a_plugin_that_cannot_be_loaded_is_one_line_and_commands_still_work(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "[console_scripts]\nx = y:z\n[lakerun.plugins]\nbroken = no_such_module:PLUGIN\n")
    monkeypatch.setenv("LAKERUN_PLUGINS", "broken")
    monkeypatch.syspath_prepend(tmp_path)
    plugins._loaded.cache_clear()
    try:
        result = CliRunner().invoke(command_line("lakerun"), ["tables", "--json"])
    finally:
        plugins._loaded.cache_clear()
    assert (result.exit_code, result.stdout) == (0, "[]\n")
    assert result.stderr == (
        "Warning: Plugin 'broken' cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'\n"
    )

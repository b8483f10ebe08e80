"""Choosing the installed plugins to load."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lakerun import plugins


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two plugins, as two installed distributions declare them."""
    for name in ("first", "second"):
        code = f"from lakerun.plugins import Plugin\nPLUGIN = Plugin(name={name!r})\n"
        (tmp_path / f"{name}_guest.py").write_text(code, encoding="utf-8")
        information = tmp_path / f"{name}_guest-1.0.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Name: {name}-guest\nVersion: 1.0\n", encoding="utf-8")
        point = f"[lakerun.plugins]\n{name} = {name}_guest:PLUGIN\n"
        (information / "entry_points.txt").write_text(point, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    plugins._loaded.cache_clear()
    yield
    plugins._loaded.cache_clear()


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [("", []), ("first", ["first"]), ("second, first", ["first", "second"]), ("third", [])],
)
def test_only_the_chosen_plugins_are_loaded(
    installed: None, monkeypatch: pytest.MonkeyPatch, chosen: str, expected: list[str]
) -> None:
    monkeypatch.setenv("LAKERUN_PLUGINS", chosen)
    found = plugins.loaded_plugins()
    assert [plugin.name for plugin in found.plugins] == expected
    assert found.problems == ()


def test_every_plugin_is_loaded_if_none_is_chosen(installed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAKERUN_PLUGINS")
    assert {"first", "second"} <= {plugin.name for plugin in plugins.loaded_plugins().plugins}

"""No file of the runtime names this shop, and the repository's checks see both packages."""

from __future__ import annotations

import re
import subprocess
import tomllib

import pytest
import yaml

from tests.unit.test_hygiene import ROOT, files

COMMANDS = "run|list|tables|show|sql|events|validate|clean|workspace|config|generate|health|quarantine"
SHOP = re.compile(
    r"ecommerce|medallion|order_analytics|ml_features|e2e_pipeline|generate_sample_data|data_eng\b|juan_dev"
    rf"|data-engineers|PIPELINE_ENV|\blakehouse ({COMMANDS})\b|`lakehouse`|--group local"
)


def test_no_file_of_the_runtime_names_the_shop() -> None:
    texts = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for path in files("lakerun")
        if path.suffix != ".png"
    }
    assert {"lakerun/pyproject.toml", "lakerun/src/lakerun/plugins.py", "lakerun/tests/guest.py"} <= set(
        texts
    )
    found = [
        f"{name}:{number}: {line.strip()}"
        for name, text in texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        if SHOP.search(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    ["from ecommerce_lakehouse.cli import x", "run medallion_dlt_pipeline", "Try `lakehouse sql --spark`."],
)
def test_a_word_of_the_shop_would_be_found(line: str) -> None:
    assert SHOP.search(line)


@pytest.mark.parametrize("hook", ["uv-lock", "mypy", "lint-imports"])
def test_a_change_in_either_house_is_checked_before_a_commit(hook: str) -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    (pattern,) = [item["files"] for item in config["repos"][0]["hooks"] if item["id"] == hook]
    names = [f"{house}pyproject.toml" for house in ("", "lakerun/")]
    if hook != "uv-lock":
        names += ["src/ecommerce_lakehouse/config/settings.py", "lakerun/src/lakerun/plugins.py"]
    assert [name for name in names if not re.search(pattern, name)] == []


def test_the_tools_see_both_houses() -> None:
    """Ruff, mypy and the import rules check a new file of either package."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    houses = {"ecommerce_lakehouse", "lakerun"}
    assert houses <= set(settings["mypy"]["packages"])
    assert houses <= set(settings["importlinter"]["root_packages"])
    listed = subprocess.run(
        ["uv", "run", "--no-sync", "ruff", "check", "--show-files"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    for folder in ("src/ecommerce_lakehouse", "lakerun/src/lakerun", "lakerun/tests", "lakerun/examples"):
        expected = {str(path) for path in files(f"{folder}/**.py")}
        assert expected
        assert expected <= set(listed)

"""Each package's wheel and sdist hold only its own files, and building one keeps the other's."""

from __future__ import annotations

import subprocess
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.unit.test_wheel_version import version
from tests.workspace.cli_lab import copy_project

ROOT = Path(__file__).parents[2]
FRONT_END = ("static/style.css", "static/page.js", "static/icon.svg", "templates/base.html")


@dataclass(frozen=True)
class Distribution:
    """The result of one build: the wheel's files and, without its first folder, the sdist's."""

    wheel: Path
    in_wheel: set[str]
    in_sdist: set[str]


def distribution(folder: Path) -> Distribution:
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as opened:
        in_wheel = set(opened.namelist())
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    return Distribution(wheel, in_wheel, in_sdist)


def build(project: Path, *arguments: str) -> None:
    """`uv build`: an sdist, and a wheel made of that sdist."""
    done = subprocess.run(
        ["uv", "build", *arguments], cwd=project, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This project with the runtime built first, then the shop as a deployment builds it."""
    folder = tmp_path_factory.mktemp("packaging") / "project"
    copy_project(folder)
    build(folder, "--package", "lakerun", "--out-dir", "lakerun/dist")
    build(folder, "--clear")
    return folder


def test_the_runtime_is_complete_and_knows_no_shop(project: Path) -> None:
    runtime = distribution(project / "lakerun" / "dist")
    assert {name.split("/")[0].split("-")[0] for name in runtime.in_wheel} == {"lakerun"}
    assert {f"lakerun/workspace/pages/{name}" for name in FRONT_END} <= runtime.in_wheel
    assert any(name.endswith("dist-info/licenses/LICENSE") for name in runtime.in_wheel)
    assert {"LICENSE", "README.md", "src/lakerun/__init__.py", "pyproject.toml"} <= runtime.in_sdist
    assert not any("ecommerce" in name for name in runtime.in_wheel | runtime.in_sdist)


def test_the_shop_holds_nothing_of_the_runtime(project: Path) -> None:
    shop = distribution(project / "dist")
    assert {name.split("/")[0].split("-")[0] for name in shop.in_wheel} == {"ecommerce_lakehouse"}
    assert "ecommerce_lakehouse/observability/metrics_export/migrations/0001_metrics.sql" in shop.in_wheel
    assert any(name.endswith("dist-info/licenses/LICENSE") for name in shop.in_wheel)
    assert {"LICENSE", "README.md", "wheel_version.py", "pyproject.toml"} <= shop.in_sdist
    assert not any("lakerun" in name for name in shop.in_wheel | shop.in_sdist)


def test_a_wheel_built_from_the_sdist_has_the_version_of_the_checkout(project: Path) -> None:
    assert distribution(project / "dist").wheel.name.split("-")[1] == version(ROOT)


def test_a_deployment_builds_into_a_folder_of_its_own(project: Path) -> None:
    """The wheel of the runtime, which `--clear` spared, is not among the files that are deployed."""
    bundle = yaml.safe_load((ROOT / "databricks.yml").read_text(encoding="utf-8"))
    assert bundle["artifacts"]["ecommerce_lakehouse"]["build"] == "uv build --wheel --clear"
    assert bundle["sync"]["paths"] == ["src"]
    assert list((project / "lakerun" / "dist").glob("*.whl"))
    assert [path.name.split("-")[0] for path in (project / "dist").glob("*.whl")] == ["ecommerce_lakehouse"]

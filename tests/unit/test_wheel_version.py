"""The wheel's name changes only with the package's code; deployments depend on that."""

from __future__ import annotations

import re
import runpy
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def version(root: Path) -> str:
    return str(runpy.run_path(str(root / "wheel_version.py"))["wheel_version"]())


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package with this project's build settings."""
    package = tmp_path / "src" / "ecommerce_lakehouse"
    package.mkdir(parents=True)
    for name in ("wheel_version.py", "pyproject.toml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    (package / "__init__.py").write_text('__version__ = "1.2.3"\n')
    (package / "orders.py").write_text("LIMIT = 1\n")
    return package


def test_the_version_follows_the_code(package: Path, tmp_path: Path) -> None:
    first = version(tmp_path)
    assert re.fullmatch(r"1\.2\.3\+[0-9a-f]{12}", first)

    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "orders.pyc").write_bytes(b"compiled")
    (tmp_path / "README.md").write_text("not code")
    assert version(tmp_path) == first

    (package / "orders.py").write_text("LIMIT = 2\n")
    second = version(tmp_path)
    (package / "orders.py").rename(package / "sales.py")
    assert len({first, second, version(tmp_path)}) == 3


def test_the_version_does_not_follow_the_runtime(package: Path, tmp_path: Path) -> None:
    style = tmp_path / "lakerun" / "src" / "lakerun" / "workspace" / "pages" / "static" / "style.css"
    style.parent.mkdir(parents=True)
    style.write_text("a { color: red }")
    first = version(tmp_path)
    style.write_text("a { color: blue }")
    assert version(tmp_path) == first


@pytest.mark.parametrize(
    ("before", "after", "follows"),
    [
        ("line-length = 110", "line-length = 100", False),
        ("timeout = 600", "timeout = 601", False),
        ('"chispa>=0.10"', '"chispa>=0.11"', False),
        ('local = ["lakerun"]', 'local = ["lakerun>=0"]', False),
        ('only-include = ["src', 'only-include = ["tests", "src', False),
        ('"jmespath>=1.0"', '"jmespath>=1.1"', True),
        (
            'lakehouse = "ecommerce_lakehouse.cli.main:main"',
            'shop = "ecommerce_lakehouse.cli.main:main"',
            True,
        ),
        ('"hatchling>=1.27"', '"hatchling>=1.28"', True),
        ('packages = ["src', 'artifacts = ["*.csv"]\npackages = ["src', True),
    ],
)
def test_the_version_follows_the_settings_of_the_wheel(
    package: Path, tmp_path: Path, before: str, after: str, follows: bool
) -> None:
    settings = tmp_path / "pyproject.toml"
    text = settings.read_text(encoding="utf-8")
    first = version(tmp_path)
    changed = text.replace(before, after, 1)
    assert changed != text
    settings.write_text(changed, encoding="utf-8")
    assert (version(tmp_path) != first) is follows

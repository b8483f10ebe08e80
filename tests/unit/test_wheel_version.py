"""The wheel's name changes with the package's code and with nothing else: a deployment depends on it."""

from __future__ import annotations

import re
import runpy
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]


def version(root: Path) -> str:
    return str(runpy.run_path(str(root / "wheel_version.py"))["wheel_version"]())


def test_the_version_follows_the_code(tmp_path: Path) -> None:
    package = tmp_path / "src" / "ecommerce_lakehouse"
    package.mkdir(parents=True)
    for name in ("wheel_version.py", "pyproject.toml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    (package / "__init__.py").write_text('__version__ = "1.2.3"\n')
    (package / "orders.py").write_text("LIMIT = 1\n")
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

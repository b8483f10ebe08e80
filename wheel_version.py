"""The wheel's version: the package's own and a fingerprint of its content. Run by the build."""

import hashlib
import json
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent
PACKAGE = ROOT / "src" / "ecommerce_lakehouse"


def wheel_version() -> str:
    """A version such as `0.1.0+b1946ac92492`, the same for the same files whenever and wherever built."""
    release = re.search(r'^__version__ = "(.+)"', (PACKAGE / "__init__.py").read_text(encoding="utf-8"), re.M)
    if release is None:
        raise ValueError("src/ecommerce_lakehouse/__init__.py has no __version__")
    digest = hashlib.sha256()
    files = [file for file in PACKAGE.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    for file in sorted(files):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(ROOT).as_posix()} {len(content)}\n".encode() + content)
    digest.update(_build_settings().encode())
    return f"{release[1]}+{digest.hexdigest()[:12]}"


def _build_settings() -> str:
    """The tables of pyproject.toml that affect the wheel, without those that only tests and tools read."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    hatch = settings["tool"]["hatch"]
    shaping = [
        settings["project"],
        settings["build-system"],
        hatch["version"],
        hatch["build"]["targets"]["wheel"],
    ]
    return json.dumps(shaping, sort_keys=True)

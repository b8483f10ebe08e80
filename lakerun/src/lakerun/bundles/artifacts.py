"""The wheels that a bundle builds: `read_artifacts`, `build_wheels`, `needs_no_wheel`."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path

from packaging.utils import canonicalize_name

from lakerun.bundles.model import Artifact
from lakerun.bundles.sections import Section
from lakerun.errors import LakerunError


def read_artifacts(section: Section, root: Path) -> tuple[Artifact, ...]:
    """The wheels of the section `artifacts` that have a command to build them."""
    found = []
    for key in section.values:
        written = section.section(key)
        command = written.text("build", "")
        if command and written.text("type", "whl") == "whl":
            mark = written.mark("path")
            folder = mark.folder if mark and written.values.get("path") else root
            place = os.path.normpath(folder / written.text("path", "."))
            found.append(Artifact(key=key, folder=Path(place), build=command))
    return tuple(found)


def build_wheels(artifacts: Iterable[Artifact], log: Path, say: Callable[[str], None]) -> bool:
    """Build the wheels of projects that are not installed here; whether there was one.

    Output goes to the log; `say` gets a line for each. Raises LakerunError for a command that fails.
    """
    waiting = [artifact for artifact in artifacts if not _installed(artifact.folder)]
    for artifact in waiting:
        say(f"Building {artifact.key}")
        with log.open("ab") as output:
            done = subprocess.run(
                artifact.build, shell=True, cwd=artifact.folder, stdout=output, stderr=output
            )  # fmt: skip
        if done.returncode:
            last = (log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or [""])[-1]
            raise LakerunError(
                f"artifacts.{artifact.key}: '{artifact.build}' ended with exit code {done.returncode}: {last}"
            )
    return bool(waiting)


def needs_no_wheel(path: Path) -> bool:
    """Whether a path or pattern in a project's folder `dist` is of a package that is installed here."""
    if path.parent.name != "dist" or not (package := _installed(path.parents[1])):
        return False
    # Up to the first special character; in a wheel's name, the package's name has `_` for `-`.
    written, is_whole, _ = re.split(r"[*?\[\\]", path.name)[0].partition("-")
    package, written = canonicalize_name(package), canonicalize_name(written)
    return package == written if is_whole else package.startswith(written)


def _installed(folder: Path) -> str:
    """The name of a project's package if it is installed here, so that its wheel is not needed."""
    try:
        written = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError):
        return ""
    name = written.get("project", written.get("tool", {}).get("poetry", {})).get("name")
    try:
        metadata.distribution(name or "")
    except (metadata.PackageNotFoundError, ValueError):
        return ""
    return str(name)

"""What an environment's dependencies ask for, and what of it is not installed: `read_requirements`."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from email.parser import Parser
from functools import partial
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from lakerun.bundles.artifacts import needs_no_wheel
from lakerun.bundles.dependencies import is_path, placed
from lakerun.bundles.go_glob import has_pattern
from lakerun.errors import LakerunError

# Options of requirements files that say where packages come from.
OPTIONS = ("-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--no-index", "--pre")
CONTINUED = re.compile(r"\\\n\s*")


@dataclass(frozen=True)
class Requirements:
    """`wheels` are files, `projects` folders with a pyproject.toml or setup.py, maybe with `[extras]`;
    `named` are requirements of packages, `options` are for the installer."""

    wheels: tuple[Path, ...] = ()
    projects: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def missing(self) -> tuple[str, ...]:
        """The requirements, also those of the wheels, that this environment does not meet."""
        asked = [*self.named, *(line for wheel in self.wheels for line in _required(wheel))]
        brought = {wheel_name(wheel) for wheel in self.wheels}
        return tuple(
            dict.fromkeys(
                line
                for line in asked
                if not _is_met(line) and canonicalize_name(_parsed(line).name) not in brought
            )
        )

    def absent(self) -> tuple[str, ...]:
        """What of all this code cannot import: `missing`, and wheels and projects that are not installed."""
        wheels = [file.name for file in self.wheels if not _is_met(wheel_name(file))]
        projects = [text for text in self.projects if not _is_used(Path(text.partition("[")[0]))]
        return (*self.missing(), *wheels, *projects)


def read_requirements(lines: Iterable[str]) -> Requirements:
    """Sorts the lines; of several wheels of one package it takes the newest file.

    A wheel that is not built is left out if its package is installed. Raises LakerunError for any other file
    that does not exist and for a line that is not understood.
    """
    wheels: dict[str, Path] = {}
    projects, named, options = [], [], []
    for line in _flat(lines, ()):
        if line.startswith("-e "):
            projects.append(line.removeprefix("-e ").strip())
        elif line.startswith("-"):
            if not line.startswith(OPTIONS):
                raise LakerunError(f"Dependency '{line}' is not supported here.")
            options += line.replace("=", " ", 1).split()
        elif line.endswith(".whl") and is_path(line):
            file = Path(line)
            if not file.is_file():
                if needs_no_wheel(file):
                    continue
                if has_pattern(line):
                    raise LakerunError(f"No wheel matches '{line}': build it, or correct the pattern.")
                raise LakerunError(f"Wheel '{line}' does not exist.")
            known = wheels.get(wheel_name(file))
            if known is None or known.stat().st_mtime_ns <= file.stat().st_mtime_ns:
                wheels[wheel_name(file)] = file
        elif is_path(line):
            projects.append(line)
        else:
            named.append(str(_parsed(line)))
    for project in projects:
        if not Path(project.partition("[")[0]).is_dir():
            raise LakerunError(f"Dependency '{project}' is not a folder.")
    return Requirements(tuple(wheels.values()), tuple(projects), tuple(named), tuple(options))


def wheel_name(file: Path) -> str:
    """The package of a wheel's file name."""
    return canonicalize_name(file.name.split("-")[0])


def _flat(lines: Iterable[str], within: Sequence[Path]) -> Iterator[str]:
    """The lines, those of requirements files in place of `-r`."""
    for written in lines:
        line = re.sub(r"(^|\s+)#.*", "", written).strip()
        if not line:
            continue
        line = placed(line, str)
        if not line.startswith("-r "):
            yield line
            continue
        file = Path(line.removeprefix("-r ").strip())
        if not file.is_file():
            raise LakerunError(f"Requirements file '{file}' does not exist.")
        if file in within:
            raise LakerunError(f"Requirements files include each other: {file}.")
        text = CONTINUED.sub(" ", file.read_text(encoding="utf-8"))
        place = partial(_beside, file)
        yield from _flat((placed(line, place) for line in text.splitlines()), (*within, file))


def _beside(file: Path, path: str) -> str:
    return str(file.parent / path)


def _parsed(line: str) -> Requirement:
    try:
        return Requirement(re.sub(r"\s--hash=\S+", "", line))
    except InvalidRequirement:
        raise LakerunError(f"Dependency '{line}' is not a valid requirement.") from None


def _is_met(line: str) -> bool:
    requirement = _parsed(line)
    if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
        return True
    try:
        found = metadata.distribution(requirement.name)
    except metadata.PackageNotFoundError:
        return False
    if requirement.url or not requirement.specifier.contains(found.version, prereleases=True):
        return False
    asked = [Requirement(text) for text in found.requires or () if requirement.extras]
    of_extras = [
        item
        for item in asked
        if item.marker and any(item.marker.evaluate({"extra": extra}) for extra in requirement.extras)
    ]
    return all(_is_met(f"{item.name}{item.specifier}") for item in of_extras)


def _is_used(project: Path) -> bool:
    """Whether a package is installed from the folder; installers record that by PEP 610."""
    address = project.resolve().as_uri()
    return any(address in (found.read_text("direct_url.json") or "") for found in metadata.distributions())


def _required(wheel: Path) -> list[str]:
    """The requirements of a wheel, without those of its extras."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
            text = archive.read(name).decode("utf-8", "replace")
    except (zipfile.BadZipFile, StopIteration):
        return []  # unpacking it says what is wrong
    return Parser().parsestr(text).get_all("Requires-Dist") or []

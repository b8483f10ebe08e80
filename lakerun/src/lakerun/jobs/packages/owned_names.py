"""The import names that a deployed wheel cannot replace: the runtime's, its dependencies', Python's."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

RUNTIME = "lakerun"


@dataclass(frozen=True)
class OwnedNames:
    """`names` are modules as tuples of their parts, `distributions` the runtime and its dependencies.

    `shared` are packages that several distributions add to, such as `google`; they are not in `names`.
    """

    names: frozenset[tuple[str, ...]]
    shared: frozenset[tuple[str, ...]]
    distributions: frozenset[str]

    def owner_of(self, member: str) -> str | None:
        """The owned module to which a file of a wheel belongs, or None if the wheel may have it."""
        *folders, file = PurePosixPath(member).parts
        stem = file.split(".")[0]
        module = (*folders, stem) if stem != "__init__" else tuple(folders)
        for length in range(1, len(module) + 1):
            if module[:length] in self.names:
                return ".".join(module[:length])
        # A file for a shared package itself would hide what other distributions add to it.
        return ".".join(module) if module in self.shared else None


@cache
def owned_names() -> OwnedNames:
    """The owned names of this installation."""
    distributions = _with_dependencies(RUNTIME)
    names: set[tuple[str, ...]] = {(RUNTIME,), *((name,) for name in sys.stdlib_module_names)}
    for found in distributions.values():
        names |= _modules(found)
    shared = {name[:length] for name in names for length in range(1, len(name))}
    return OwnedNames(frozenset(names), frozenset(shared), frozenset(distributions))


def _with_dependencies(name: str) -> dict[str, metadata.Distribution]:
    """The distribution and its installed dependencies, also indirect ones, by canonical name."""
    found: dict[str, metadata.Distribution] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(canonicalize_name(name), "")]
    while waiting:
        wanted = waiting.pop()
        if wanted in seen:
            continue
        seen.add(wanted)
        package, extra = wanted
        try:
            distribution = found.get(package) or metadata.distribution(package)
        except metadata.PackageNotFoundError:
            continue
        found[package] = distribution
        for requirement in map(Requirement, distribution.requires or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                required = canonicalize_name(requirement.name)
                waiting += [(required, option) for option in ("", *requirement.extras)]
    return found


def _modules(distribution: metadata.Distribution) -> set[tuple[str, ...]]:
    """The topmost packages and modules. Other distributions may add to a folder without `__init__.py`."""
    files = [file for file in distribution.files or () if file.suffix in (".py", ".so", ".pyd")]
    packages = {file.parent.parts for file in files if file.stem == "__init__" and not _is_shared(file)}
    modules = set()
    for file in files:
        if ".." in file.parts:  # a script
            continue
        above = (file.parts[:length] for length in range(1, len(file.parts)))
        modules.add(next((part for part in above if part in packages), _module(file)))
    return {name for name in modules if name[-1] != "__init__"}


def _is_shared(file: metadata.PackagePath) -> bool:
    """Whether a topmost package, such as `databricks`, includes all folders of its name in its path."""
    if len(file.parts) != 2 or file.suffix != ".py":
        return False
    path = Path(str(file.locate()))
    return path.is_file() and "extend_path" in path.read_text(encoding="utf-8", errors="replace")


def _module(file: PurePosixPath) -> tuple[str, ...]:
    return (*file.parts[:-1], file.name.split(".")[0])

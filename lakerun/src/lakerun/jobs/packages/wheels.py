"""Unpacks deployed wheels into folders that workers import from, one per distinct content: `Wheels`."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import threading
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from packaging.utils import canonicalize_name

from lakerun.errors import LakerunError
from lakerun.jobs.packages.owned_names import owned_names

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WheelSet:
    """The unpacked wheels of one task. `key` identifies their contents; `packages` are the wheels' names.

    It is empty for tasks that use only installed packages.
    """

    key: str
    folders: tuple[Path, ...]
    packages: frozenset[str]


class Wheels:
    """Unpacked wheels below `root`. Safe to use from several threads."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._known: dict[tuple[str, int, int], str] = {}

    def unpack(self, files: Sequence[str | Path]) -> WheelSet:
        """Unpack wheels, each content only once; LakerunError for a file that is not a wheel.

        Every deployment builds wheels with a new version, so only their code is compared. Modules that
        would replace the runtime, its dependencies or Python's library are not unpacked; the log names them.
        """
        keys, folders, packages = [], [], []
        for file in map(Path, files):
            key = self._key(file)
            folder = self._root / key
            with self._lock:
                if not folder.exists():
                    _extract(file, folder)
            keys.append(key)
            folders.append(folder)
            packages.append(file.name.split("-")[0].lower())
        return WheelSet("-".join(keys), tuple(folders), frozenset(packages))

    def _key(self, file: Path) -> str:
        try:
            state = file.stat()
        except OSError:
            raise LakerunError(f"The wheel {file.name} is missing: deploy the bundle again.") from None
        known = (str(file), state.st_mtime_ns, state.st_size)
        if known not in self._known:
            self._known[known] = _content_key(file)
            _log_skipped(file)
        return self._known[known]


def _content_key(file: Path) -> str:
    """A hash of the wheel's code and entry points, without the rest of its metadata."""
    found = hashlib.sha256()
    try:
        with zipfile.ZipFile(file) as wheel:
            for name in sorted(_members(file, wheel)):
                folder = PurePosixPath(name).parts[0]
                if not folder.endswith(".dist-info") or name.endswith("/entry_points.txt"):
                    found.update(_stable(name).encode() + b"\0" + wheel.read(name) + b"\0")
    except (zipfile.BadZipFile, OSError, IndexError):
        raise LakerunError(f"{file.name} is not a wheel: it cannot be read as a zip file.") from None
    return found.hexdigest()[:20]


def _members(file: Path, wheel: zipfile.ZipFile) -> list[str]:
    """The members that can be unpacked without replacing something that the runtime needs."""
    owned = owned_names()
    is_dependency = canonicalize_name(file.name.split("-")[0]) in owned.distributions
    return [
        name
        for name in wheel.namelist()
        if not (is_dependency and PurePosixPath(name).parts[0].endswith(".dist-info"))
        and owned.owner_of(name) is None
    ]


def _log_skipped(file: Path) -> None:
    with zipfile.ZipFile(file) as wheel:
        owners = {owner for name in wheel.namelist() if (owner := owned_names().owner_of(name))}
    if owners:
        verb = "are" if len(owners) > 1 else "is"
        listed = ", ".join(sorted(owners))
        logger.warning(
            "%s: %s %s not taken from the wheel: the runtime needs its own.", file.name, listed, verb
        )


def _stable(name: str) -> str:
    """A member's name without the version in the name of its metadata folder."""
    return "entry_points.txt" if name.endswith(".dist-info/entry_points.txt") else name


def _extract(file: Path, folder: Path) -> None:
    """Unpack atomically, so that a kill does not leave half of a package."""
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    with zipfile.ZipFile(file) as wheel:
        wheel.extractall(partial, _members(file, wheel))
    partial.rename(folder)

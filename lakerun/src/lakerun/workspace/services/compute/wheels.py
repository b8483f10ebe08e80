"""Deployed wheels as folders that a worker can import from, one per distinct content: `Wheels`."""

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
from lakerun.workspace.services.compute.owned_names import owned_names

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WheelSet:
    """The wheels of one task, unpacked. `key` tells contents apart; `packages` are the wheels' names.

    An empty one stands for the installed package.
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
        """The wheels' contents, unpacked once; LakerunError for a file that is not a wheel.

        Every deployment builds a new wheel with a version of its own, so the code in it decides. What would
        replace the runtime, its dependencies or Python's library is not unpacked; the log names it.
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
            raise LakerunError(f"The wheel {file.name} is not there: deploy the bundle again.") from None
        known = (str(file), state.st_mtime_ns, state.st_size)
        if known not in self._known:
            self._known[known] = _content_key(file)
            _log_left_out(file)
        return self._known[known]


def _content_key(file: Path) -> str:
    """A hash of the wheel's code and entry points, without the rest of its metadata."""
    found = hashlib.sha256()
    try:
        with zipfile.ZipFile(file) as wheel:
            for name in sorted(_taken(file, wheel)):
                folder = PurePosixPath(name).parts[0]
                if not folder.endswith(".dist-info") or name.endswith("/entry_points.txt"):
                    found.update(_stable(name).encode() + b"\0" + wheel.read(name) + b"\0")
    except (zipfile.BadZipFile, OSError, IndexError):
        raise LakerunError(f"{file.name} is not a wheel: it cannot be read as a zip file.") from None
    return found.hexdigest()[:20]


def _taken(file: Path, wheel: zipfile.ZipFile) -> list[str]:
    """The members that can be unpacked without replacing something that the runtime needs."""
    owned = owned_names()
    is_dependency = canonicalize_name(file.name.split("-")[0]) in owned.distributions
    return [
        name
        for name in wheel.namelist()
        if not (is_dependency and PurePosixPath(name).parts[0].endswith(".dist-info"))
        and owned.owner_of(name) is None
    ]


def _log_left_out(file: Path) -> None:
    with zipfile.ZipFile(file) as wheel:
        owners = {owner for name in wheel.namelist() if (owner := owned_names().owner_of(name))}
    if owners:
        verb = "are" if len(owners) > 1 else "is"
        listed = ", ".join(sorted(owners))
        logger.warning(
            "%s: %s %s not taken from the wheel: the runtime needs its own.", file.name, listed, verb
        )


def _stable(name: str) -> str:
    """A member's name without the version that its metadata folder has in it."""
    return "entry_points.txt" if name.endswith(".dist-info/entry_points.txt") else name


def _extract(file: Path, folder: Path) -> None:
    """In one step, so that a kill leaves no half package."""
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    with zipfile.ZipFile(file) as wheel:
        wheel.extractall(partial, _taken(file, wheel))
    partial.rename(folder)

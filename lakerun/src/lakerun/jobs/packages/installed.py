"""The packages that a task asks for, as folders to import from: `Packages`."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from lakerun.bundles.dependencies import placed
from lakerun.errors import LakerunError
from lakerun.jobs.packages.owned_names import owned_names
from lakerun.jobs.packages.requirements import Requirements, read_requirements
from lakerun.jobs.packages.wheels import Wheels
from lakerun.spark.java import cache_root
from lakerun.tables.storage import Storage
from lakerun.volumes.paths import VolumePaths

logger = logging.getLogger(__name__)
SECONDS = 900
# Packages of the index and of addresses; what comes from a folder is used in place.
ADDED = re.compile(r"^ \+ (\S+==\S+|\S+ @ (?!file:)\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class PackageSet:
    """The packages of one task. `key` tells contents apart; an empty one stands for what is installed.

    Code imports from `installed` before this environment's packages. `wheels` are unpacked wheels, `sources`
    the folders of projects that are used in place. `packages` are the names of wheels.
    """

    key: str = ""
    installed: tuple[Path, ...] = ()
    wheels: tuple[Path, ...] = ()
    sources: tuple[Path, ...] = ()
    packages: frozenset[str] = frozenset()


class Packages:
    """Unpacks wheels below `root`, and installs what is missing into a cache. Safe to use from threads.

    Paths like `/Volumes/...` are those of `storage`.
    """

    def __init__(self, root: Path, storage: Storage) -> None:
        self._wheels = Wheels(root)
        self._volumes = VolumePaths(storage)
        self._lock = threading.Lock()

    def prepare(
        self, dependencies: Sequence[str], say: Callable[[str], None] = lambda line: None
    ) -> PackageSet:
        """The packages that these lines ask for, as in a requirements file, every path absolute.

        Packages that this environment has are not installed again; nothing replaces the runtime. `say` gets
        a line when something is installed. Raises LakerunError in one line where that fails.
        """
        if not dependencies:
            return PackageSet()
        asked = read_requirements(placed(line, self._on_disk) for line in dependencies)
        unpacked = self._wheels.unpack(asked.wheels)
        missing = asked.missing()
        if not missing and not asked.projects:
            return PackageSet(unpacked.key, wheels=unpacked.folders, packages=unpacked.packages)
        key = _key(asked, missing)
        folder = cache_root() / "packages" / key
        with self._lock:
            if not folder.exists():
                say(f"Installing {', '.join([*missing, *(Path(p).name for p in asked.projects)])}")
                _install(asked, missing, folder)
        return PackageSet(
            "-".join(filter(None, [unpacked.key, key])),
            (folder,),
            unpacked.folders,
            tuple(_in_place(folder)),
            unpacked.packages,
        )

    def _on_disk(self, path: str) -> str:
        return self._volumes.local(path) or path


def _key(asked: Requirements, missing: Sequence[str]) -> str:
    """A hash of all that decides what an installation brings, but for what the index has by then."""
    found = hashlib.sha256(repr((sys.version_info[:2], missing, asked.options, _pinned())).encode())
    for project in asked.projects:
        found.update(project.encode())
        for name in ("pyproject.toml", "setup.py", "setup.cfg"):
            file = Path(project.partition("[")[0], name)
            found.update(file.read_bytes() if file.is_file() else b"-")
    return found.hexdigest()[:20]


def _pinned() -> list[str]:
    """The runtime and all that it needs, in their installed versions."""
    return sorted(f"{name}=={metadata.version(name)}" for name in owned_names().distributions)


def _install(asked: Requirements, missing: Sequence[str], folder: Path) -> None:
    """Resolve with the runtime's versions given, and install the rest; in one step, for a kill's sake."""
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    target = partial / "target"
    target.mkdir(parents=True)
    wanted, pins, rest = (partial / name for name in ("wanted.txt", "pins.txt", "rest.txt"))
    projects = [f"-e {project}" for project in asked.projects]
    wanted.write_text("\n".join([*missing, *projects]) + "\n", encoding="utf-8")
    pins.write_text("\n".join(_pinned()) + "\n", encoding="utf-8")
    try:
        # Nothing is installed into this environment, but what it has counts.
        trial = ["--dry-run", "--break-system-packages", "--constraint", str(pins)]
        planned = ADDED.findall(uv_pip("install", *trial, "--requirement", str(wanted), *asked.options))
        rest.write_text("\n".join([*planned, *projects]) + "\n", encoding="utf-8")
        into = ["--no-deps", "--target", str(target)]
        uv_pip("install", *into, "--requirement", str(rest), *asked.options)
        _leave_out_owned(target)
        if not folder.exists():
            target.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def uv_pip(*arguments: str) -> str:
    """What `uv pip` answers about this environment; LakerunError in one line where it fails."""
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None:
        raise LakerunError("Packages are installed by uv, which is not on the PATH: install uv.")
    try:
        done = subprocess.run(
            [uv, "pip", *arguments, "--python", sys.executable, "--no-progress", "--color=never"],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise LakerunError(f"uv pip {arguments[0]} did not end within {SECONDS} s.") from None
    if done.returncode:
        words = re.sub(r"[^\x20-\x7e]+", " ", done.stderr).split()  # without the frame around the message
        problem = "Packages cannot be installed" if arguments[0] == "install" else f"uv pip {arguments[0]}"
        raise LakerunError(f"{problem}: {' '.join(words).removeprefix('error: ')}")
    return f"{done.stdout}{done.stderr}"


def _leave_out_owned(folder: Path) -> None:
    """Delete what would replace the runtime, its dependencies or Python's library."""
    owners = set()
    for file in [file for file in folder.rglob("*") if file.is_file()]:
        if owner := owned_names().owner_of(file.relative_to(folder).as_posix()):
            owners.add(owner)
            file.unlink()
    if owners:
        logger.warning("%s not installed: the runtime needs its own.", ", ".join(sorted(owners)))


def _in_place(folder: Path) -> list[Path]:
    """The folders that `.pth` files name, as an editable installation leaves them."""
    lines = [line for file in folder.glob("*.pth") for line in file.read_text(encoding="utf-8").splitlines()]
    return [Path(line) for line in lines if Path(line).is_absolute() and Path(line).is_dir()]

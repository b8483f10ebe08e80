"""Maps `/Volumes/...` and `/Workspace/...` to folders on this machine: `VolumePaths`.

On Databricks both are folders of the machine that runs the code. Here they are folders of the data folder.
"""

from __future__ import annotations

import os
import re
import sys
from functools import cached_property
from pathlib import Path

from lakerun.errors import LakerunError
from lakerun.tables.storage import Storage

VOLUMES, WORKSPACE, DBFS = "/Volumes", "/Workspace", "/dbfs"
ROOTS = (VOLUMES, WORKSPACE, DBFS)
LEVELS = 3  # catalog, schema, volume
WRITE_A_VOLUME = "write /Volumes/<catalog>/<schema>/<volume>/..."
_MAYBE = re.compile(r"Volumes|Workspace|dbfs")
_SLASHES = re.compile("/+")


class VolumeError(LakerunError, OSError):
    """A path that cannot be used, in one line. Code that expects an OSError, as on Databricks, gets one."""

    code = "INVALID_VOLUME_PATH"

    def __str__(self) -> str:
        return self.message


class NoVolumeError(VolumeError, FileNotFoundError):
    """The path's volume does not exist."""


class VolumePaths:
    """Maps paths in code for Databricks to paths in a data folder, and back."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def local(self, path: str, *, making: bool = False) -> str | None:
        """The path on this machine; None for a path that needs no mapping.

        `making` says that the call creates the file or folder itself. Raises NoVolumeError if the path's
        volume does not exist, VolumeError for a path outside of the data folder.
        """
        if not _MAYBE.search(path):
            return None
        bare = path.removeprefix("dbfs:")
        if bare is not path:
            bare = bare if bare.startswith("/") else f"/{bare}"
            if _names(bare)[:1] != ["Volumes"]:
                raise VolumeError(f"'{path}' is not in a volume: {WRITE_A_VOLUME}")
        whole = os.path.abspath(bare)  # noqa: PTH100 - links stay
        names = _names(whole)
        asked = _names(bare)[:1] if bare.startswith("/") else names[:1]
        if names[:1] == ["dbfs"]:
            names = names[1:]
            if names[:1] != ["Volumes"]:
                raise VolumeError(f"'{path}' is in the DBFS root, which is not here: {WRITE_A_VOLUME}")
        if names[:1] == ["Volumes"]:
            if names[1:2] and names[1] in self._disks:
                return None
            self._check_volume(path, names[1:], making)
            return self._inside(path, self.storage.volumes_root, names[1:])
        if names[:1] == ["Workspace"]:
            return self._inside(path, self.storage.home / "workspace" / "files", names[1:])
        if asked and f"/{asked[0]}" in ROOTS:
            raise VolumeError(f"'{path}' leads out of /{asked[0]}.")
        return None

    def shown(self, path: str) -> str:
        """A path below the volumes' folder as `/Volumes/...`; any other path unchanged."""
        root = str(self.storage.volumes_root)
        return VOLUMES + path[len(root) :] if path == root or path.startswith(root + os.sep) else path

    def _check_volume(self, path: str, names: list[str], making: bool) -> None:
        if len(names) < LEVELS:
            if making:
                raise VolumeError(f"'{path}' lies above the folders of a volume. {how_to_make(names)}")
            return
        if not self.storage.volumes_root.joinpath(*names[:LEVELS]).is_dir():
            volume = ".".join(names[:LEVELS])
            kind = VolumeError if making else NoVolumeError
            raise kind(f"Volume '{volume}' does not exist. {how_to_make(names)}")

    def _inside(self, path: str, root: Path, names: list[str]) -> str:
        found = root.joinpath(*names)
        if not Path(os.path.realpath(found)).is_relative_to(os.path.realpath(root)):
            raise VolumeError(f"'{path}' goes through a symbolic link that leads out of the data folder.")
        return str(found)

    @cached_property
    def _disks(self) -> frozenset[str]:
        """On macOS disks are in /Volumes too. Those that this process uses stay disks."""
        own = (self.storage.home, Path.cwd(), Path(sys.prefix), Path(sys.base_prefix), Path(__file__))
        return frozenset(
            place.parts[2] for place in own if place.parts[1:2] == ("Volumes",) and place.parts[2:]
        )


def how_to_make(names: list[str]) -> str:
    """The advice to create the volume with these names, some of which may be missing."""
    name = ".".join([*names, *("<catalog>", "<schema>", "<volume>")[len(names) :]][:LEVELS])
    return (
        f"Make it by spark.sql('CREATE VOLUME {name}'), or declare it under the bundle's resources.volumes."
    )


def _names(path: str) -> list[str]:
    return [name for name in _SLASHES.split(path) if name]

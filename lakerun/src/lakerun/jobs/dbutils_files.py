"""`dbutils.fs`: files in volumes, and with `file:/` those of this machine."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from lakerun.errors import LakerunError
from lakerun.tables.storage import Storage
from lakerun.volumes.paths import WRITE_A_VOLUME, VolumePaths


class FileInfo(NamedTuple):
    """A file or folder as `ls` lists it; a folder's name ends in a slash. Time in ms."""

    path: str
    name: str
    size: int
    modificationTime: int  # noqa: N815 - Databricks' name

    def isDir(self) -> bool:  # noqa: N802
        return self.name.endswith("/")

    def isFile(self) -> bool:  # noqa: N802
        return not self.isDir()


@dataclass
class Files:
    """Paths are `/Volumes/...` or `dbfs:/Volumes/...`; `file:/...` is this machine's own file."""

    storage: Storage

    def ls(self, path: str) -> list[FileInfo]:
        """The files and folders in a folder."""
        folder = self._there(path)
        found = sorted(folder.iterdir()) if folder.is_dir() else [folder]
        return [self._info(file) for file in found]

    def head(self, file: str, max_bytes: int = 65536) -> str:
        """The first bytes of a file, as UTF-8."""
        local = self._there(file)
        if local.is_dir():
            raise LakerunError(f"{file} is a folder.")
        with local.open("rb") as content:
            text = content.read(max_bytes).decode("utf-8", "replace")
        if local.stat().st_size > max_bytes:
            print(f"[Truncated to first {max_bytes} bytes]")
        return text

    def put(self, file: str, contents: str, overwrite: bool = False) -> bool:
        """Write a text, as UTF-8. Creates missing folders."""
        local = self._local(file, making=True)
        if local.exists() and not overwrite:
            raise LakerunError(f"{file} already exists: give overwrite=True to write it again.")
        local.parent.mkdir(parents=True, exist_ok=True)
        local.write_text(contents, encoding="utf-8")
        print(f"Wrote {len(contents.encode())} bytes.")
        return True

    def mkdirs(self, dir: str) -> bool:
        """Create a folder and the folders above it."""
        self._local(dir, making=True).mkdir(parents=True, exist_ok=True)
        return True

    def cp(self, from_: str, to: str, recurse: bool = False) -> bool:
        """Copy a file; with `recurse` a folder."""
        source, target = self._from_to(from_, to, recurse, "cp")
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, target)
        return True

    def mv(self, from_: str, to: str, recurse: bool = False) -> bool:
        """Move a file; with `recurse` a folder."""
        source, target = self._from_to(from_, to, recurse, "mv")
        shutil.move(source, target)
        return True

    def rm(self, dir: str, recurse: bool = False) -> bool:
        """Delete a file or an empty folder, with `recurse` any; False if there is none."""
        local = self._local(dir)
        if not local.exists():
            return False
        if local.is_dir():
            self._check_below_volume(dir, local)
            if any(local.iterdir()) and not recurse:
                raise LakerunError(f"{dir} is not empty: give recurse=True to delete what is in it.")
            shutil.rmtree(local)
        else:
            local.unlink()
        return True

    def __getattr__(self, name: str) -> Callable[..., Any]:
        raise not_here(f"dbutils.fs.{name}", "Use volumes." if "ount" in name else "")

    def _from_to(self, from_: str, to: str, recurse: bool, verb: str) -> tuple[Path, Path]:
        source, target = self._there(from_), self._local(to)
        if source.is_dir() and not recurse:
            raise LakerunError(f"{from_} is a folder: give recurse=True to {verb} it.")
        if target.is_dir() and (verb == "mv" or source.is_file()):
            target /= source.name
        else:
            target = self._local(to, making=True)
        if source.is_dir() and verb == "mv":
            self._check_below_volume(from_, source)
        target.parent.mkdir(parents=True, exist_ok=True)
        return source, target

    def _there(self, path: str) -> Path:
        local = self._local(path)
        if not local.exists():
            raise LakerunError(f"There is no file or folder {path}.")
        return local

    def _local(self, path: str, *, making: bool = False) -> Path:
        if path.startswith("file:/"):
            own = "/" + path.removeprefix("file:").lstrip("/")
            return Path(VolumePaths(self.storage).local(own, making=making) or own)
        local = VolumePaths(self.storage).local(path, making=making)
        if local is None and Path(path).resolve().is_relative_to(self.storage.volumes_root.resolve()):
            local = path
        if local is None:
            raise LakerunError(f"{path} is not in a volume: {WRITE_A_VOLUME}")
        return Path(local)

    def _check_below_volume(self, path: str, local: Path) -> None:
        if self.storage.volumes_root.is_relative_to(local) or (
            local.is_relative_to(self.storage.volumes_root)
            and len(local.relative_to(self.storage.volumes_root).parts) <= 3
        ):
            raise LakerunError(f"{path} is not within a volume: a volume itself goes by DROP VOLUME.")

    def _info(self, file: Path) -> FileInfo:
        stat = file.stat()
        slash = "/" if file.is_dir() else ""
        shown = VolumePaths(self.storage).shown(str(file))
        scheme = "file:" if shown == str(file) else "dbfs:"
        size = 0 if slash else stat.st_size
        return FileInfo(f"{scheme}{shown}{slash}", file.name + slash, size, int(stat.st_mtime * 1000))


def not_here(name: str, hint: str = "") -> AttributeError:
    """The error for a part of `dbutils` that a laptop does not have: `hasattr` is false."""
    return NotHereError(f"{name} is not available here. {hint}".rstrip())


class NotHereError(LakerunError, AttributeError):
    """A name that Databricks has and this runtime does not."""

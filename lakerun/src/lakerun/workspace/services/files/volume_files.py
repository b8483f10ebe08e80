"""The Files API over Unity Catalog volumes, in the folders that pipelines read."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from lakerun.tables.storage import Storage
from lakerun.workspace.errors import ApiError, invalid
from lakerun.workspace.paging import page_after, page_size
from lakerun.workspace.paths import present

if TYPE_CHECKING:
    from lakerun.workspace.services import Settings

LEVELS = 3  # catalog, schema, volume
MAX_PAGE = 1000
MAX_NAME, MAX_PATH = 255, 2048  # bytes
NOT_EMPTY = "FILES_API_DIRECTORY_IS_NOT_EMPTY"


@dataclass(frozen=True)
class Entry:
    """A file or folder, with its path below /Volumes; only files have a size (bytes) and a time (ms)."""

    path: str
    name: str
    is_directory: bool
    file_size: int | None = None
    last_modified: int | None = None


class VolumeFiles:
    """Paths are absolute, `/Volumes/<catalog>/<schema>/<volume>/...`; no path leaves its volume."""

    def __init__(self, settings: Settings, storage: Storage) -> None:
        self._root = storage.volumes_root
        self._uploads = storage.home / "workspace" / "uploads"
        self._max_bytes = settings.max_upload_bytes

    def file(self, path: str) -> Path:
        """The file on disk for `path`; NOT_FOUND if there is no file."""
        found = self._locate(path)
        if not found.is_file():
            raise no_file(path)
        return found

    def delete_file(self, path: str) -> None:
        with present(no_file(path)):
            self.file(path).unlink()

    async def write(
        self, path: str, chunks: AsyncIterator[bytes], overwrite: bool, size: int | None = None
    ) -> None:
        """Write a whole file atomically: a reader sees the old one or the new one. Creates missing folders.

        Raises REQUEST_TOO_LARGE above the server's limit, ALREADY_EXISTS for a file without `overwrite`.
        """
        if size is not None and size > self._max_bytes:
            raise self._too_large()
        target = self._locate(path)
        self._within_volume(path, target)
        self._check_free(path, target, overwrite)
        self._uploads.mkdir(parents=True, exist_ok=True)
        upload = self._uploads / uuid.uuid4().hex
        try:
            with upload.open("wb") as file:
                written = 0
                async for chunk in chunks:
                    written += len(chunk)
                    if written > self._max_bytes:
                        raise self._too_large()
                    file.write(chunk)
            self._make_folder(path, target.parent)
            self._check_free(path, target, overwrite)
            with present(_no_folder(path)):
                if overwrite:
                    upload.replace(target)
                else:
                    os.link(upload, target)  # unlike a rename, this fails if another upload was faster
        except FileExistsError:
            raise _exists(path) from None
        finally:
            upload.unlink(missing_ok=True)

    # Directories --------------------------------------------------------------------------------------

    def directory(self, path: str) -> Path:
        """The folder on disk for `path`; NOT_FOUND if there is none."""
        found = self._locate(path)
        if not found.is_dir() and found != self._root:
            raise _no_folder(path)
        return found

    def entries(self, path: str, size: int | None, page_token: str | None) -> tuple[list[Entry], str | None]:
        """One page of a folder's entries by name, and the token of the next page, None at the end."""
        folder = self.directory(path)
        size = page_size(size, MAX_PAGE, "page_size")
        with present(_no_folder(path)):
            names, following = page_after(sorted(_names(folder)), page_token, size, str)
        base = "/Volumes" + "".join(f"/{part}" for part in folder.relative_to(self._root).parts)
        listed = [entry for name in names if (entry := _entry(folder / name, base))]
        return listed, following

    def make_directory(self, path: str) -> None:
        target = self._locate(path)
        self._within_volume(path, target, itself=True)
        self._make_folder(path, target)

    def delete_directory(self, path: str) -> None:
        folder = self.directory(path)
        self._within_volume(path, folder)
        try:
            folder.rmdir()
        except OSError:
            if not folder.is_dir():
                return
            raise ApiError("BAD_REQUEST", f"The directory is not empty: {path}", reason=NOT_EMPTY) from None

    # Paths --------------------------------------------------------------------------------------------

    def _locate(self, path: str) -> Path:
        parts = [part for part in path.split("/") if part]
        if not parts or parts[0] != "Volumes":
            raise invalid(
                f"path: '{path}' is not a path in a volume: /Volumes/<catalog>/<schema>/<volume>/..."
            )
        found = self._root
        for part in parts[1:]:
            check_name(part, path)
            found = found / part
            if found.is_symlink():
                raise ApiError("PERMISSION_DENIED", f"path: '{path}' goes through a symbolic link.")
        return found

    def _within_volume(self, path: str, target: Path, itself: bool = False) -> None:
        parts = target.relative_to(self._root).parts
        if len(parts) < LEVELS + (not itself):
            raise invalid(f"path: '{path}' is above the folders of a volume.")
        volume = self._root.joinpath(*parts[:LEVELS])
        if not volume.is_dir():
            raise ApiError("NOT_FOUND", f"Volume '{'.'.join(parts[:LEVELS])}' does not exist.")

    def _make_folder(self, path: str, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise ApiError("ALREADY_EXISTS", f"The given path points to an existing file: {path}") from None
        except FileNotFoundError:  # a folder above it is deleted at the same time
            raise _no_folder(path) from None

    def _check_free(self, path: str, target: Path, overwrite: bool) -> None:
        if target.is_dir():
            raise ApiError("ALREADY_EXISTS", f"The given path points to an existing directory: {path}")
        if target.exists() and not overwrite:
            raise _exists(path)

    def _too_large(self) -> ApiError:
        return ApiError(
            "REQUEST_TOO_LARGE", f"The file is larger than {self._max_bytes} bytes, the limit here."
        )


def check_name(name: str, path: str) -> None:
    """Refuse a part of a path that is not a plain name, also if it is percent-encoded."""
    if len(name.encode(errors="replace")) > MAX_NAME or len(path.encode(errors="replace")) > MAX_PATH:
        raise invalid(f"path: it is longer than {MAX_PATH} bytes, or a name in it than {MAX_NAME}.")
    decoded = name
    while (again := unquote(decoded)) != decoded:
        decoded = again
    if decoded in (".", "..") or re.search(r"[/\\\x00-\x1f\x7f\ud800-\udfff\ufffd]", decoded):
        raise invalid(f"path: '{path}' has a part that is not a valid name.")


def _names(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()] if folder.is_dir() else []


def _entry(file: Path, base: str) -> Entry | None:
    try:
        status = file.lstat()
    except FileNotFoundError:  # deleted since the folder was read
        return None
    if file.is_symlink():
        return None
    path = f"{base}/{file.name}"
    if file.is_dir():
        return Entry(path, file.name, True, last_modified=status.st_mtime_ns // 1_000_000)
    return Entry(path, file.name, False, status.st_size, status.st_mtime_ns // 1_000_000)


def no_file(path: str) -> ApiError:
    """The error for a path without a file."""
    return ApiError("NOT_FOUND", f"The file being accessed is not found: {path}")


def _no_folder(path: str) -> ApiError:
    return ApiError("NOT_FOUND", f"The directory being accessed is not found: {path}")


def _exists(path: str) -> ApiError:
    return ApiError("ALREADY_EXISTS", f"The file being created already exists: {path}")

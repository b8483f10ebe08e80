"""Workspace files, notebooks and folders: a folder tree on disk, and metadata in the store.

`/Workspace/Users/me` and `/Users/me` are the same folder. The disk decides what exists; the store adds
object ids and, for notebooks, the language. A finished file is renamed into place, so that no client reads
half of it.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lakerun.workspace.errors import ApiError, invalid
from lakerun.workspace.paths import checked_names, file_inside, present
from lakerun.workspace.services.access.permissions import PermissionService
from lakerun.workspace.services.checks import now_ms
from lakerun.workspace.store import Document, Store

KIND = "workspace_object"
NOTEBOOK_HEADERS = {
    ".py": (b"# Databricks notebook source", "PYTHON"),
    ".sql": (b"-- Databricks notebook source", "SQL"),
    ".scala": (b"// Databricks notebook source", "SCALA"),
    ".r": (b"# Databricks notebook source", "R"),
}
LANGUAGES = ("PYTHON", "SQL", "SCALA", "R")
MOUNT = "Workspace"


@dataclass(frozen=True)
class Notebook:
    """A notebook's language and its format, `SOURCE` or `JUPYTER`."""

    language: str
    format: str = "SOURCE"


class WorkspaceFiles:
    """The tree in the folder `files` of `root`. Uploads are written beside it and renamed into it."""

    def __init__(self, store: Store, root: Path, user: str, permissions: PermissionService) -> None:
        self._store = store
        self._root = root / "files"
        self._uploads = root / "uploads"
        self._permissions = permissions
        shutil.rmtree(self._uploads, ignore_errors=True)  # left by a server that was killed
        self._uploads.mkdir(parents=True)
        for home in (f"Users/{user}", "Shared", "Repos"):
            (self._root / home).mkdir(parents=True, exist_ok=True)

    def local_path(self, path: str) -> Path:
        """The file or folder on disk for a workspace path, whether or not it exists."""
        return file_inside(self._root, _names(path))

    def status(self, path: str) -> Document:
        """The object at a path, as the API describes it; RESOURCE_DOES_NOT_EXIST if there is none."""
        names = _names(path)
        file = file_inside(self._root, names)
        if not file.exists():
            raise absent(path)
        with present(absent(path)):
            return self._info(names, file, _prefix(path))

    def list(self, path: str) -> list[Document]:
        """A folder's objects by name; for a file, the file itself, as on Databricks."""
        names = _names(path)
        folder = file_inside(self._root, names)
        if not folder.exists():
            raise absent(path)
        with present(absent(path)):
            if not folder.is_dir():
                return [self._info(names, folder, _prefix(path))]
            children = sorted(child for child in folder.iterdir() if not child.is_symlink())
        found = []
        with self._store.transaction():
            for child in children:
                with suppress(FileNotFoundError):  # deleted since the folder was read
                    found.append(self._info((*names, child.name), child, _prefix(path)))
        return found

    def mkdirs(self, path: str) -> None:
        """Create a folder and its parents; an existing one is fine."""
        folder = self.local_path(path)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise ApiError(
                "RESOURCE_ALREADY_EXISTS", f"path: there is a file in the place of the folder {path}."
            ) from None
        except FileNotFoundError:  # a folder above it is deleted at the same time
            raise absent(path) from None

    def new_upload(self) -> Path:
        """A path to write a request's body to, before `save` moves it into place."""
        return self._uploads / uuid.uuid4().hex

    def save(self, path: str, upload: Path, *, overwrite: bool) -> str:
        """Put an uploaded file at `path`; one with a notebook's header becomes a notebook without extension.

        Returns the path of the object. RESOURCE_DOES_NOT_EXIST (404) if its folder does not exist,
        RESOURCE_ALREADY_EXISTS (409) if the object does and `overwrite` is false.
        """
        notebook = _sniff(Path(path).suffix.lower(), upload)
        if notebook:
            path = path[: -len(Path(path).suffix)]
        return self._place(path, upload, notebook, overwrite=overwrite)

    def save_notebook(self, path: str, upload: Path, notebook: Notebook, *, overwrite: bool) -> str:
        """Put an uploaded notebook at exactly `path`."""
        return self._place(path, upload, notebook, overwrite=overwrite)

    def save_file(self, path: str, upload: Path, *, overwrite: bool) -> str:
        """Put an uploaded file at exactly `path`, as a plain file even if it has a notebook's header."""
        return self._place(path, upload, None, overwrite=overwrite)

    def readable(self, path: str) -> Path:
        """The file on disk behind a file or notebook; INVALID_PARAMETER_VALUE for a folder."""
        file = self.local_path(path)
        if file.is_dir():
            raise invalid(f"path: {path} is a folder; only files and notebooks can be read.")
        if not file.exists():
            raise absent(path)
        return file

    def delete(self, path: str, *, recursive: bool) -> None:
        """Delete an object atomically; a folder that is not empty only with `recursive`."""
        names = _names(path)
        file = file_inside(self._root, names)
        if not file.exists():
            raise absent(path)
        if len(names) < 2 or (names[0] == "Users" and len(names) == 2):
            raise ApiError(
                "PERMISSION_DENIED", f"path: {path} is part of the workspace; it cannot be deleted."
            )
        with present(absent(path)):
            if file.is_dir() and not recursive and any(file.iterdir()):
                raise ApiError("DIRECTORY_NOT_EMPTY", f"Folder ({path}) is not empty.", 400)
        trash = self.new_upload()
        with present(absent(path)):
            file.rename(trash)
        below = [names]
        if trash.is_dir():
            below += [(*names, *found.relative_to(trash).parts) for found in trash.rglob("*")]
        with self._store.transaction():
            for gone in below:
                self._forget(gone)
        if trash.is_dir():
            # A file that was being written there meanwhile goes at the next start, with the other uploads.
            shutil.rmtree(trash, ignore_errors=True)
        else:
            trash.unlink()

    def _place(self, path: str, upload: Path, notebook: Notebook | None, *, overwrite: bool) -> str:
        names = _names(path)
        target = file_inside(self._root, names)
        if not names:
            raise invalid(f"path: {path} is a folder.")
        if target.is_dir():
            raise ApiError("RESOURCE_ALREADY_EXISTS", f"path: {path} is a folder.")
        try:
            if overwrite:
                upload.replace(target)
            else:
                os.link(upload, target)  # fails if it exists, even when several try at once
                upload.unlink()
        except (FileExistsError, IsADirectoryError):
            raise ApiError("RESOURCE_ALREADY_EXISTS", f"{path} already exists.", 409) from None
        except (FileNotFoundError, NotADirectoryError):
            parent = path.rsplit("/", 1)[0] or "/"
            raise ApiError(
                "RESOURCE_DOES_NOT_EXIST", f"The parent folder ({parent}) does not exist."
            ) from None
        self._note(names, notebook)
        return path

    def _note(self, names: tuple[str, ...], notebook: Notebook | None) -> None:
        """Record the type of a written object if it changed."""
        with self._store.transaction():
            known = self._store.get(KIND, _key(names))
            if known is None and notebook is None:
                return  # a file gets its id when a client asks for it
            if known is None:
                known = self._new(names)
            noted = {key: known[key] for key in ("object_id", "created_at", "path")} | _described(notebook)
            if noted != known:
                self._store.put(KIND, _key(names), noted, noted["object_id"])

    def _info(self, names: tuple[str, ...], file: Path, prefix: str) -> Document:
        stat = file.stat()
        known = self._store.get(KIND, _key(names))
        if known is None:
            known = self._identified(names, file)
        info = {
            **known,
            "resource_id": str(known["object_id"]),
            "path": f"{prefix}/{'/'.join(names)}" if names else prefix or "/",
            "modified_at": stat.st_mtime_ns // 1_000_000,
        }
        if known["object_type"] != "DIRECTORY":
            info["size"] = stat.st_size
        return info

    def _identified(self, names: tuple[str, ...], file: Path) -> Document:
        if file.is_dir():
            described = {"object_type": "DIRECTORY"}
        else:
            described = _described(_sniff("", file) if not file.suffix else None)
        with self._store.transaction():
            found = self._store.get(KIND, _key(names))
            if found is None:
                found = self._new(names) | described
                self._store.put(KIND, _key(names), found, found["object_id"])
        return found

    def _new(self, names: tuple[str, ...]) -> Document:
        return {"object_id": self._store.next_id(), "path": _key(names), "created_at": now_ms()}

    def _forget(self, names: tuple[str, ...]) -> None:
        known = self._store.get(KIND, _key(names))
        if known is None:
            return
        self._store.delete(KIND, _key(names))
        for object_type in ("directories", "files", "notebooks"):
            self._permissions.forget(object_type, known["object_id"])


def _names(path: str) -> tuple[str, ...]:
    names = checked_names(path)
    return names[1:] if names[:1] == (MOUNT,) else names


def _prefix(path: str) -> str:
    """`/Workspace` if the client's path starts with it."""
    return f"/{MOUNT}" if checked_names(path)[:1] == (MOUNT,) else ""


def _key(names: tuple[str, ...]) -> str:
    return "/" + "/".join(names)


def absent(path: str) -> ApiError:
    """The error for a path without an object."""
    return ApiError("RESOURCE_DOES_NOT_EXIST", f"Path ({path}) doesn't exist.")


def _described(notebook: Notebook | None) -> Document:
    if notebook is None:
        return {"object_type": "FILE"}
    return {
        "object_type": "NOTEBOOK",
        "language": notebook.language,
        "repos_export_format": notebook.format,
    }


def _sniff(suffix: str, file: Path) -> Notebook | None:
    """The notebook in a file, recognized by extension and header; without an extension, by the header."""
    if suffix == ".ipynb":
        return Notebook(_jupyter_language(file), "JUPYTER")
    if suffix and suffix not in NOTEBOOK_HEADERS:
        return None
    with file.open("rb") as content:
        first = content.read(64)
    for extension, (header, language) in NOTEBOOK_HEADERS.items():
        if suffix in ("", extension) and first.startswith(header):
            return Notebook(language)
    return None


def _jupyter_language(file: Path) -> str:
    try:
        metadata = json.loads(file.read_bytes())["metadata"]
        name = str(metadata["language_info"]["name"]).upper()
    except (ValueError, KeyError, TypeError):
        return "PYTHON"
    return name if name in LANGUAGES else "PYTHON"

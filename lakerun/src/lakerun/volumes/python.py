"""Lets Python's own file functions find `/Volumes/...` in the data folder: `mounted`.

`open`, `os`, and through them pathlib, shutil, glob, zipfile and pandas are mapped, and so are the commands
that code starts. A file that is opened in another way is refused, as it would not be the lakehouse's.
"""

from __future__ import annotations

import functools
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lakerun.patches import COMMANDS, FILE_CALLS, PATHLIB_CALLS, Patch, Replace, patched
from lakerun.tables.storage import Storage
from lakerun.volumes.libraries import reach_volumes, unreach_volumes
from lakerun.volumes.paths import ROOTS, VolumeError, VolumePaths

MAKING = ("makedirs", "mkdir", "mkfifo")
TWO_PATHS = ("link", "rename", "replace", "symlink")
PATH_ARGUMENTS = ("path", "file", "name", "src", "dst", "database")
AUDITED = (
    *("open", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.truncate"),
    "sqlite3.connect",
)
_BELOW_ROOTS = tuple(f"{root}/" for root in ROOTS)
_MODULES = {"posix": "os", "_io": "io", "_sqlite3": "sqlite3"}
_IN_TEXT = re.compile(r"(?<![\w.~/:-])/+(?:Volumes|Workspace|dbfs)/[^\s'\"`;|&<>()$]*")


@contextmanager
def mounted(storage: Storage) -> Iterator[None]:
    """In this context, the process finds the volumes of `storage` below `/Volumes`.

    All threads do, because Spark calls a task's functions in its own threads.
    """
    paths = VolumePaths(storage)
    _refuse_what_is_missed()
    with patched(_HOOKS):
        _mounted.append(paths)
        reach_volumes(on_disk)
        try:
            yield
        finally:
            unreach_volumes(on_disk)
            _mounted.remove(paths)


def volume_paths() -> VolumePaths | None:
    """The paths of the mounted volumes, if any."""
    return _mounted[-1] if _mounted else None


def on_disk(path: Any, *, making: bool = False) -> str | None:
    """A path on this machine, if the argument is a path that needs mapping."""
    paths = volume_paths()
    if paths is None or not isinstance(path, str | bytes | os.PathLike):
        return None
    text = os.fsdecode(path)
    if text.startswith("dbfs:"):
        raise VolumeError(f"'{text}' is a path for Spark and dbutils.fs; Python opens /Volumes/...")
    return paths.local(text, making=making)


def command_on_disk(text: str) -> str:
    """A command's text, with the paths in volumes replaced by those on this machine."""

    def place(found: re.Match[str]) -> str:
        local = on_disk(found[0])
        if local is not None and shlex.quote(local.replace("*", "")) != local.replace("*", ""):
            raise VolumeError(
                f"'{found[0]}' cannot be given to a command: the data folder's path needs quotes in a shell. "
                "Set LAKEHOUSE_HOME to a folder without spaces in its name."
            )
        return local or found[0]

    return _IN_TEXT.sub(place, text)


_mounted: list[VolumePaths] = []


@functools.cache
def _mapped(original: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which also accepts paths in volumes."""
    name, making = original.__name__, original.__name__ in MAKING
    count = 2 if name in TWO_PATHS else 1

    @functools.wraps(original)
    def call(*args: Any, **options: Any) -> Any:
        given: dict[str, Any] = {}

        def place(path: Any) -> Any:
            local = on_disk(path, making=making)
            if local is None:
                return path
            given[local] = path
            return local

        places = [place(path) for path in args[:count]]
        named = {key: place(value) for key, value in options.items() if key in PATH_ARGUMENTS}
        if not given:
            return original(*args, **options)
        try:
            made = original(*places, *args[count:], **(options | named))
        except OSError as error:
            error.filename = given.get(error.filename, error.filename)
            error.filename2 = given.get(error.filename2, error.filename2)
            raise
        if name == "scandir":
            return _Entries(made, os.fspath(given.popitem()[1]))
        return made

    # Functions are pickled by the module that has them.
    call.__module__ = {"posix": "os", "_io": "io", "_sqlite3": "sqlite3"}.get(
        call.__module__, call.__module__
    )
    for kept in (os.supports_dir_fd, os.supports_fd, os.supports_effective_ids, os.supports_follow_symlinks):
        if original in kept:
            kept.add(call)
    return call


class _Function:
    """A function as a class's attribute that does not become a method, as those of C do not."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self._function(*args, **options)


def _commanded(original: Callable[..., Any]) -> Callable[..., Any]:
    """`os.system` or `Popen.__init__` for commands that name paths in volumes."""
    position = 0 if original.__name__ == "system" else 1  # after `self`

    def place(command: Any) -> Any:
        if isinstance(command, str):
            return command_on_disk(command)
        if isinstance(command, list | tuple):
            return [on_disk(part) or part if _is_path(part) else place(part) for part in command]
        return on_disk(command) or command

    @functools.wraps(original)
    def start(*args: Any, **options: Any) -> Any:
        if volume_paths() is not None:
            args = tuple(place(item) if at == position else item for at, item in enumerate(args))
            options |= {key: place(options[key]) for key in ("args", "command") if key in options}
            if "cwd" in options:
                options["cwd"] = on_disk(options["cwd"]) or options["cwd"]
        return original(*args, **options)

    return start


def _is_path(part: Any) -> bool:
    return isinstance(part, os.PathLike) or (isinstance(part, str) and part.startswith(_BELOW_ROOTS))


class _Entries:
    """The result of `os.scandir`, with paths as in its argument."""

    def __init__(self, entries: Any, folder: Any) -> None:
        self._entries, self._folder = entries, folder

    def __iter__(self) -> _Entries:
        return self

    def __next__(self) -> _Entry:
        return _Entry(next(self._entries), self._folder)

    def __enter__(self) -> _Entries:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._entries.close()


class _Entry:
    """An entry of a folder in a volume."""

    def __init__(self, entry: os.DirEntry[Any], folder: Any) -> None:
        self._entry = entry
        self.name = entry.name
        self.path = os.path.join(folder, entry.name)  # noqa: PTH118 - as bytes too

    def __fspath__(self) -> Any:
        return self.path

    def __getattr__(self, name: str) -> Any:
        return getattr(self._entry, name)

    def __repr__(self) -> str:
        return f"<DirEntry {self.name!r}>"


@functools.cache
def _refuse_what_is_missed() -> None:
    """Add a hook for every file that Python opens or changes; it stays until the process ends."""

    def check(event: str, args: tuple[Any, ...]) -> None:
        if event not in AUDITED or not _mounted:
            return
        for path in args[:2]:
            text = os.fsdecode(path) if isinstance(path, str | bytes) else ""
            if text.startswith(_BELOW_ROOTS) and on_disk(text):
                raise VolumeError(
                    f"'{text}' is opened by a library in a way that does not reach volumes here: "
                    "open the file in Python and give the library the open file."
                )

    sys.addaudithook(check)


_HOOKS: dict[Patch, Replace] = {
    **dict.fromkeys(FILE_CALLS, _mapped),
    **dict.fromkeys(PATHLIB_CALLS, lambda original: _Function(_mapped(original))),
    **dict.fromkeys(COMMANDS, _commanded),
}

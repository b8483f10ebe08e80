"""Gives tasks that share a process their own working directory and imports."""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from lakerun.jobs.packages.installed import PackageSet

WAIT_SECONDS = 0.1
CLONE_FS = 0x200  # of Linux's sched.h


@contextmanager
def working_folder(folder: Path) -> Iterator[None]:
    """In this context, the thread and those that it starts work in the folder, like a task on Databricks.

    On Linux and macOS the other threads keep theirs. If the system does not allow that, the folder is the
    whole process's until the context ends.
    """
    own = _own_folder(folder)
    before = Path.cwd()
    try:
        if not own:
            os.chdir(folder)
        yield
    finally:
        if not own:
            os.chdir(before)


def _own_folder(folder: Path) -> bool:
    """Give this thread its own working directory; returns whether that worked."""
    if threading.current_thread() is threading.main_thread():
        return False
    library = ctypes.CDLL(None)
    if sys.platform == "linux" and library.unshare(CLONE_FS) == 0:
        os.chdir(folder)
        return True
    if sys.platform == "darwin":
        return bool(library.pthread_chdir_np(os.fsencode(folder)) == 0)
    return False


@contextmanager
def own_imports(packages: PackageSet) -> Iterator[None]:
    """Within, code imports these packages. Waits while tasks with other packages run in this process.

    When the last of the tasks that run in parallel ends, their modules and import paths are removed. The next
    task then imports its files as they are. Modules on the process's own import path stay, as they are
    installed and do not change while it runs.
    """
    with _changed:
        while packages.key and any(other and other != packages.key for other in _inside):
            _changed.wait(WAIT_SECONDS)
        if not _inside:
            _at_first.append(_Imports(tuple(sys.path), frozenset(sys.modules), Path.cwd()))
        if packages.key not in _inside:
            _search(packages)
        _inside.append(packages.key)
    try:
        yield
    finally:
        with _changed:
            _inside.remove(packages.key)
            if not _inside:
                _restore(_at_first.pop())
            _changed.notify_all()


def _search(packages: PackageSet) -> None:
    sys.path[:0] = map(str, packages.installed)
    sys.path += map(str, (*packages.wheels, *packages.sources))  # the project's own code comes first
    importlib.invalidate_caches()


@dataclass(frozen=True)
class _Imports:
    """The import path, names of imported modules, and the folder from which relative entries start."""

    path: tuple[str, ...]
    modules: frozenset[str]
    folder: Path


_changed = threading.Condition()
_inside: list[str] = []  # the keys of the packages of running tasks
_at_first: list[_Imports] = []


def _restore(before: _Imports) -> None:
    kept = {before.folder / entry for entry in before.path}
    new = {name: module for name, module in list(sys.modules.items()) if name not in before.modules}
    # First all places: a package without `__init__.py` looks for its parent to tell its own.
    places = {name: _places(module) for name, module in new.items()}
    for name, found in places.items():
        if found and kept.isdisjoint(folder for place in found for folder in place.parents):
            del sys.modules[name]
    sys.path[:] = before.path
    for entry in sys.path_importer_cache.keys() - set(before.path):
        if not Path(entry).is_absolute():  # it is another folder in the next task
            del sys.path_importer_cache[entry]


def _places(module: ModuleType) -> list[Path]:
    """The module's file or a package's folders; none for a built-in module."""
    file = getattr(module, "__file__", None)
    return [Path(place) for place in ([file] if file else getattr(module, "__path__", []))]

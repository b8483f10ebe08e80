"""Lets libraries that open files in C find `/Volumes`: `reach_volumes`.

They do not use Python's `open`: their own functions get the path on this machine. A library is changed when
code imports it, and not imported for this. Outside of a mount the functions do what they always do.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

from lakerun.volumes.paths import ROOTS

Place = Callable[[str], str | None]
"""The path on this machine, if it is another one."""

# The functions that take paths, or SQL with paths, by module and class; the module's own are those of "".
_SQL = r"sql|query|execute(many)?|connect|cursor|table_function|extract_statements|get_table_names"
_ENTRIES: dict[str, dict[str, str]] = {
    "pyarrow": {"": r"(in|out)put_stream|(create_)?memory_map"},
    "pyarrow.csv": {"": r"(read|open|write)_csv"},
    "pyarrow.json": {"": r"(read|open)_json"},
    "pyarrow.feather": {"": r"(read|write)_\w+"},
    "pyarrow.orc": {"": r"(read|write)_table", "ORCFile": "__init__", "ORCWriter": "__init__"},
    "pyarrow.ipc": {"": r"(open|new)_(file|stream)", "RecordBatchFileReader": "__init__"},
    "pyarrow.dataset": {"": r"(parquet_)?dataset|write_dataset"},
    "pyarrow.fs": {"": "copy_files"},
    "pyarrow.parquet": {
        "": r"(read|write)_\w+",
        "ParquetFile": "__init__",
        "ParquetWriter": "__init__",
        "ParquetDataset": "__init__",
    },
    "deltalake": {
        "": r"write_deltalake|convert_to_deltalake",
        "DeltaTable": r"__init__|is_deltatable|create",
    },
    "duckdb": {
        "": rf"{_SQL}|(read|from|write)_\w+",
        "DuckDBPyConnection": rf"{_SQL}|(read|from)_\w+",
        "DuckDBPyRelation": rf"{_SQL}|(write|to)_(csv|parquet)",
    },
    "polars": {
        "": r"(read|scan)_\w+|sql",
        "DataFrame": r"write_\w+",
        "LazyFrame": r"sink_\w+",
        "SQLContext": "execute",
    },
}
# Classes in C, whose methods cannot be replaced: the module gets a class of its own in their place.
_CLASSES_IN_C: dict[str, dict[str, str]] = {
    "pyarrow": {"OSFile": ""},
    "pyarrow.csv": {"CSVWriter": "__init__"},
    "pyarrow.fs": {"LocalFileSystem": r"open_\w+|create_dir|delete_\w+|move|copy_file|get_file_info"},
}
_SEES_CALLERS_NAMES = ("duckdb",)
_ROOT = rf"/+(?:{'|'.join(root[1:] for root in ROOTS)})(?:/[^'\"]*)?"
_PATH = re.compile(rf"(?P<scheme>file:(?://)?)?(?P<path>{_ROOT})")
_IN_QUOTES = re.compile(rf"(?P<quote>['\"])(?:file:(?://)?)?(?P<path>{_ROOT})(?P=quote)")


def reach_volumes(place: Place) -> None:
    """Let the libraries, imported or not, ask `place` for each path below `/Volumes` and the like."""
    _place.append(place)
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    for name in _ENTRIES:
        if name in sys.modules:
            _change(sys.modules[name])


def unreach_volumes(place: Place) -> None:
    """Undo one call of `reach_volumes`."""
    _place.remove(place)


_place: list[Place] = []


class _Finder(MetaPathFinder):
    """Finds the libraries where Python does, and changes them once they are loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in _ENTRIES or not _place:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        _change(module)


def _change(module: ModuleType) -> None:
    placing = _in_callers_names if module.__name__ in _SEES_CALLERS_NAMES else _placing
    for owner, pattern in _ENTRIES[module.__name__].items():
        where = getattr(module, owner, None) if owner else module
        for name, function in list(vars(where).items()) if where is not None else ():
            if re.fullmatch(pattern, name):
                setattr(where, name, placing(function))
    for owner, pattern in _CLASSES_IN_C.get(module.__name__, {}).items():
        original = getattr(module, owner, None)
        if original is not None and not hasattr(original, _MARK):
            setattr(module, owner, _subclass(original, pattern))


_MARK = "_lakerun_places_paths"


def _placing(function: Any) -> Any:
    """The function, with paths on this machine as its arguments."""
    if isinstance(function, staticmethod | classmethod):
        return type(function)(_placing(function.__func__))
    if not callable(function) or isinstance(function, type) or hasattr(function, _MARK):
        return function

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        args, options = _given(args, options)
        return function(*args, **options)

    setattr(call, _MARK, True)
    return call


def _in_callers_names(function: Any) -> Any:
    """The same for a library whose SQL may name the variables of the code that calls it."""
    if not callable(function) or isinstance(function, type) or hasattr(function, _MARK):
        return function

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        caller = sys._getframe(1)
        names = {**caller.f_locals, "_call": (function, *_given(args, options))}
        return eval(_CALL, caller.f_globals, names)

    setattr(call, _MARK, True)
    return call


_CALL = compile("_call[0](*_call[1], **_call[2])", __file__, "eval")


def _subclass(original: Any, pattern: str) -> Any:
    def make(own: Any, *args: Any, **options: Any) -> Any:
        args, options = _given(args, options)
        return original.__new__(own, *args, **options)

    methods = {
        name: _placing(getattr(original, name)) for name in dir(original) if re.fullmatch(pattern, name)
    }
    names = {"__module__": original.__module__, "__qualname__": original.__qualname__, _MARK: True}
    return type(original.__name__, (original,), {"__new__": make, **names, **methods})


def _given(args: tuple[Any, ...], options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if not _place:
        return args, options
    return tuple(map(_placed, args)), {key: _placed(value) for key, value in options.items()}


def _placed(value: Any) -> Any:
    """The argument with the places of its paths: a path, a list of paths, or SQL with paths in quotes."""
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return type(value)(map(_placed, value))
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str):
        return value
    if found := _PATH.fullmatch(text):
        local = _place[-1](found["path"])
        return value if local is None else f"{found['scheme'] or ''}{local}"
    if isinstance(value, str) and "/" in text:
        return _IN_QUOTES.sub(_quoted, text)
    return value


def _quoted(found: re.Match[str]) -> str:
    local = _place[-1](found["path"])
    return found[0] if local is None else f"{found['quote']}{local}{found['quote']}"

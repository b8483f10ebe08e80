"""Every change that the runtime makes to the interpreter or to a library, and why: `PATCHES`, `patched`.

Code written for Databricks uses what open-source Spark and a plain Python process lack. The runtime adds it
by replacing their attributes, for as long as something needs it.
"""

from __future__ import annotations

import pkgutil
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

Replace = Callable[[Any], Any]
"""Returns the replacement for an attribute's value, which is `MISSING` if there is none."""

MISSING: Any = object()


@dataclass(frozen=True)
class Patch:
    """An attribute that the runtime replaces: of a module or class, or an entry of a dictionary.

    `target` names it as an entry point does, `module:object`. A `permanent` patch stays until the process
    ends; the others are undone when nothing needs them any more.
    """

    target: str
    attribute: str
    reason: str
    permanent: bool = False

    def owner(self) -> Any:
        """The module, class or dictionary, which is imported if necessary."""
        return _found(self.target)

    def value(self) -> Any:
        """The attribute as it is stored, without calling a descriptor; MISSING if there is none."""
        return _namespace(self.owner()).get(self.attribute, MISSING)


_BY_NAME = "A table is a Delta folder that Spark's catalog does not know; its name must find it."
_ARRIVED = "A stream of files reads only the files that had arrived when the update began."
_CONSOLE = "Tasks run in parallel in one process, and each has its own output and arguments."
_DECLARED = "Databricks' pipelines declare expectations and CDC flows, which open-source Spark lacks."
_MOUNTED = "Databricks mounts volumes as folders of the machine; here they are folders of the data folder."
_ASKED_ONCE = "PySpark asks the JVM for a class and its method at each use of a function."

READER_TABLE = Patch("pyspark.sql.readwriter:DataFrameReader", "table", _BY_NAME)
STREAM_TABLE = Patch("pyspark.sql.streaming.readwriter:DataStreamReader", "table", _BY_NAME)
SESSION_TABLE = Patch("pyspark.sql:SparkSession", "table", _BY_NAME)
FILE_STREAMS = tuple(
    Patch("pyspark.sql.streaming.readwriter:DataStreamReader", name, _ARRIVED)
    for name in ("load", "csv", "json", "orc", "parquet", "text", "xml")
)
CATALOG = tuple(
    Patch("pyspark.sql.catalog:Catalog", name, _BY_NAME)
    for name in (
        *("currentCatalog", "setCurrentCatalog", "listCatalogs", "currentDatabase", "setCurrentDatabase"),
        *("listDatabases", "getDatabase", "databaseExists", "listTables", "getTable", "listColumns"),
        *("tableExists", "createTable", "createExternalTable"),
    )
)
TABLE_WRITERS = (
    Patch("pyspark.sql.readwriter:DataFrameWriter", "saveAsTable", _BY_NAME),
    Patch("pyspark.sql.readwriter:DataFrameWriter", "insertInto", _BY_NAME),
    Patch("pyspark.sql.streaming.readwriter:DataStreamWriter", "toTable", _BY_NAME),
    Patch("pyspark.sql.classic.dataframe:DataFrame", "writeTo", _BY_NAME),
)
STATEMENTS = Patch("pyspark.sql:SparkSession", "sql", _BY_NAME)
ACTIVE_SESSION = Patch(
    "pyspark.sql:SparkSession",
    "getActiveSession",
    "PySpark keeps one active session for the process; tasks and flows side by side have sessions of their "
    "own. Spark starts when a task first asks for one.",
    permanent=True,
)
SESSION_BUILDER = Patch(
    "pyspark.sql:SparkSession.Builder",
    "getOrCreate",
    "PySpark gives every thread the process's first session; a pipeline has one with its configuration. "
    "Spark starts when a task first asks for one.",
)
JVM_NAMES = (
    Patch("py4j.java_gateway:JVMView", "__getattr__", _ASKED_ONCE, permanent=True),
    Patch("py4j.java_gateway:JavaClass", "__getattr__", _ASKED_ONCE, permanent=True),
)
EXPECTATIONS = tuple(
    Patch("pyspark.pipelines", name, _DECLARED)
    for name in (
        "expect",
        "expect_or_drop",
        "expect_or_fail",
        "expect_all",
        "expect_all_or_drop",
        "expect_all_or_fail",
    )
)
DECLARATIONS = tuple(
    Patch(
        "pyspark.pipelines",
        name,
        "Databricks' decorators have arguments that open-source Spark lacks, and each is checked.",
    )
    for name in ("table", "materialized_view", "temporary_view", "append_flow")
)
STREAMING_TABLES = Patch("pyspark.pipelines", "create_streaming_table", _DECLARED)
AUTO_CDC_FLOWS = Patch("pyspark.pipelines", "create_auto_cdc_flow", _DECLARED)
STDOUT = Patch("sys", "stdout", _CONSOLE)
STDERR = Patch("sys", "stderr", _CONSOLE)
ARGUMENTS = Patch("sys", "argv", _CONSOLE)
THREAD_START = Patch("threading:Thread", "start", "A thread that a task starts prints for that task.")
DBUTILS_MODULE = Patch(
    "sys:modules", "pyspark.dbutils", "Wheels and scripts import DBUtils, which open-source Spark lacks."
)
RUNTIME_MODULE = Patch(
    "sys:modules",
    "databricks.sdk.runtime",
    "Modules import the task's spark and dbutils from there; the SDK's own need a remote workspace.",
)
IMPORT_PATH = Patch("sys", "path", "Scripts, notebooks and pipelines' source files import their neighbours.")
FILE_CALLS = (
    Patch("builtins", "open", _MOUNTED),
    Patch("io", "open", _MOUNTED),
    Patch("bz2", "_builtin_open", _MOUNTED),
    Patch("tarfile", "bltn_open", _MOUNTED),
    Patch("sqlite3", "connect", _MOUNTED),
    *(
        Patch("os", name, _MOUNTED)
        for name in (
            *("access", "chdir", "chmod", "chown", "link", "listdir", "lstat", "makedirs", "mkdir", "mkfifo"),
            *("open", "pathconf", "readlink", "remove", "rename", "replace", "rmdir", "scandir", "stat"),
            *("statvfs", "symlink", "truncate", "unlink", "utime"),
        )
    ),
)
# From Python 3.13 on, pathlib keeps the functions that it searches folders with.
PATHLIB_CALLS = tuple(
    Patch("glob:_StringGlobber", name, _MOUNTED)
    for name in ("lstat", "scandir")
    if sys.version_info >= (3, 13)
)
_FORMATS = ("csv", "json", "orc", "parquet", "text", "xml", "option", "options")
SPARK_PATHS = tuple(
    Patch(f"pyspark.sql.{owner}", name, _MOUNTED)
    for owner, names in {
        "readwriter:DataFrameReader": ("load", *_FORMATS),
        "readwriter:DataFrameWriter": ("save", *_FORMATS),
        "streaming.readwriter:DataStreamReader": ("option", "options"),
        "streaming.readwriter:DataStreamWriter": ("start", "option", "options"),
    }.items()
    for name in names
)
CONNECT_MODE = Patch(
    "pyspark.sql.utils",
    "is_remote_only",
    "PySpark puts a whole process on Spark Connect; here tasks are on it beside pipelines that are not.",
)
CONNECT_ACTIVE_SESSION = Patch(
    "pyspark.sql.connect.session:SparkSession",
    "getActiveSession",
    "Each task on Spark Connect has a session of its own, in all of its threads.",
)
CONNECT_STATEMENTS = Patch("pyspark.sql.connect.session:SparkSession", "sql", _BY_NAME)


def _on_connect(patch: Patch) -> Patch:
    """The same method of Connect's class."""
    target = patch.target.replace("pyspark.sql.", "pyspark.sql.connect.").replace(
        "connect.classic", "connect"
    )
    return Patch(target, patch.attribute, patch.reason)


CONNECT_READER_TABLE, CONNECT_STREAM_TABLE = map(_on_connect, (READER_TABLE, STREAM_TABLE))
CONNECT_FILE_STREAMS = tuple(map(_on_connect, FILE_STREAMS))
CONNECT_CATALOG = tuple(map(_on_connect, CATALOG))
CONNECT_WRITERS = tuple(map(_on_connect, TABLE_WRITERS))
CONNECT_PATHS = tuple(map(_on_connect, SPARK_PATHS))
COMMANDS = (Patch("os", "system", _MOUNTED), Patch("subprocess:Popen", "__init__", _MOUNTED))

PATCHES: tuple[Patch, ...] = (
    READER_TABLE,
    STREAM_TABLE,
    SESSION_TABLE,
    *FILE_STREAMS,
    STATEMENTS,
    *CATALOG,
    *TABLE_WRITERS,
    ACTIVE_SESSION,
    SESSION_BUILDER,
    *JVM_NAMES,
    *EXPECTATIONS,
    *DECLARATIONS,
    STREAMING_TABLES,
    AUTO_CDC_FLOWS,
    STDOUT,
    STDERR,
    ARGUMENTS,
    THREAD_START,
    DBUTILS_MODULE,
    RUNTIME_MODULE,
    IMPORT_PATH,
    *FILE_CALLS,
    *PATHLIB_CALLS,
    *COMMANDS,
    *SPARK_PATHS,
    CONNECT_MODE,
    CONNECT_ACTIVE_SESSION,
    CONNECT_STATEMENTS,
    CONNECT_READER_TABLE,
    CONNECT_STREAM_TABLE,
    *CONNECT_FILE_STREAMS,
    *CONNECT_CATALOG,
    *CONNECT_WRITERS,
    *CONNECT_PATHS,
)


@contextmanager
def patched(replacements: Mapping[Patch, Replace]) -> Iterator[None]:
    """Replace the attributes in this context.

    Threads may enter it in parallel and leave it in any order: the first one replaces an attribute, the last
    one restores it. A replacement must therefore use a ContextVar to find out for which thread it works. If
    something else has replaced the attribute meanwhile, the next thread to enter replaces that.
    """
    with ExitStack() as stack:
        for patch, replace in replacements.items():
            _apply(patch, replace)
            stack.callback(_restore, patch)
        yield


def patch_permanently(replacements: Mapping[Patch, Replace]) -> None:
    """Replace attributes whose patches are declared permanent, the first time only."""
    for patch, replace in replacements.items():
        assert patch.permanent
        with _lock:
            if patch not in _applied:
                _apply(patch, replace)


@contextmanager
def importable(folder: Path | None) -> Iterator[None]:
    """In this context, code imports from the folder before all others."""
    if folder is None:
        yield
        return
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        with suppress(ValueError):  # code may have set its own path
            sys.path.remove(str(folder))


@dataclass
class _Applied:
    """The number of users of a patch, and each value that it has set, with the previous value."""

    users: int = 0
    values: list[tuple[Any, Any]] = field(default_factory=list)


_lock = threading.RLock()
_applied: dict[Patch, _Applied] = {}


def _apply(patch: Patch, replace: Replace) -> None:
    owner = patch.owner()
    with _lock:
        applied = _applied.setdefault(patch, _Applied())
        applied.users += 1
        before = patch.value()
        if not applied.values or applied.values[-1][0] is not before:
            value = replace(_read(owner, patch.attribute))
            applied.values.append((value, before))
            _write(owner, patch.attribute, value)


def _restore(patch: Patch) -> None:
    with _lock:
        applied = _applied[patch]
        applied.users -= 1
        if applied.users:
            return
        del _applied[patch]
        for value, before in reversed(applied.values):
            if patch.value() is value:  # not if something else has replaced or restored it
                _write(patch.owner(), patch.attribute, before)


_found = cache(pkgutil.resolve_name)


def _namespace(owner: Any) -> Mapping[str, Any]:
    return owner if isinstance(owner, dict) else vars(owner)


def _read(owner: Any, attribute: str) -> Any:
    return owner.get(attribute, MISSING) if isinstance(owner, dict) else getattr(owner, attribute, MISSING)


def _write(owner: Any, attribute: str, value: Any) -> None:
    if isinstance(owner, dict):
        if value is MISSING:
            owner.pop(attribute, None)
        else:
            owner[attribute] = value
    elif value is MISSING:
        delattr(owner, attribute)
    else:
        setattr(owner, attribute, value)

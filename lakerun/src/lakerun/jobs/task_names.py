"""The names that Databricks gives a task's code, as globals and in `databricks.sdk.runtime`: `TaskNames`."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from lakerun.errors import LakerunError
from lakerun.jobs.dbutils import DbUtils
from lakerun.patches import RUNTIME_MODULE, patched

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MAX_ROWS = 1000
# Names that start Spark, and the attributes of the session that they are.
OF_SESSION = {"sc": "sparkContext", "sql": "sql", "table": "table"}
NAMES = ("spark", "dbutils", "display", "displayHTML", "getArgument", "udf", *OF_SESSION)


class TaskNames(dict[str, Any]):
    """The global names of a script or notebook. Spark starts only when a name that needs it is first used."""

    def __init__(self, dbutils: DbUtils, spark: Callable[[], SparkSession | None]) -> None:
        super().__init__(
            __name__="__main__",
            dbutils=dbutils,
            display=display,
            displayHTML=display,
            getArgument=dbutils.widgets.get,
        )
        self.dbutils = dbutils  # the code may give the global name another value
        self._spark = spark
        self._first = dict(self)

    def restart(self) -> None:
        """Forget what the code has defined, as a new Python process does; modules stay imported."""
        file = self.get("__file__")
        self.clear()
        self.update(self._first, __file__=file)

    def __missing__(self, name: str) -> Any:
        if name == "spark":
            self[name] = self._spark()
        elif name in OF_SESSION:
            self[name] = getattr(self["spark"], OF_SESSION[name])
        elif name == "udf":
            from pyspark.sql.functions import udf

            self[name] = udf
        else:
            raise KeyError(name)
        return self[name]


def display(value: Any = None, *_: Any, **__: Any) -> None:
    """Print rows as a table, at most 1000 of them, and anything else as text."""
    if hasattr(value, "toPandas") and hasattr(value, "limit"):
        if getattr(value, "isStreaming", False):
            raise LakerunError("display cannot show a stream, which does not end; write it to a table.")
        if not value.columns:
            return
        value = value.limit(MAX_ROWS).toPandas()
    if hasattr(value, "to_string"):
        value = (
            value.to_string(index=False) if len(value) else f"no rows: {', '.join(map(str, value.columns))}"
        )
    print(value)


@contextmanager
def runtime_module(names: TaskNames) -> Iterator[None]:
    """In this context `databricks.sdk.runtime` has the task's names; the SDK's own need a workspace."""
    with patched({RUNTIME_MODULE: lambda _: _module()}):
        token = _current.set(names)
        try:
            yield
        finally:
            _current.reset(token)


_current: ContextVar[TaskNames | None] = ContextVar("task_names", default=None)


def _module() -> types.ModuleType:
    def found(name: str) -> Any:
        if name not in NAMES:
            raise AttributeError(f"databricks.sdk.runtime has no name '{name}'")
        return _Dbutils() if name == "dbutils" else _names(name)[name]

    module = types.ModuleType("databricks.sdk.runtime", "Replaces the SDK's module in tasks on a laptop.")
    module.__all__ = [name for name in NAMES if name != "sc"]  # type: ignore[attr-defined]  # not on serverless
    module.__getattr__ = found  # type: ignore[method-assign]
    return module


def _names(wanted: str) -> TaskNames:
    names = _current.get()
    if names is None:
        raise LakerunError(f"{wanted} of databricks.sdk.runtime exists only in a task of a job.")
    return names


class _Dbutils:
    """Uses the `dbutils` of the current task, as a module that several tasks import has only one object."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_names("dbutils").dbutils, name)

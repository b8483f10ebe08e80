"""`DbUtils`: `dbutils` on a laptop, with widgets, notebooks, task values, secrets and files of volumes."""

from __future__ import annotations

import json
import os
import re
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from lakerun.errors import LakerunError, UnknownNameError
from lakerun.jobs.dbutils_files import Files, not_here
from lakerun.patches import DBUTILS_MODULE, MISSING, patched
from lakerun.redaction import remember_secret
from lakerun.tables.storage import Storage

SecretProvider = Callable[[str, str], str | None]
"""The secret with a scope and a key; None if there is none."""

NotebookRunner = Callable[[str, Mapping[str, str], float], "str | None"]
"""Runs a notebook with arguments and a limit in seconds, and returns its exit value."""

MAX_VALUE_BYTES = 48 * 1024  # of a task value, as Databricks limits it
_missing: Any = object()


class NotebookExit(BaseException):
    """`dbutils.notebook.exit` was called. A notebook's `except Exception` must not catch it."""

    def __init__(self, value: str) -> None:
        super().__init__(value)
        self.value = value


def environment_secret(scope: str, key: str) -> str | None:
    """A secret from the environment variable `<SCOPE>_<KEY>`: in capitals, with `_` for other characters."""
    return os.environ.get(re.sub(r"\W", "_", f"{scope}_{key}").upper())


@dataclass
class Widgets:
    """`dbutils.widgets`: the job's values, else the defaults that the notebook declares."""

    given: Mapping[str, str]
    _defaults: dict[str, str] = field(default_factory=dict)

    def text(self, name: str, defaultValue: str, label: str | None = None) -> None:  # noqa: N803
        self._defaults.setdefault(name, str(defaultValue))

    def dropdown(self, name: str, defaultValue: str, choices: Any, label: str | None = None) -> None:  # noqa: N803
        self.text(name, defaultValue)

    combobox = dropdown
    multiselect = dropdown

    def get(self, name: str) -> str:
        """The widget's value; UnknownNameError if it is neither given nor declared."""
        values = self.getAll()
        if name not in values:
            raise UnknownNameError("widget", name, values)
        return values[name]

    getArgument = get  # noqa: N815

    def getAll(self) -> dict[str, str]:  # noqa: N802
        return {**self._defaults, **self.given}

    def remove(self, name: str) -> None:
        self._defaults.pop(name, None)

    def removeAll(self) -> None:  # noqa: N802
        self._defaults.clear()


@dataclass
class TaskValues:
    """`dbutils.jobs.taskValues`: values that tasks set for later tasks of the run. `own` are this task's."""

    others: Mapping[str, Mapping[str, Any]]
    own: dict[str, Any] = field(default_factory=dict)

    def set(self, key: str, value: Any) -> None:
        """Set a value that JSON can hold, 48 KiB at most."""
        try:
            size = len(json.dumps(value).encode())
        except (TypeError, ValueError):
            raise LakerunError(
                f"Task value '{key}' cannot be stored: a {type(value).__name__} is not valid in JSON."
            ) from None
        if size > MAX_VALUE_BYTES:
            raise LakerunError(f"Task value '{key}' has {size} bytes; the limit is {MAX_VALUE_BYTES}.")
        self.own[key] = value

    def get(self, taskKey: str, key: str, default: Any = _missing, debugValue: Any = None) -> Any:  # noqa: N803
        values = self.others.get(taskKey, {})
        if key in values:
            return values[key]
        if default is not _missing:
            return default
        if taskKey not in self.others:
            raise UnknownNameError("task with values", taskKey, self.others)
        raise UnknownNameError(f"value of task {taskKey}", key, values)


@dataclass
class _Jobs:
    taskValues: TaskValues  # noqa: N815


@dataclass
class _Notebook:
    run_notebook: NotebookRunner

    def exit(self, value: Any = "") -> None:
        raise NotebookExit(str(value))

    def run(self, path: str, timeout_seconds: int = 0, arguments: Mapping[str, Any] | None = None) -> str:
        """Run another notebook and return its exit value; 0 means no limit of its own."""
        given = {name: str(value) for name, value in (arguments or {}).items()}
        return self.run_notebook(path, given, timeout_seconds) or ""


@dataclass
class _Secrets:
    provider: SecretProvider

    def get(self, scope: str, key: str) -> str:
        value = self.provider(scope, key)
        if value is None:
            raise LakerunError(f"There is no secret '{key}' in scope '{scope}'.")
        remember_secret(value)
        return value

    def getBytes(self, scope: str, key: str) -> bytes:  # noqa: N802
        return self.get(scope, key).encode()


class PythonRestart(BaseException):
    """`dbutils.library.restartPython` was called in a notebook, whose cell ends there."""


class _Library:
    """`dbutils.library`; `in_notebook` says whether a notebook's cell runs."""

    in_notebook = False

    def restartPython(self) -> None:  # noqa: N802
        """End the notebook's cell. The next one has none of the names that earlier cells have defined."""
        if self.in_notebook:
            raise PythonRestart

    def __getattr__(self, name: str) -> Any:
        raise not_here(f"dbutils.library.{name}")


class DbUtils:
    """The parts of `dbutils` that a task can use."""

    def __init__(
        self,
        storage: Storage,
        *,
        parameters: Mapping[str, str] | None = None,
        task_values: Mapping[str, Mapping[str, Any]] | None = None,
        secrets: SecretProvider = environment_secret,
        run_notebook: NotebookRunner | None = None,
    ) -> None:
        self.widgets = Widgets(dict(parameters or {}))
        self.jobs = _Jobs(TaskValues(task_values or {}))
        self.secrets = _Secrets(secrets)
        self.fs = Files(storage)
        self.library = _Library()
        self.notebook = _Notebook(run_notebook or _no_notebooks)

    def __getattr__(self, name: str) -> Any:
        raise not_here(f"dbutils.{name}")


current_dbutils: ContextVar[DbUtils | None] = ContextVar("dbutils", default=None)


@contextmanager
def dbutils_module() -> Iterator[None]:
    """In this context wheels and scripts can use `from pyspark.dbutils import DBUtils`."""
    with patched({DBUTILS_MODULE: lambda found: _module() if found is MISSING else found}):
        yield


def _module() -> types.ModuleType:
    def DBUtils(spark: Any = None) -> DbUtils:  # noqa: N802 - Databricks' name
        """The task's own `dbutils`."""
        found = current_dbutils.get()
        if found is None:
            raise LakerunError("dbutils exists only in a task of a job.")
        return found

    module = types.ModuleType("pyspark.dbutils", "Replaces Databricks' module in tasks on a laptop.")
    module.DBUtils = DBUtils  # type: ignore[attr-defined]
    return module


def _no_notebooks(path: str, arguments: Mapping[str, str], timeout_seconds: float) -> str | None:
    raise LakerunError("dbutils.notebook.run works only in notebooks.")

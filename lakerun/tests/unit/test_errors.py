"""Every exception of the runtime has the same root, so that the command line can show it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import lakerun
from lakerun.errors import LakerunError

# Exceptions without the root, with the reason.
OUTSIDE = {
    "lakerun.jobs.dbutils.NotebookExit": "ends a notebook with success, past its `except Exception`",
    "lakerun.jobs.dbutils.PythonRestart": "ends a notebook's cell, past its `except Exception`",
    "lakerun.jobs.local_task_runner.TaskCanceled": "ends a task, past its `except Exception`",
    "lakerun.jobs.time_limit._TimedOut": "ends a notebook whose time is over, past its `except Exception`",
    "lakerun.pipelines.run_graph._StoppedError": "ends a flow and never leaves its module",
    "lakerun.workspace.api.uploads.RefusedBody": "the web framework turns an HTTPException into an answer",
    "lakerun.workspace.api.uploads.BodyTooLarge": "the web framework turns an HTTPException into an answer",
}


def test_every_exception_has_the_same_root() -> None:
    found = {f"{kind.__module__}.{kind.__qualname__}": kind for kind in _exceptions()}
    outside = {name for name, kind in found.items() if not issubclass(kind, LakerunError)}
    assert len(found) > len(OUTSIDE) + 5
    assert outside == set(OUTSIDE)


def test_every_error_names_a_code_and_an_exit_code_for_programs() -> None:
    for kind in _exceptions():
        if issubclass(kind, LakerunError):
            assert kind.code == kind.code.upper()
            assert kind.exit_code in (1, 2, 3)


def _exceptions() -> set[type[BaseException]]:
    """The exception classes that lakerun's modules define, nested ones included."""
    for module in pkgutil.walk_packages(lakerun.__path__, "lakerun."):
        importlib.import_module(module.name)
    return {kind for kind in _below(BaseException) if kind.__module__.split(".")[0] == "lakerun"}


def _below(kind: type[BaseException]) -> Iterator[type[BaseException]]:
    # `type.__subclasses__`, as a class may define its own `__subclasses__`.
    for child in type.__subclasses__(kind):
        yield child
        yield from _below(child)

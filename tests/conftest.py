"""Shared by all tests, beside `lakerun.testing`: no settings from outside, and which tests run together."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

# Before anything reads them.
for _variable in ("PIPELINE_ENV", "CATALOG_NAME", "SCHEMA_NAME", "VOLUME_NAME", "LAKERUN_PLUGINS"):
    os.environ.pop(_variable, None)
for _variable in [name for name in os.environ if name.startswith("POSTGRES_")]:
    del os.environ[_variable]


class _SharedSessions(LoadScopeScheduling):
    """A file's tests stay in one process; so do those of tests/e2e, and the short Spark tests of a folder.

    Two cold Spark sessions side by side compile everything twice, which costs more than they share.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = Path(nodeid.split("::")[0])
        folder = path.parent.name
        ours = path.parent == Path("tests", "e2e")  # the runtime's start processes of their own
        together = ours or (folder in ("unit", "property") and _starts_spark(path))
        return f"{folder}, together" if together else str(path)


@cache
def _starts_spark(path: Path) -> bool:
    return "spark: " in (Path(__file__).parents[1] / path).read_text(encoding="utf-8")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # The longest file first, or the other processes would wait for it at the end.
    items.sort(key=lambda item: item.path.name != "test_real_cli_runs.py")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return _SharedSessions(config, log)

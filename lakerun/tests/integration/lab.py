"""A lakehouse in a temporary folder, with pipelines written in the test that runs them."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from deltalake import DeltaTable, QueryBuilder

from lakerun.bundles.model import PipelineSpec
from lakerun.pipelines.results import DatasetResult, Event, UpdateResult
from lakerun.pipelines.update import Selection, run_update
from lakerun.tables.storage import Storage, TableName

HEADER = """
import os
from pyspark import pipelines as dp
from pyspark.sql import SparkSession, functions as F
spark = SparkSession.active()
"""


class Lab:
    """Runs pipelines from source text; `arrive` writes JSON lines to a folder that they stream."""

    def __init__(self, home: Path) -> None:
        self.storage = Storage(home)
        self.home = home
        self.events: list[Event] = []
        self._files = 0
        (home / "src").mkdir(parents=True, exist_ok=True)

    def arrive(self, folder: str, rows: Iterable[Mapping[str, Any]]) -> str:
        """Write one new file; returns the folder's path, for a pipeline to read."""
        path = self.home / "incoming" / folder
        path.mkdir(parents=True, exist_ok=True)
        self._files += 1
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (path / f"part_{self._files:04d}.json").write_text(text, encoding="utf-8")
        return str(path)

    def spec(self, source: str, name: str = "lab") -> PipelineSpec:
        file = self.home / "src" / f"{name}.py"
        file.write_text(HEADER + textwrap.dedent(source), encoding="utf-8")
        return PipelineSpec(
            key=name,
            name=name,
            catalog="main",
            schema="shop",
            configuration={"STAGE": "local"},
            source_files=(file,),
            root_path=None,
            event_log=None,
            serverless=True,
            development=True,
        )

    def run(self, source: str, name: str = "lab", **selection: Any) -> UpdateResult:
        self.events = []
        return run_update(
            self.spec(source, name),
            storage=self.storage,
            selection=Selection(**selection),
            on_event=self.events.append,
        )

    def rows(self, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
        """The table's rows as sorted tuples, read without Spark."""
        path = self.storage.table_path(TableName("main", "shop", table))
        reader = QueryBuilder().register("t", DeltaTable(str(path)))
        found = reader.execute(f"select {columns} from t").read_all()
        return sorted((tuple(row.values()) for row in _arrow(found).to_pylist()), key=repr)

    def path(self, table: str) -> Path:
        return self.storage.table_path(TableName("main", "shop", table))

    def expectation_counts(self, name: str = "lab") -> dict[tuple[str, str], tuple[int, int]]:
        """Passed and failed records per dataset and expectation, summed over the published event log."""
        totals: dict[tuple[str, str], tuple[int, int]] = {}
        for details in self.published(name, "flow_progress"):
            quality = details["flow_progress"].get("data_quality", {})
            for item in quality.get("expectations", []):
                key = (item["dataset"].split(".")[-1], item["name"])
                passed, failed = totals.get(key, (0, 0))
                totals[key] = passed + item["passed_records"], failed + item["failed_records"]
        return totals

    def published(self, name: str, event_type: str) -> list[dict[str, Any]]:
        rows = self.rows(f"event_log_{name}", "event_type, details")
        return [json.loads(details) for kind, details in rows if kind == event_type]


def dataset(result: UpdateResult, table: str) -> DatasetResult:
    """The result of one dataset."""
    (found,) = [item for item in result.datasets if item.name.endswith(f".{table}")]
    return found


def failed(result: UpdateResult, table: str) -> dict[str, int]:
    """The failed records of one dataset by expectation."""
    return {item.name: item.failed for item in dataset(result, table).expectations}


def _arrow(found: Any) -> Any:
    import pyarrow as pa

    return pa.table(found)

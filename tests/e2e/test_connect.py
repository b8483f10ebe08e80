"""The shop on Spark Connect, as on serverless compute, against the classic session on the same files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from ecommerce_lakehouse.config import LakehouseConfig, get_config
from ecommerce_lakehouse.observability.health import as_json, current_health
from ecommerce_lakehouse.observability.lakehouse import lakehouse_of
from ecommerce_lakehouse.observability.metrics_export import reading
from lakerun.sql.query import query
from lakerun.tables.storage import Storage
from tests.e2e.conftest import SIZES
from tests.e2e.on_connect import MAINTAINED, VERDICT
from tests.rows import comparable

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[2]
# Lines on their way from file to table, by streams and by a batch, gold, a feature, checks of datasets.
SAMPLE = (
    "bronze_orders",
    "valid_orders",
    "valid_customers",
    "valid_customer_activity",
    "valid_marketing_consents",
    "quarantine_orders",
    "silver_order_batches",
    "silver_orders_duplicates",
    "gold_customer_segments",
    "gold_realtime_metrics",
    "gold_order_events",
    "feature_churn_risk",
    "quality_checks_order_analytics",
)


# Which orders are too late for a window depends on the batches in which they came: here all come in one.
BY_BATCHES = "gold_realtime_metrics"


@dataclass(frozen=True)
class Connected:
    """The classic session's lakehouse, and what the same code gave on Connect."""

    home: Path
    out: Path
    found: dict[str, Any]

    def datasets(self) -> set[str]:
        """Those of which Connect has given the rows."""
        return {file.stem for file in self.out.glob("*.parquet")}

    def tables(self) -> set[str]:
        return {log.parent.name for log in self.folder.glob("*/_delta_log")}

    @property
    def folder(self) -> Path:
        return self.home / "tables" / "local" / "data_eng"

    def given(self, dataset: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = pq.read_table(self.out / f"{dataset}.parquet").to_pylist()
        return rows

    def classic(self, table: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = query(f"SELECT * FROM {table}", Storage(self.home)).to_pylist()
        return rows

    def differing(self) -> dict[str, Any]:
        """Tables whose rows differ, with the first rows that only one side has."""
        found = {}
        for name in sorted((self.datasets() & self.tables()) - {BY_BATCHES}):
            given, classic = (
                Counter(map(_comparable, rows)) for rows in (self.given(name), self.classic(name))
            )
            if given != classic:
                found[name] = [
                    list((one - other).elements())[:1] for one, other in ((given, classic), (classic, given))
                ]
        return found

    def failures(self) -> dict[str, dict[str, int]]:
        """How many rows each expectation fails for, by dataset."""
        counts: dict[str, dict[str, int]] = {}
        for name in self.datasets():
            rows = self.given(name)
            for column in pq.read_schema(self.out / f"{name}.parquet").names:
                if column.startswith(VERDICT):
                    failed = sum(not row[column] for row in rows)
                    counts.setdefault(name, {})[column.removeprefix(VERDICT)] = failed
        return counts

    def logged_failures(self) -> dict[str, dict[str, int]]:
        """The same by the event logs: of all updates for what streams, of the newest for the rest."""
        counts: dict[str, dict[str, int]] = {}
        for log in (name for name in self.tables() if name.startswith("event_log_")):
            for event in sorted(self.classic(log), key=lambda event: event["timestamp"]):
                progress = json.loads(event["details"]).get("flow_progress", {})
                for item in progress.get("data_quality", {}).get("expectations", []):
                    name = item["dataset"].split(".")[-1]
                    streams = self.found["kinds"][name] != "MATERIALIZED_VIEW"
                    of_dataset = counts.setdefault(name, {})
                    before = of_dataset.get(item["name"], 0) if streams else 0
                    of_dataset[item["name"]] = before + item["failed_records"]
        return counts


def run_on_connect(home: Path, folder: Path, datasets: Sequence[str]) -> Connected:
    """Connect marks the process that uses it, so it gets one, and a data folder that it may change."""
    changed, out = folder / "lakehouse", folder / "out"
    shutil.copytree(home, changed)
    out.mkdir()
    sizes = [part for key, value in SIZES.items() for part in (f"--{key.replace('_', '-')}", str(value))]
    command = [sys.executable, "-m", "tests.e2e.on_connect", str(changed), str(out), ",".join(datasets)]
    with (folder / "log").open("w") as log:
        ended = subprocess.run(
            [*command, *sizes],
            cwd=ROOT,
            stdout=log,
            stderr=log,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
    assert ended.returncode == 0, (folder / "log").read_text("utf-8")[-5000:]
    return Connected(home, out, json.loads((out / "found.json").read_text("utf-8")))


def _comparable(row: dict[str, Any]) -> str:
    """A row as text, without the time at which it was read and the rules' verdicts on it."""
    return comparable(row, [name for name in row if name == "ingested_at" or name.startswith(VERDICT)])


@pytest.fixture(scope="module")
def connected(every_pipeline: Path, tmp_path_factory: pytest.TempPathFactory) -> Connected:
    return run_on_connect(every_pipeline, tmp_path_factory.mktemp("connect"), SAMPLE)


@pytest.fixture
def laptop(connected: Connected, monkeypatch: pytest.MonkeyPatch) -> LakehouseConfig:
    """The settings of the classic session's lakehouse."""
    monkeypatch.setenv("LAKEHOUSE_HOME", str(connected.home))
    return get_config("local")


def test_every_query_has_its_tables_columns_and_types(connected: Connected) -> None:
    schemas = connected.found["schemas"]
    by_cdc = set(connected.found["cdc"])
    assert len(by_cdc) > 3
    logs = {name for name in connected.tables() if name.startswith("event_log_")}
    views = {name for name, kind in connected.found["kinds"].items() if kind == "VIEW"}
    assert set(schemas) - views == connected.tables() - by_cdc - logs
    stored = {name: DeltaTable(connected.folder / name).schema() for name in set(schemas) - views}
    types = {
        name: {field["name"]: type_name(field["type"]) for field in json.loads(schema.to_json())["fields"]}
        for name, schema in stored.items()
    }
    assert {name: schemas[name] for name in types} == types


def type_name(written: Any) -> str:
    """A type as Delta writes it, as Spark says it."""
    if isinstance(written, dict) and written["type"] == "array":
        return f"array<{type_name(written['elementType'])}>"
    names = {"integer": "int", "long": "bigint"}
    return names.get(written, written)


def test_rows_are_those_of_the_classic_session(connected: Connected) -> None:
    by_cdc = {name for name, kind in connected.found["cdc"].items() if kind == 1}
    newest = {name.replace("valid_", "silver_") for name in SAMPLE if name.startswith("valid_")}
    others = {"silver_push_devices", "silver_households", "silver_household_members"}
    assert by_cdc == newest | others
    assert connected.datasets() == newest | set(SAMPLE)
    assert connected.differing() == {}
    given, classic = (
        {row["window_start"] for row in rows}
        for rows in (connected.given(BY_BATCHES), connected.classic(BY_BATCHES))
    )
    assert classic <= given


def test_every_expectation_fails_for_as_many_rows(connected: Connected) -> None:
    logged = connected.logged_failures()
    failures = connected.failures()
    assert failures == {name: logged[name] for name in failures}
    assert sum(sum(counts.values()) for counts in failures.values()) > 0


@pytest.mark.slow
def test_all_rows_are_those_of_the_classic_session(every_pipeline: Path, tmp_path: Path) -> None:
    everything = run_on_connect(every_pipeline, tmp_path, ["all"])
    logs = {name for name in everything.tables() if name.startswith("event_log_")}
    # Auto CDC, which is the platform's, makes histories of views, which are compared.
    histories = {name for name, kind in everything.found["cdc"].items() if kind == 2}
    assert everything.tables() - everything.datasets() == histories | logs
    assert everything.differing() == {}
    assert everything.failures() == everything.logged_failures()


def test_the_generator_writes_the_same_bytes(connected: Connected) -> None:
    volume = connected.home / "volumes" / "local" / "data_eng" / "data"
    generated = connected.out / "generated" / "volumes" / "spark_catalog" / "data_eng" / "data"
    written, expected = (
        {
            str(file.relative_to(folder)): file.read_bytes()
            for pattern in ("*_raw/*_b000000_*.json", "manifests/**/batch_000000.json")
            for file in folder.glob(pattern)
        }
        for folder in (generated, volume)
    )
    assert len(written) > 8
    assert written == expected


def test_every_rule_does_what_its_rows_are_for(connected: Connected) -> None:
    assert len(connected.found["rules"]) > 100
    assert [rule for rule in connected.found["rules"] if rule["problem"]] == []


def test_what_is_exported_is_what_the_laptop_exports(connected: Connected, laptop: LakehouseConfig) -> None:
    source = lakehouse_of(laptop).source()
    tables = source.tables()
    extents = reading.updates_in(source, tables)
    assert len(extents) == 6
    expected = {
        "updates": [asdict(extent) for extent in extents],
        "metrics": [asdict(metrics) for metrics in reading.metrics_for(source, "l", extents)],
        "days": reading.business_days(source, "l", tables),
    }
    found = {name: connected.found[name] for name in expected}
    assert found == json.loads(json.dumps(expected, default=str))


def test_health_has_the_figures_of_the_laptop(connected: Connected, laptop: LakehouseConfig) -> None:
    logs = sorted(name for name in connected.tables() if name.startswith("event_log_"))
    assert connected.found["events"] == f"pipeline_events of spark_catalog.data_eng: {', '.join(logs)}\n"
    # How old a dataset is depends on when one asks, and the unit of costs on the place.
    same = {"success rate", "expectation failures", "latency"}
    figures = [
        {(each["name"], each["subject"]): each["figure"] for each in health["checks"] if each["name"] in same}
        for health in (connected.found["health"], as_json(current_health(laptop)))
    ]
    assert figures[0] == figures[1]
    assert len(figures[0]) > 40


def test_maintenance_and_replay_do_their_work(connected: Connected) -> None:
    assert connected.found["replayed"] == ""
    assert {row["table_name"]: row["status"] for row in connected.found["log"]} == {
        name: "DONE" if name in MAINTAINED else "SKIPPED" for name in connected.tables()
    }
    assert {row["table_name"] for row in connected.found["log"] if row["layout"]} == set(MAINTAINED)


def test_syncs_send_each_change_once_by_runs_and_by_streams(connected: Connected) -> None:
    assert connected.found["arrived"] == [
        [["c1", {"name": "Ann"}], ["c2", {"name": "Bob"}], ["c3", {"name": "Cem"}]],
        [["c2", {"name": "Eve"}]],
        [],
        [["c3", {"name": "Fay"}]],
        [["c1", "User Deleted"]],
    ]
    (status,) = connected.found["statuses"]
    assert (status["delivered"], status["rejected"], status["reasons"]) == (2, 0, {})
    assert (status["last_run"]["event"], status["last_run"]["due"]) == ("PARTIAL", 0)
    assert connected.found["checks"]["Customer.io success rate"] == 100
    assert connected.found["checks"]["Customer.io messages due"] == 0

"""SIGKILLs at random moments of all pipelines: tables and counts are those of an undisturbed run.

A round kills a first update twice, a second one twice, once of these between auto CDC's two commits, and a
full refresh once; after each kill comes the same command again. Every moment follows from the round's seed.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from integration.lab import Lab
from pyspark.sql import SparkSession

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.generation import generate_sample_data
from lakerun.bundles.load import load_bundle
from lakerun.bundles.model import PipelineSpec
from lakerun.pipelines import auto_cdc
from lakerun.pipelines.results import Event, UpdateResult
from tests.integration.killed_updates import before_second_commits, update_all
from tests.rows import comparable, read_rows

ROOT = Path(__file__).parents[2]
# What the clock decides; file names are compared without their folder.
CLOCK = {"ingested_at", "lag_seconds"}
UPDATES = "tests.integration.killed_updates"

TWO_FLOWS = """
def changes(name, folder):
    @dp.table(name=name)
    @dp.expect_or_drop("has_name", "name IS NOT NULL")
    def stream():
        rows = spark.readStream.schema("id INT, name STRING, at INT, gone BOOLEAN")
        return rows.option("maxFilesPerTrigger", "1").format("json").load(folder)

changes("crm", CRM)
changes("web", WEB)
for target, scd_type in (("newest", 1), ("versions", 2)):
    dp.create_streaming_table(target)
    for flow in ("crm", "web"):
        dp.create_auto_cdc_flow(
            name=f"{target}_from_{flow}", target=target, source=flow, keys=["id"], sequence_by="at",
            apply_as_deletes="gone", except_column_list=["gone"], stored_as_scd_type=scd_type,
        )
"""


@dataclass(frozen=True)
class Deliveries:
    """The files that arrive before the first and before the second update, as they lie in a data folder."""

    folder: Path

    def arrive(self, number: int, home: Path) -> None:
        shutil.copytree(self.folder / str(number), home, dirs_exist_ok=True)


@pytest.fixture(scope="module")
def deliveries(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Deliveries:
    """90 days of the shop, then four more with updates of orders, and changes of two systems."""
    source = random.Random(11)
    home, folder = tmp_path_factory.mktemp("generated"), tmp_path_factory.mktemp("deliveries")
    lab = Lab(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKEHOUSE_HOME", str(home))
        for number, batches in enumerate((1, 4)):
            generate_sample_data(
                spark, get_config("local"), orders=900, customer_activity=600, customers=80, batches=batches
            )
            for system in ("crm", "web"):
                for _ in range(3):
                    lab.arrive(system, [_change(source) for _ in range(30)])
            shutil.copytree(home, folder / str(number), ignore=shutil.ignore_patterns("src"))
    return Deliveries(folder)


def _change(source: random.Random) -> dict[str, Any]:
    name = source.choice(["ann", "bob", "cy", None])
    gone = source.random() < 0.2
    return {"id": source.randrange(25), "name": name, "at": source.randrange(40), "gone": gone}


def pipelines(home: Path) -> list[PipelineSpec]:
    """The medallion's and the features' pipeline, and one with two CDC flows into each of its targets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKEHOUSE_HOME", str(home))
        config = get_config("local")
        names = {"catalog": config.catalog, "schema": config.schema, "volume": config.volume}
        found = load_bundle(ROOT, variables={"environment": "local", **names}).pipelines
    folders = "".join(
        f"{system.upper()} = {str(home / 'incoming' / system)!r}\n" for system in ("crm", "web")
    )
    two_flows = Lab(home).spec(folders + TWO_FLOWS, "two_flows")
    return [found["medallion_dlt_pipeline"], found["ml_features_pipeline"], two_flows]


@dataclass(frozen=True)
class Moment:
    """When a process is killed: so many seconds after an event, or at a second commit of auto CDC.

    `event` and `commit` are numbers of that process; `with_jvm` kills Spark at the same time.
    """

    event: int = -1
    seconds: float = 0.0
    with_jvm: bool = False
    commit: int = 0


class Lakehouse:
    """A data folder with its pipelines."""

    def __init__(self, home: Path) -> None:
        home.mkdir(exist_ok=True)
        self._home = home
        self._specs = pipelines(home)
        self._files = [home / f"{spec.key}.json" for spec in self._specs]
        for spec, file in zip(self._specs, self._files, strict=True):
            file.write_text(spec.model_dump_json(), encoding="utf-8")
        self.events = 0

    def update(self, full_refresh: bool = False) -> list[UpdateResult]:
        """Update all pipelines to the end; `events` is then the number of events."""
        events: list[Event] = []
        results = update_all(self._specs, self._home, full_refresh, events.append)
        assert [(result.state, result.error) for result in results] == [("COMPLETED", None)] * 3
        self.events = len(events)
        return results

    def kill(self, moment: Moment, full_refresh: bool = False) -> bool:
        """Update in another process until it is killed; returns whether it was."""
        kind = "full" if full_refresh else "plain"
        process = subprocess.Popen(
            [sys.executable, "-m", UPDATES, self._home, kind, str(moment.commit), *self._files],
            cwd=ROOT,
            env=os.environ | {"LAKEHOUSE_HOME": str(self._home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert process.stdout is not None
        for number, _ in enumerate(process.stdout):
            if number == moment.event:
                time.sleep(moment.seconds)
                (os.killpg if moment.with_jvm else os.kill)(process.pid, signal.SIGKILL)
        return process.wait(timeout=60) == -signal.SIGKILL

    def rows(self) -> dict[str, Counter[str]]:
        """The rows of every table, event logs aside."""
        tables = [path for path in self._tables() if not path.name.startswith("event_log_")]
        return {table.name: Counter(comparable(row, CLOCK) for row in read_rows(table)) for table in tables}

    def counts(self) -> dict[tuple[str, str], tuple[int, int]]:
        """Passed and failed records by dataset and expectation, from the event logs.

        A stream's are summed. A materialized view counts all its rows whenever it is computed, as often as
        updates are killed, so that its newest count is the one that must be equal.
        """
        found: dict[tuple[str, str], tuple[int, int]] = {}
        for log in self._tables():
            rows = read_rows(log) if log.name.startswith("event_log_") else []
            events = [
                (row["origin"]["dataset_name"], json.loads(row["details"]))
                for row in sorted(rows, key=lambda row: row["timestamp"])
            ]
            views = {
                name
                for name, details in events
                if details.get("dataset_definition", {}).get("dataset_type") == "MATERIALIZED_VIEW"
            }
            for _, details in events:
                quality = details.get("flow_progress", {}).get("data_quality", {})
                for item in quality.get("expectations", []):
                    key = (item["dataset"], item["name"])
                    passed, failed = (0, 0) if item["dataset"] in views else found.get(key, (0, 0))
                    found[key] = passed + item["passed_records"], failed + item["failed_records"]
        return found

    def _tables(self) -> list[Path]:
        return sorted(log.parent for log in (self._home / "tables").glob("*/*/*/_delta_log"))


@dataclass(frozen=True)
class Undisturbed:
    """The tables, counts and numbers of events that a round must end with."""

    rows: dict[str, Counter[str]]
    counts: dict[tuple[str, str], tuple[int, int]]
    refresh_rows: dict[str, Counter[str]]
    refreshed: list[tuple[str, str, int, int]]
    events: list[int]
    commits: int  # auto CDC's second commits in the second update


@pytest.fixture(scope="module")
def undisturbed(deliveries: Deliveries, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    home = tmp_path_factory.mktemp("undisturbed")
    events = []
    deliveries.arrive(0, home)
    lakehouse = Lakehouse(home)
    lakehouse.update()
    events.append(lakehouse.events)
    deliveries.arrive(1, home)
    commits: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(auto_cdc, "_rebuild", before_second_commits(commits.append))
        lakehouse.update()
    events.append(lakehouse.events)
    rows, counts = lakehouse.rows(), lakehouse.counts()
    refreshed = _counted(lakehouse.update(full_refresh=True))
    return Undisturbed(rows, counts, lakehouse.rows(), refreshed, [*events, lakehouse.events], len(commits))


def _counted(results: Sequence[UpdateResult]) -> list[tuple[str, str, int, int]]:
    return [
        (dataset.name, item.name, item.passed, item.failed)
        for result in results
        for dataset in sorted(result.datasets, key=lambda dataset: dataset.name)
        for item in dataset.expectations
    ]


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(10))
def test_a_round_of_kills_changes_no_row_and_no_count(
    deliveries: Deliveries,
    undisturbed: Undisturbed,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    seed: int,
) -> None:
    source = random.Random(seed)
    first, second, refresh = undisturbed.events

    def killed(events: int, full_refresh: bool = False) -> None:
        """Kill at a random moment; an update that has ended before is repeated with an earlier one."""
        while True:
            moment = Moment(source.randrange(events), source.uniform(0, 1.5), source.random() < 0.5)
            if _said(capsys, seed, moment, lakehouse.kill(moment, full_refresh)):
                return
            events = events // 2 + 1

    deliveries.arrive(0, tmp_path)
    lakehouse = Lakehouse(tmp_path)
    killed(first)
    killed(first)
    lakehouse.update()

    deliveries.arrive(1, tmp_path)
    between = Moment(commit=source.randint(1, undisturbed.commits))
    assert _said(capsys, seed, between, lakehouse.kill(between))
    killed(second)
    lakehouse.update()
    assert _differences(lakehouse.rows(), undisturbed.rows) == {}
    assert lakehouse.counts() == undisturbed.counts

    killed(refresh, full_refresh=True)
    assert _counted(lakehouse.update(full_refresh=True)) == undisturbed.refreshed
    assert _differences(lakehouse.rows(), undisturbed.refresh_rows) == {}


def _said(capsys: pytest.CaptureFixture[str], seed: int, moment: Moment, killed: bool) -> bool:
    with capsys.disabled():
        print(f"\nround {seed}: {moment} {'killed' if killed else 'had ended before'}", end="", flush=True)
    return killed


def _differences(found: Mapping[str, Counter[str]], expected: Mapping[str, Counter[str]]) -> dict[str, Any]:
    """For each table that differs: how many rows are missing and too many, and the first of each."""
    tables = {}
    for table in sorted({*found, *expected}):
        missing = expected.get(table, Counter()) - found.get(table, Counter())
        extra = found.get(table, Counter()) - expected.get(table, Counter())
        if missing or extra or (table in found) != (table in expected):
            tables[table] = missing.total(), extra.total(), [*missing][:2], [*extra][:2]
    return tables

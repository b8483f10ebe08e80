"""Auto CDC against plain Python: ties, NULLs, deletes, new columns, two flows, kills between two commits.

The keys of a table do not affect each other, so one run tests many histories: each key has its own.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lakerun.pipelines import auto_cdc
from lakerun.pipelines.auto_cdc import ChangeBatch, apply_changes
from lakerun.pipelines.definitions import AutoCdc, FlowDefinition
from lakerun.tables.delta_files import read_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Change = dict[str, Any]
State = tuple[Any, ...]
DATA = ("id", "city", "name", "tier")
SCHEMA = "id INT, city STRING, name STRING, at INT, gone BOOLEAN"
KEYS = 50


class KilledError(Exception):
    """Simulates a process that ends between two commits."""


# Plain Python -------------------------------------------------------------------------------------------


def in_order(changes: Iterable[Change]) -> list[Change]:
    """Sorted by sequence, then deletes last, then by content, where NULL is the smallest."""

    def content(change: Change) -> list[tuple[bool, Any]]:
        values = [change.get(name) for name in ("city", "name", "tier")]
        return [(value is not None, value) for value in values]

    return sorted(changes, key=lambda change: (change["at"], change["gone"], content(change)))


def states(changes: Iterable[Change], ignore_nulls: bool) -> dict[int, State | None]:
    """The state of one key after each of its sequences: (city, name, tier), None if it is deleted."""
    found: dict[int, State | None] = {}
    now: State | None = None
    for change in in_order(changes):
        row = tuple(change.get(name) for name in DATA[1:])
        if change["gone"]:
            now = None
        elif ignore_nulls and now is not None:
            now = tuple(new if new is not None else old for new, old in zip(row, now, strict=True))
        else:
            now = row
        found[change["at"]] = now
    return found


def newest(changes: list[Change], ignore_nulls: bool) -> list[State]:
    rows = []
    for key, own in by_key(changes):
        last = list(states(own, ignore_nulls).values())[-1]
        if last is not None:
            rows.append((key, *last))
    return sorted(rows, key=repr)


def versions(changes: list[Change], ignore_nulls: bool) -> list[State]:
    """(id, city, name, tier, from, to) of every version of every key."""
    rows = []
    for key, own in by_key(changes):
        runs = [
            (value, next(at for at, _ in run))
            for value, run in itertools.groupby(states(own, ignore_nulls).items(), key=lambda item: item[1])
        ]
        ends = [start for _, start in runs[1:]] + [None]
        rows += [
            (key, *value, start, end)
            for (value, start), end in zip(runs, ends, strict=True)
            if value is not None
        ]
    return sorted(rows, key=repr)


def by_key(changes: list[Change]) -> Iterator[tuple[Any, list[Change]]]:
    for key in {change["id"] for change in changes}:
        yield key, [change for change in changes if change["id"] == key]


# Changes ------------------------------------------------------------------------------------------------


def arrivals(source: random.Random, deletes: bool) -> list[tuple[int, list[Change]]]:
    """Batches of changes, each with the number of its flow; the third and later have one more column."""
    batches: list[tuple[int, list[Change]]] = []
    for number in range(6):
        changes = []
        for key in [None, *range(KEYS)]:
            for _ in range(source.choice([0, 1, 1, 2])):
                change = {
                    "id": key,
                    "city": source.choice(["oslo", "rome", None]),
                    "name": source.choice(["ann", "bob", None]),
                    "at": source.randrange(6),
                    "gone": deletes and source.random() < 0.25,
                }
                if number > 1:
                    change["tier"] = source.choice([1, 2, None])
                changes.append(change)
        batches.append((source.randrange(2), changes))
    return batches


class Table:
    """A target with two flows, to which `apply` applies batches."""

    def __init__(self, spark: SparkSession, folder: Path, **cdc: Any) -> None:
        self._spark = spark
        self.path, self._memory = folder / "target", folder / "memory"
        declared = AutoCdc(
            source="changes",
            keys=("id",),
            sequence_by="at",
            except_column_list=("at", "gone"),
            **cdc,
        )
        self._flows = [FlowDefinition(name, "target", "lab.py:1", None, declared) for name in ("crm", "shop")]
        schema = "id INT, city STRING, name STRING"
        if declared.scd_type == 2:
            schema += ", __START_AT INT, __END_AT INT"
        spark.createDataFrame([], schema).write.format("delta").save(str(self.path))

    def apply(self, flow: int, number: int, changes: list[Change]) -> None:
        schema = SCHEMA + (", tier INT" if any("tier" in change for change in changes) else "")
        rows = self._spark.createDataFrame(changes, schema)
        apply_changes(
            ChangeBatch(
                flow=self._flows[flow],
                flows=self._flows,
                rows=rows,
                target=self.path,
                memory=self._memory,
                app_id=f"flow {flow}",
                batch_id=number,
                target_is_empty=not self.rows(),
            )
        )

    def rows(self) -> list[State]:
        rows = read_table(self._spark.read, self.path)
        names = [name for name in (*DATA, "__START_AT", "__END_AT") if name in rows.columns]
        return sorted((tuple(row) for row in rows.select(*names).collect()), key=repr)


def check(
    spark: SparkSession, folder: Path, monkeypatch: pytest.MonkeyPatch, seed: int, scd_type: int, **how: bool
) -> None:
    source = random.Random(seed)
    ignore_nulls, deletes = how["ignore_nulls"], how["deletes"]
    table = Table(
        spark,
        folder,
        scd_type=scd_type,
        ignore_null_updates=ignore_nulls,
        apply_as_deletes="gone" if deletes else None,
    )
    seen: list[Change] = []
    rebuild = auto_cdc._rebuild
    for number, (flow, changes) in enumerate(arrivals(source, deletes)):
        if source.random() < 0.5:
            with monkeypatch.context() as patch:
                patch.setattr(auto_cdc, "_rebuild", _killed)
                with pytest.raises(KilledError):
                    table.apply(flow, number, changes)
                assert rebuild is not auto_cdc._rebuild
        table.apply(flow, number, changes)
        if source.random() < 0.3:
            table.apply(flow, number, changes)  # again, after a kill before the report
        seen += changes
        expected = newest(seen, ignore_nulls) if scd_type == 1 else versions(seen, ignore_nulls)
        found = table.rows()
        if number < 2:  # the table has no tier yet
            expected = sorted(((*row[:3], *row[4:]) for row in expected), key=repr)
        assert found == expected, f"seed {seed}, batch {number}"


def _killed(*_: Any) -> None:
    raise KilledError


HOW = {
    "deletes": {"ignore_nulls": False, "deletes": True},
    "NULLs ignored": {"ignore_nulls": True, "deletes": False},
    "NULLs ignored and deletes": {"ignore_nulls": True, "deletes": True},
    "neither": {"ignore_nulls": False, "deletes": False},
}


@pytest.mark.parametrize(
    ("scd_type", "how"),
    [(2, "NULLs ignored and deletes"), pytest.param(1, "deletes", marks=pytest.mark.long)],
)
def test_the_result_does_not_depend_on_how_changes_arrive(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scd_type: int, how: str
) -> None:
    check(spark, tmp_path, monkeypatch, 7, scd_type, **HOW[how])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("scd_type", [1, 2])
def test_many_histories(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, how: str, scd_type: int
) -> None:
    check(spark, tmp_path, monkeypatch, seed, scd_type, **HOW[how])

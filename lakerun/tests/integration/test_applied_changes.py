"""Batches of changes, applied one by one to a small table: with and without a memory, repeated, refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.sql import Observation
from pyspark.sql import functions as F  # noqa: N812

from lakerun.errors import LakerunError
from lakerun.pipelines import auto_cdc
from lakerun.pipelines.auto_cdc import ChangeBatch, apply_changes
from lakerun.pipelines.change_flows import sequence_column
from lakerun.pipelines.definitions import AutoCdc, FlowDefinition
from lakerun.tables.delta_files import read_table
from lakerun.tables.delta_table import Table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Row = tuple[Any, ...]
CITY = "id INT, city STRING, at INT"


class Target:
    """A table and its memory; each `apply` is the next batch of its flow unless a number is given."""

    def __init__(self, spark: SparkSession, folder: Path, columns: str) -> None:
        self._spark = spark
        self.path, self.memory = folder / "people", folder / "memory"
        self._batches = 0
        spark.createDataFrame([], columns).write.format("delta").save(str(self.path))

    def apply(self, flow: FlowDefinition, rows: Sequence[Row], schema: str = CITY, **how: Any) -> None:
        self._batches += 1
        given = self._spark.createDataFrame(list(rows), schema)
        apply_changes(
            ChangeBatch(
                flow=flow,
                flows=how.pop("flows", [flow]),
                rows=how.pop("observed", lambda rows: rows)(given),
                target=self.path,
                memory=self.memory,
                app_id="app",
                batch_id=how.pop("number", self._batches),
                target_is_empty=not self.rows(),
                **how,
            )
        )

    def rows(self, table: Path | None = None) -> list[Row]:
        rows = read_table(self._spark.read, table or self.path)
        return sorted((tuple(row) for row in rows.collect()), key=repr)

    @property
    def versions(self) -> tuple[int, int]:
        """How often the table, and its memory, were written."""
        return tuple(len(list((path / "_delta_log").glob("*.json"))) for path in (self.path, self.memory))  # type: ignore[return-value]


def flow(name: str = "crm", **cdc: Any) -> FlowDefinition:
    settings = AutoCdc(**{"source": "changes", "keys": ("id",), "sequence_by": "at"} | cdc)
    return FlowDefinition(name, "people", "lab.py:1", None, settings)


@pytest.mark.parametrize(
    ("columns", "cdc", "declared", "lost"),
    [
        ("id INT, city STRING", {"except_column_list": ("at",)}, None, 1),
        # A number as text sorts differently: 10 is before 9.
        ("id INT, city STRING, at STRING", {}, "id INT, city STRING, at STRING", 0),
        (CITY, {"apply_as_deletes": "city = 'gone'"}, None, 0),
        (CITY, {"ignore_null_updates": True}, None, 0),
    ],
)
def test_otherwise_a_memory_knows_the_newest_change(
    spark: SparkSession, tmp_path: Path, columns: str, cdc: dict[str, Any], declared: str | None, lost: int
) -> None:
    table = Target(spark, tmp_path, columns)
    how = {"declared": spark.createDataFrame([], declared).schema} if declared else {}
    table.apply(flow(**cdc), [(1, "rome", 9), (2, "bonn", 9)], **how)
    table.apply(flow(**cdc), [(1, "lima", 10), (2, "late", 8), (3, "kiev", 1)], **how)
    assert [row[:2] for row in table.rows()] == [(1, "lima"), (2, "bonn"), (3, "kiev")]
    assert len(table.rows()[0]) == 3 - lost
    # Type 1 keeps the newest change of a key, every change only if NULLs are ignored.
    assert len(table.rows(table.memory)) == (5 if cdc.get("ignore_null_updates") else 3)


def test_flows_with_different_sequences_share_a_memory(spark: SparkSession, tmp_path: Path) -> None:
    table = Target(spark, tmp_path, CITY)
    flows = [flow("crm"), flow("shop", sequence_by="at + 10")]
    table.apply(flows[0], [(1, "rome", 5)], flows=flows)
    table.apply(flows[1], [(1, "oslo", 1)], flows=flows)
    table.apply(flows[0], [(1, "lima", 10)], flows=flows)
    assert table.rows() == [(1, "oslo", 1)]
    assert table.rows(table.memory) == [(1, "oslo", 1, 11, False)]


def test_a_delete_counts_at_its_place_even_if_rows_come_later(spark: SparkSession, tmp_path: Path) -> None:
    deleting = flow(apply_as_deletes=F.col("city") == "gone")
    table = Target(spark, tmp_path, CITY)
    table.apply(deleting, [(1, "gone", 5), (2, "gone", 1), (3, "rome", 1)])
    assert table.rows() == [(3, "rome", 1)]
    table.apply(deleting, [(1, "late", 4), (2, "back", 2), (3, "gone", 2), (4, "gone", 1), (5, None, 1)])
    assert table.rows() == [(2, "back", 2), (5, None, 1)]
    assert table.rows(table.memory) == [
        (1, "gone", 5, 5, True),
        (2, "back", 2, 2, False),
        (3, "gone", 2, 2, True),
        (4, "gone", 1, 1, True),
        (5, None, 1, 1, False),
    ]


def test_deletes_that_are_declared_later_meet_the_rows_of_before(spark: SparkSession, tmp_path: Path) -> None:
    table = Target(spark, tmp_path, CITY)
    table.apply(flow(), [(1, "rome", 5), (2, "bonn", 5), (3, "kiev", 5)])
    table.apply(flow(apply_as_deletes="city = 'gone'"), [(1, "gone", 4), (2, "gone", 6)])
    assert table.rows() == [(1, "rome", 5), (3, "kiev", 5)]
    assert (3, "kiev", 5, 5, False) in table.rows(table.memory)


@pytest.mark.parametrize(
    ("columns", "cdc"),
    [
        (CITY, {"sequence_by": "struct(at, id)"}),
        (CITY, {"sequence_by": "at AS moment"}),
        ("id INT, `a.b` STRING, `n-m` INT", {"sequence_by": "`n-m` * 2"}),
        ("ID INT, CITY STRING, AT INT", {"sequence_by": "At"}),
    ],
)
def test_the_sequence_may_be_an_expression_over_the_tables_columns(
    spark: SparkSession, tmp_path: Path, columns: str, cdc: dict[str, Any]
) -> None:
    table, schema = Target(spark, tmp_path, columns), columns.lower()
    table.apply(flow(**cdc), [(1, "rome", 5)], schema)
    table.apply(flow(**cdc), [(1, "oslo", 4), (2, "bonn", 1)], schema)
    assert table.rows() == [(1, "rome", 5), (2, "bonn", 1)]
    table.apply(flow(**cdc), [(1, "lima", 6)], schema)
    assert table.rows() == [(1, "lima", 6), (2, "bonn", 1)]
    assert not table.memory.exists()


def test_a_table_whose_columns_have_the_sequence_needs_no_memory(spark: SparkSession, tmp_path: Path) -> None:
    table = Target(spark, tmp_path, CITY)
    table.apply(flow(), [(1, "rome", 5), (1, "oslo", 4), (2, "bonn", 5), (None, "lima", 1)])
    assert table.rows() == [(1, "rome", 5), (2, "bonn", 5), (None, "lima", 1)]
    # Later; earlier; the same sequence with a greater and a smaller city; a new key; NULL as a key.
    changes = [(1, "nice", 6), (2, "aden", 4), (3, "kiev", 1), (None, "bern", 2)]
    table.apply(flow(), changes)
    expected = [(1, "nice", 6), (2, "bonn", 5), (3, "kiev", 1), (None, "bern", 2)]
    assert table.rows() == expected
    table.apply(flow(), [(1, "zug", 6), (2, "aden", 5), (3, None, 1)])
    assert table.rows() == [(1, "zug", 6), *expected[1:]]
    assert not table.memory.exists()
    # The same batch again, as after a kill: nothing is written.
    written = table.versions
    table.apply(flow(), [(1, "zzz", 9)], number=3)
    assert table.versions == written


@pytest.mark.parametrize(
    ("columns", "before", "now", "message"),
    [
        (
            CITY,
            {},
            {"scd_type": 2},
            "created with stored_as_scd_type=1: refresh it fully with --full-refresh",
        ),
        (
            f"{CITY}, __START_AT INT, __END_AT INT",
            {"scd_type": 2},
            {},
            "created with stored_as_scd_type=2: refresh it fully with --full-refresh people.",
        ),
        (
            "id INT, city STRING",
            {"except_column_list": ("at",)},
            {"except_column_list": ("at",)},
            "memory of auto CDC flow 'crm' is missing: refresh its table fully with --full-refresh people.",
        ),
    ],
)
def test_what_the_table_cannot_tell_needs_a_full_refresh(
    spark: SparkSession,
    tmp_path: Path,
    columns: str,
    before: dict[str, Any],
    now: dict[str, Any],
    message: str,
) -> None:
    table = Target(spark, tmp_path, columns)
    table.apply(flow(**before), [(1, "rome", 5)])
    if table.memory.exists():
        table.memory.rename(tmp_path / "lost")
    with pytest.raises(LakerunError) as caught:
        table.apply(flow(**now), [(1, "oslo", 6)])
    assert message in str(caught.value)
    assert "auto CDC flow 'crm'" in str(caught.value)


def test_the_history_of_a_table_without_its_memory_is_not_guessed(
    spark: SparkSession, tmp_path: Path
) -> None:
    table = Target(spark, tmp_path, f"{CITY}, __START_AT INT, __END_AT INT")
    table.apply(flow(scd_type=2), [(1, "rome", 5)])
    table.memory.rename(tmp_path / "lost")
    with pytest.raises(LakerunError, match="The memory of auto CDC flow 'crm' is missing"):
        table.apply(flow(scd_type=2), [(1, "oslo", 6)])


def test_late_changes_and_deletes_move_the_bounds_of_versions(spark: SparkSession, tmp_path: Path) -> None:
    two = flow(scd_type=2, apply_as_deletes="city = 'gone'", except_column_list=("at",))
    table = Target(spark, tmp_path, "id INT, city STRING, __START_AT INT, __END_AT INT")
    table.apply(two, [(1, "rome", 2), (1, "oslo", 6), (2, "bonn", 3)])
    assert table.rows() == [(1, "oslo", 6, None), (1, "rome", 2, 6), (2, "bonn", 3, None)]
    table.apply(two, [(1, "gone", 4), (1, "rome", 1), (2, "gone", 3), (3, "gone", 1)])
    # Rome begins earlier and ends at the delete; of equal sequences the delete is the later one.
    assert table.rows() == [(1, "oslo", 6, None), (1, "rome", 1, 4)]
    written = table.versions
    table.apply(two, [(1, "gone", 4)], number=2)
    assert table.versions == written


def test_maps_are_compared_where_versions_are_merged(spark: SparkSession, tmp_path: Path) -> None:
    schema = "id INT, tags MAP<STRING, INT>, `a.b` STRUCT<x: INT>"
    two = flow(scd_type=2, except_column_list=("at",))
    table = Target(spark, tmp_path, f"{schema}, __START_AT INT, __END_AT INT")
    table.apply(two, [(1, {"k": 1}, (1,), 2), (2, None, None, 2)], f"{schema}, at INT")
    table.apply(two, [(1, {"k": 2}, (1,), 3), (2, None, (5,), 1)], f"{schema}, at INT")
    assert table.rows() == [
        (1, {"k": 1}, (1,), 2, 3),
        (1, {"k": 2}, (1,), 3, None),
        (2, None, None, 2, None),
        (2, None, (5,), 1, 2),
    ]


def test_a_kill_between_the_two_commits_loses_and_repeats_nothing(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = flow(scd_type=2)
    table = Target(spark, tmp_path, f"{CITY}, __START_AT INT, __END_AT INT")
    table.apply(two, [(1, "rome", 5)])
    changes = [(1, "oslo", 6), (2, "bonn", 1)]
    with monkeypatch.context() as patch:
        patch.setattr(auto_cdc, "_rebuild", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            table.apply(two, changes, number=2)
    assert table.rows() == [(1, "rome", 5, 5, None)]
    seen = Observation("seen")
    count = F.count(F.lit(1)).alias("rows")
    table.apply(two, changes, number=2, observed=lambda rows: rows.observe(seen, count))
    assert table.rows() == [(1, "oslo", 6, 6, None), (1, "rome", 5, 5, 6), (2, "bonn", 1, 1, None)]
    assert len(table.rows(table.memory)) == 3
    assert seen.get == {"rows": 2}  # the expectations' counts


def test_a_source_may_lack_columns_and_bring_new_ones(spark: SparkSession, tmp_path: Path) -> None:
    table = Target(spark, tmp_path, "id INT, city STRING, place STRUCT<x: INT>, at INT")
    table.apply(flow(), [(1, (1,), 1, "a")], "id INT, place STRUCT<x: INT>, at INT, tier STRING")
    table.apply(flow(), [(2, (2, 3), 1)], "ID INT, PLACE STRUCT<x: INT, y: INT>, AT INT")
    assert table.rows() == [(1, None, (1, None), 1, "a"), (2, None, (2, 3), 1, None)]
    # The newest change is the whole row: what its source lacks is NULL.
    table.apply(flow(), [(1, (7,), 2)], "id INT, place STRUCT<x: INT>, at INT")
    assert table.rows() == [(1, None, (7, None), 2, None), (2, None, (2, 3), 1, None)]
    table.apply(flow(apply_as_deletes="at = 0"), [(2, "bonn", 2)])
    assert table.rows() == [(1, None, (7, None), 2, None), (2, "bonn", None, 2, None)]


def test_a_declared_schema_decides_columns_and_types(spark: SparkSession, tmp_path: Path) -> None:
    columns = "ID BIGINT, at STRING, place STRUCT<x: INT, y: INT>"
    table, declared = Target(spark, tmp_path, columns), spark.createDataFrame([], columns).schema
    given = "id INT, city STRING, at INT, place STRUCT<x: INT>"
    table.apply(flow(), [(1, "rome", 5, (7,))], given, declared=declared)
    assert table.rows() == [(1, "5", (7, None))]


@pytest.mark.parametrize("scd_type", [1, 2])
def test_a_change_without_a_sequence_is_an_error(spark: SparkSession, tmp_path: Path, scd_type: int) -> None:
    ends = ", __START_AT INT, __END_AT INT" if scd_type == 2 else ""
    table = Target(spark, tmp_path, CITY + ends)
    with pytest.raises(Exception, match="auto CDC flow 'crm': sequence_by is NULL"):
        table.apply(flow(scd_type=scd_type), [(1, "rome", None)])
    assert table.rows() == []


def test_the_sequence_is_an_expression_or_a_column(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(1,)], "at INT")
    for by in ("at + 1", F.col("at") + 1):
        found = rows.select(sequence_column(flow(sequence_by=by)))
        assert (found.columns, [row[0] for row in found.collect()]) == (["__sequence"], [2])


def test_a_batch_is_in_a_table_whose_log_names_it(spark: SparkSession, tmp_path: Path) -> None:
    table = Target(spark, tmp_path, CITY)
    table.apply(flow(), [(1, "rome", 5)], number=4)
    assert Table(table.path).last_transaction("app") == 4
    table.apply(flow(), [(1, "oslo", 6)], number=5)
    assert Table(table.path).last_transaction("app") == 5
    assert spark.conf.get("spark.databricks.delta.write.txnAppId", None) is None
    assert spark.conf.get("spark.databricks.delta.write.txnVersion", None) is None

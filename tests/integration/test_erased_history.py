"""A Delta table is rewritten as if rows had never been in it, in every version that Spark wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder, write_deltalake
from pyspark.sql import SparkSession

from ecommerce_lakehouse.cli.erasure.deletion_vectors import inline_vector, positions
from ecommerce_lakehouse.cli.erasure.delta_history import LOG, NEW, READY, Rewrite, exchange, finish_rewrites
from ecommerce_lakehouse.cli.erasure.rows import Rows
from ecommerce_lakehouse.privacy.people import People

GONE = People(frozenset({"C7", "C8"}))


def rewriting(table: Path) -> Rewrite:
    return Rewrite(table, table.parent.parent / "work" / table.name, Rows("silver_x", GONE).edit)


def by_delta_rs(table: Path, version: int | None = None) -> list[tuple[str, int]]:
    opened = DeltaTable(str(table), version=version)
    found = pa.table(QueryBuilder().register("t", opened).execute("select * from t").read_all())
    return sorted((row["customer_id"], row["n"]) for row in found.to_pylist())


@pytest.mark.long
@pytest.mark.parametrize("checkpoint", [True, False])
def test_rows_go_from_every_version_change_file_and_deletion_vector(
    spark: SparkSession, tmp_path: Path, checkpoint: bool
) -> None:
    table = tmp_path / "tables" / "t"
    at = f"delta.`{table}`"
    spark.sql(
        f"CREATE TABLE {at} (customer_id STRING, n INT) USING delta TBLPROPERTIES "
        "('delta.enableDeletionVectors' = 'true', 'delta.enableChangeDataFeed' = 'true', "
        f"'delta.checkpointInterval' = '{3 if checkpoint else 100}')"
    )
    rows = ", ".join(f"('C{n % 10}', {n})" for n in range(40))
    spark.sql(f"INSERT INTO {at} SELECT /*+ COALESCE(1) */ * FROM VALUES {rows} AS v(customer_id, n)")  # 1
    spark.sql(f"DELETE FROM {at} WHERE n IN (3, 7)")  # 2: 7 is of C7
    spark.sql(f"DELETE FROM {at} WHERE n IN (8, 18)")  # 3: only of C8, so the vector must not change
    spark.sql(f"UPDATE {at} SET n = n + 100 WHERE n IN (11, 17)")  # 4
    spark.sql(f"DELETE FROM {at} WHERE customer_id = 'C8'")  # 5
    spark.sql(f"INSERT INTO {at} VALUES ('C1', 200), ('C8', 201)")  # 6
    vectors = [
        line for file in (table / LOG).glob("*.json") for line in file.open() if '"deletionVector"' in line
    ]
    assert vectors
    stayed = lambda found: sorted(row for row in found if row[0] not in GONE.ids)  # noqa: E731
    before = {version: stayed(by_delta_rs(table, version)) for version in range(1, 7)}
    feed = stayed(_feed(spark, table))

    rewrite = rewriting(table)
    assert rewrite.look().current == 4  # of C7: 27, 37 and 117; of C8: 201
    rewrite.apply()

    for version, expected in before.items():
        assert by_delta_rs(table, version) == expected
    assert _rows(spark, table, 4) == before[4]
    # The session had the old log in memory, and the newest version is one more.
    assert _rows(spark, table, 7) == _rows(spark, table) == by_delta_rs(table) == before[6]
    assert _feed(spark, table) == feed
    assert not scan_words(tmp_path)
    # Spark goes on: it deletes by the new vectors, and restores an older version.
    spark.sql(f"DELETE FROM {at} WHERE n = 200")
    assert _rows(spark, table) == [row for row in before[6] if row != ("C1", 200)]
    spark.sql(f"RESTORE TABLE {at} TO VERSION AS OF 2")
    assert _rows(spark, table) == by_delta_rs(table) == before[2]


def scan_words(root: Path) -> list[str]:
    """Files in which the ids stand; two characters are too few for the scan itself."""
    import pyarrow.parquet as pq

    found = []
    for file in root.rglob("*"):
        if file.suffix == ".parquet" and LOG not in file.parts:
            values = set(pq.read_table(file, partitioning=None).column("customer_id").to_pylist())
            found += [str(file)] if values & GONE.ids else []
        elif file.suffix == ".json":
            found += [
                str(file) for word in ('"C7', '"C8', "'C8") if word in file.read_text().replace("\\", "")
            ]
    return found


def _rows(spark: SparkSession, table: Path, version: int | None = None) -> list[tuple[str, int]]:
    reader = spark.read.format("delta")
    if version is not None:
        reader = reader.option("versionAsOf", version)
    return sorted(tuple(row) for row in reader.load(str(table)).collect())


def _feed(spark: SparkSession, table: Path) -> list[tuple[Any, ...]]:
    reader = spark.read.format("delta").option("readChangeFeed", "true").option("startingVersion", 1)
    columns = ("customer_id", "n", "_change_type", "_commit_version")
    return sorted(tuple(row) for row in reader.load(str(table)).select(*columns).collect())


@pytest.mark.parametrize(
    "deleted",
    [[0], [1, 5, 65535, 65536, 2**32 - 1, 2**32, 2**33 + 7], list(range(5000)), list(range(0, 200_000, 3))],
)
def test_a_deletion_vector_is_read_as_it_was_written(deleted: list[int], tmp_path: Path) -> None:
    vector = inline_vector(deleted)
    assert vector is not None
    assert vector["cardinality"] == len(deleted)
    assert positions(vector, tmp_path) == deleted


def test_a_kill_leaves_the_old_table_or_the_new_one(tmp_path: Path) -> None:
    table, works = tmp_path / "tables" / "t", tmp_path / "work"
    write_deltalake(str(table), pa.table({"customer_id": ["C7", "C1"], "n": [1, 2]}))
    work = works / "t"
    rewrite = rewriting(table)
    rewrite.look()
    # Killed while the new table was built: it is thrown away.
    (work / NEW).mkdir(parents=True)
    finish_rewrites(works)
    assert not work.exists()
    assert len(by_delta_rs(table)) == 2
    # Killed between the two renames: the new table takes its place.
    calls: list[Path] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ecommerce_lakehouse.cli.erasure.delta_history.exchange", calls.append)
        rewrite.apply()
    assert calls == [work]
    assert (work / READY).read_text() == str(table)
    table.rename(work / "old")
    finish_rewrites(works)
    assert by_delta_rs(table) == [("C1", 2)]
    assert not work.exists()
    exchange(work)
    assert by_delta_rs(table) == [("C1", 2)]


def test_a_table_that_may_only_be_appended_to_keeps_its_id_versions_and_transactions(tmp_path: Path) -> None:
    table = tmp_path / "tables" / "t"
    rows = pa.table({"customer_id": ["C7", "C1"], "n": [1, 2]})
    write_deltalake(str(table), rows, configuration={"delta.appendOnly": "true"})
    write_deltalake(str(table), rows, mode="append")
    old = DeltaTable(str(table))
    rewrite = rewriting(table)
    assert rewrite.look().rows == 2
    rewrite.apply()
    new = DeltaTable(str(table))
    assert (new.metadata().id, new.version()) == (old.metadata().id, old.version() + 1)
    assert by_delta_rs(table, 0) == [("C1", 2)]
    assert by_delta_rs(table) == [("C1", 2), ("C1", 2)]
    added = [json.loads(line)["add"] for line in (table / LOG / f"{2:020}.json").open() if '"add"' in line]
    assert [item["dataChange"] for item in added] == [False, False]
    assert {json.loads(item["stats"])["numRecords"] for item in added} == {1}

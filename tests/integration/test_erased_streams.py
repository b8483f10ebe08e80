"""Streams go on after an erasure where they are: one that is behind, and one that has to repeat a batch."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from integration.lab import Lab

from ecommerce_lakehouse.cli.erasure.laptop import DataFolder
from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.privacy.erasure import erase

GONE, STAYS = "C000042", "C000043"


def source(folder: str) -> str:
    return f"""
    @dp.table(table_properties={{"delta.appendOnly": "true"}})
    def first():
        return spark.readStream.schema("customer_id string, n int").json("{folder}")

    @dp.table
    def second():
        return spark.readStream.option("skipChangeCommits", "true").table("first")

    @dp.materialized_view
    def total():
        return spark.read.table("first").agg(F.sum("n").alias("n"))
    """


def arrive(lab: Lab, *numbers: int) -> str:
    return lab.arrive("x", [{"customer_id": who, "n": n} for n in numbers for who in (GONE, STAYS)])


def test_a_stream_that_is_behind_reads_what_is_left_and_a_repeated_batch_counts_once(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(lab.home))
    pipeline = source(arrive(lab, 1))
    assert lab.run(pipeline).state == "COMPLETED"
    arrive(lab, 2)
    assert lab.run(pipeline).state == "COMPLETED"
    # As if a kill had come between the commit and the report of the second batch of `second`.
    with closing(sqlite3.connect(lab.storage.pipeline_path("lab") / "state.db")) as db:
        db.execute("UPDATE flows SET last_batch = last_batch - 1, inputs = '{}' WHERE name LIKE '%second'")
        db.commit()
    # And `second` is behind: it has not read the third arrival.
    arrive(lab, 3)
    assert lab.run(pipeline, refresh=("first",)).state == "COMPLETED"

    config = get_config("local")
    place = DataFolder(config, lab.storage)
    with place.exclusive():
        outcome = erase(config, place, frozenset({GONE}), by="ops", forgets=None, tell=lambda line: None)
    assert outcome.proof is not None
    # Raw files of another lakehouse than the shop's lines: the folder is not an entity's, the file is JSON.
    assert [item.path for item in outcome.proof.scan.findings] == []
    left = [(STAYS, 1), (STAYS, 2), (STAYS, 3)]
    assert lab.rows("first") == left

    arrive(lab, 4)
    assert lab.run(pipeline).state == "COMPLETED"
    late = [(GONE, 4), (STAYS, 4)]  # this pipeline has no rule about the erased
    assert lab.rows("first") == sorted([*left, *late])
    assert lab.rows("second") == sorted([*left, *late])
    assert lab.rows("total") == [(1 + 2 + 3 + 4 + 4,)]
    assert not [event for event in lab.events if "have changed since" in event.message]

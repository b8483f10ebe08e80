"""Streams of tables read in batches of a bounded size."""

from __future__ import annotations

import pytest

from integration.lab import Lab
from lakerun.spark import batches

SOURCE = """
@dp.table(name="raw")
def raw():
    rows = spark.readStream.schema("id INT").option("maxFilesPerTrigger", "1")
    return rows.format("json").load("{folder}")

@dp.table(name="copy")
def copy():
    return spark.readStream.table("raw")

@dp.table(name="whole")
def whole():
    return spark.readStream.option("maxFilesPerTrigger", "100").table("raw")
"""


def test_a_backlog_is_read_in_batches_that_memory_holds_unless_the_query_has_a_limit(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "PART_OF_HEAP", 2**33)  # a byte
    for number in range(3):
        folder = lab.arrive("raw", [{"id": number}])
    assert lab.run(SOURCE.format(folder=folder)).state == "COMPLETED"
    assert lab.rows("copy", "id") == lab.rows("whole", "id") == [(0,), (1,), (2,)]
    running = [
        event.origin["flow_name"]
        for event in lab.events
        if "Flow" in event.message and "is RUNNING" in event.message
    ]
    assert {name: running.count(name) for name in set(running)} == {"raw": 3, "copy": 3, "whole": 1}

"""Auto CDC against plain Python: whatever the order and the batches in which changes arrive."""

from __future__ import annotations

import random
from typing import Any

import pytest

from integration.lab import Lab, dataset

Change = dict[str, Any]


def changes(seed: int, count: int = 60) -> list[Change]:
    """Upserts and deletes of a few keys, each at its own time, in random order."""
    source = random.Random(seed)
    times = source.sample(range(1000), count)
    return [
        {
            "id": source.randrange(6),
            "name": source.choice(["ann", "bob"]),
            "city": source.choice(["rome", "oslo", None]),
            "at": at,
            "op": source.choices(["put", "delete"], [5, 1])[0],
        }
        for at in times
    ]


def newest(rows: list[Change]) -> list[tuple[Any, ...]]:
    """Type 1 in plain Python."""
    last = {row["id"]: row for row in sorted(rows, key=lambda row: row["at"])}
    return sorted((r["id"], r["name"], r["city"]) for r in last.values() if r["op"] == "put")


def versions(rows: list[Change]) -> list[tuple[Any, ...]]:
    """Type 2 in plain Python: (id, name, city, from, to)."""
    found = []
    for key in {row["id"] for row in rows}:
        current: tuple[Any, ...] | None = None
        for row in sorted((r for r in rows if r["id"] == key), key=lambda r: r["at"]):
            value = None if row["op"] == "delete" else (row["name"], row["city"])
            if current and current[0] == value:
                continue
            if current:
                found.append((key, *current[0], current[1], row["at"]))
            current = (value, row["at"]) if value else None
        if current:
            found.append((key, *current[0], current[1], None))
    return sorted(found, key=repr)


def source(folder: str, scd_type: int, *, deletes: bool = True, extra: str = "") -> str:
    apply = "apply_as_deletes=\"op = 'delete'\"," if deletes else ""
    return f"""
    @dp.temporary_view(name="changes")
    def incoming():
        schema = "id INT, name STRING, city STRING, at INT, op STRING"
        rows = spark.readStream.schema(schema).option("maxFilesPerTrigger", "1")
        return rows.format("json").load("{folder}")

    dp.create_streaming_table("people")
    dp.create_auto_cdc_flow(
        target="people", source="changes", keys=["id"], sequence_by="at", {apply}
        except_column_list=["op", "at"], stored_as_scd_type={scd_type}, {extra}
    )
    """


@pytest.mark.parametrize("scd_type", [1, 2])
def test_late_changes_and_deletes_end_as_if_they_had_come_in_order(lab: Lab, scd_type: int) -> None:
    rows = changes(seed=scd_type)
    for start in range(0, 40, 20):
        folder = lab.arrive("changes", rows[start : start + 20])
    lab.run(source(folder, scd_type))
    lab.arrive("changes", rows[40:])
    lab.run(source(folder, scd_type))
    if scd_type == 1:
        assert lab.rows("people") == newest(rows)
    else:
        # A value that two changes share is one version: only its bounds are kept, not what was between.
        arrived_in_order = versions(rows)
        found = lab.rows("people", 'id, name, city, "__START_AT", "__END_AT"')
        assert {row[0] for row in found} == {row[0] for row in arrived_in_order}
        assert found == arrived_in_order


def test_a_null_does_not_overwrite_where_nulls_are_ignored(lab: Lab) -> None:
    folder = lab.arrive("changes", [{"id": 1, "name": "ann", "city": "rome", "at": 1}])
    text = source(folder, 1, deletes=False, extra="ignore_null_updates=True,")
    lab.run(text)
    lab.arrive("changes", [{"id": 1, "name": "eve", "city": None, "at": 2}])
    lab.run(text)
    assert lab.rows("people") == [(1, "eve", "rome")]


def test_history_is_kept_for_the_tracked_columns_only(lab: Lab) -> None:
    folder = lab.arrive(
        "changes",
        [
            {"id": 1, "name": "ann", "city": "rome", "at": 1},
            {"id": 1, "name": "ann", "city": "oslo", "at": 2},
            {"id": 1, "name": "eve", "city": "oslo", "at": 3},
        ],
    )
    lab.run(source(folder, 2, deletes=False, extra='track_history_column_list=["name"],'))
    found = lab.rows("people", 'id, name, city, "__START_AT", "__END_AT"')
    assert found == [(1, "ann", "oslo", 1, 3), (1, "eve", "oslo", 3, None)]


def test_rows_are_counted_once_though_a_merge_reads_them_twice(lab: Lab) -> None:
    folder = lab.arrive("changes", [{"id": n, "name": "ann", "at": 1} for n in range(50)])
    text = f"""
    @dp.temporary_view(name="changes")
    @dp.expect_or_drop("named", "name IS NOT NULL")
    def incoming():
        return spark.readStream.schema("id INT, name STRING, at INT").format("json").load("{folder}")

    dp.create_streaming_table("people")
    dp.create_auto_cdc_flow(
        target="people", source="changes", keys=["id"], sequence_by=F.struct("at", "name")
    )
    """
    lab.run(text)
    lab.arrive("changes", [{"id": n, "name": None if n % 5 == 0 else "bob", "at": 2} for n in range(100)])
    second = lab.run(text)
    people = dataset(second, "people")
    assert (people.rows_dropped, people.rows_written) == (20, 80)
    assert dict(people.metrics) == {"num_upserted_rows": 80, "num_deleted_rows": 0}
    assert lab.expectation_counts() == {("changes", "named"): (130, 20)}


def test_a_change_without_its_sequence_stops_the_flow(lab: Lab) -> None:
    folder = lab.arrive("changes", [{"id": 1, "name": "ann"}])
    result = lab.run(source(folder, 1, deletes=False))
    assert result.state == "FAILED"
    assert "sequence_by is NULL" in dataset(result, "people").note

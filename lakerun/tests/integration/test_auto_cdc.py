"""Auto CDC against plain Python, for changes that arrive in any order and in any batches."""

from __future__ import annotations

import random
from typing import Any

import pytest

from integration.lab import Lab, dataset
from lakerun.errors import GraphError

Change = dict[str, Any]


def changes(seed: int, count: int = 60) -> list[Change]:
    """Upserts and deletes of a few keys, each with its own time, in random order."""
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
def test_late_changes_and_deletes_have_the_same_result_as_ordered_ones(lab: Lab, scd_type: int) -> None:
    rows = changes(seed=scd_type)
    for start in range(0, 40, 20):
        folder = lab.arrive("changes", rows[start : start + 20])
    lab.run(source(folder, scd_type))
    lab.arrive("changes", rows[40:])
    lab.run(source(folder, scd_type))
    if scd_type == 1:
        assert lab.rows("people") == newest(rows)
    else:
        # Two changes to the same value are one version: only its bounds are kept, not the changes between.
        arrived_in_order = versions(rows)
        found = lab.rows("people", 'id, name, city, "__START_AT", "__END_AT"')
        assert {row[0] for row in found} == {row[0] for row in arrived_in_order}
        assert found == arrived_in_order


def test_a_null_does_not_overwrite_if_nulls_are_ignored(lab: Lab) -> None:
    folder = lab.arrive("changes", [{"id": 1, "name": "ann", "city": "rome", "at": 1}])
    text = source(folder, 1, deletes=False, extra="ignore_null_updates=True,")
    lab.run(text)
    lab.arrive("changes", [{"id": 1, "name": "eve", "city": None, "at": 2}])
    lab.run(text)
    assert lab.rows("people") == [(1, "eve", "rome")]


def test_only_tracked_columns_have_history(lab: Lab) -> None:
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


def test_rows_are_counted_once_although_a_merge_reads_them_twice(lab: Lab) -> None:
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


def test_a_change_without_a_sequence_fails_the_flow(lab: Lab) -> None:
    folder = lab.arrive("changes", [{"id": 1, "name": "ann"}])
    result = lab.run(source(folder, 1, deletes=False))
    assert result.state == "FAILED"
    assert "sequence_by is NULL" in dataset(result, "people").note


def two_flows(
    crm: str, shop: str, scd_type: int, *, columns: str = "id INT, city STRING, at INT, gone INT"
) -> str:
    return f"""
    for name, folder in (("crm", "{crm}"), ("shop", "{shop}")):
        @dp.temporary_view(name=name)
        def incoming(folder=folder):
            return spark.readStream.schema("{columns}").format("json").load(folder)

    dp.create_streaming_table("people")
    for name in ("crm", "shop"):
        dp.create_auto_cdc_flow(
            target="people", source=name, keys=["id"], sequence_by="at", apply_as_deletes="gone = 1",
            except_column_list=["at", "gone"], stored_as_scd_type={scd_type}, name=f"from_{{name}}",
        )
    """


def test_the_flows_of_a_table_share_their_changes(lab: Lab) -> None:
    crm = lab.arrive("crm", [{"id": 1, "city": "Lima", "at": 5}, {"id": 2, "gone": 1, "at": 9}])
    shop = lab.arrive("shop", [{"id": 1, "city": "Paris", "at": 3}, {"id": 2, "city": "Rome", "at": 8}])
    assert lab.run(two_flows(crm, shop, 2)).state == "COMPLETED"
    columns = 'id, city, "__START_AT", "__END_AT"'
    assert lab.rows("people", columns) == [(1, "Lima", 5, None), (1, "Paris", 3, 5), (2, "Rome", 8, 9)]
    # Of equal sequences the delete is the later one; the same changes from another flow change nothing.
    lab.arrive("shop", [{"id": 1, "gone": 1, "at": 5}])
    lab.run(two_flows(crm, shop, 2).replace("from_", "again_from_"))
    assert lab.rows("people", columns) == [(1, "Paris", 3, 5), (2, "Rome", 8, 9)]
    lab.run(two_flows(crm, shop, 1), full_refresh=("people",))
    assert lab.rows("people", "id, city") == []
    lab.arrive("crm", [{"id": 1, "city": "Oslo", "at": 6}, {"id": 2, "city": "Bonn", "at": 9}])
    lab.run(two_flows(crm, shop, 1))
    assert lab.rows("people", "id, city") == [(1, "Oslo")]


def test_a_new_column_of_the_source_reaches_the_table(lab: Lab) -> None:
    crm = lab.arrive("crm", [{"id": 1, "city": "Lima", "at": 1}])
    shop = lab.arrive("shop", [{"id": 2, "city": "Rome", "at": 1}])
    lab.run(two_flows(crm, shop, 2))
    lab.arrive("crm", [{"id": 1, "city": "Lima", "tier": "gold", "at": 2}])
    wider = two_flows(crm, shop, 2, columns="id INT, city STRING, tier STRING, at INT, gone INT")
    assert lab.run(wider).state == "COMPLETED"
    assert lab.rows("people", 'id, city, tier, "__START_AT", "__END_AT"') == [
        (1, "Lima", "gold", 2, None),
        (1, "Lima", None, 1, 2),
        (2, "Rome", None, 1, None),
    ]


def test_deletes_that_are_declared_later_apply_to_earlier_rows(lab: Lab) -> None:
    text = """
    @dp.temporary_view(name="changes")
    def incoming():
        return spark.readStream.schema("id INT, at INT, gone INT").format("json").load("{folder}")

    dp.create_streaming_table("people")
    dp.create_auto_cdc_flow(target="people", source="changes", keys=["id"], sequence_by="at", {deletes})
    """
    folder = lab.arrive("changes", [{"id": 1, "at": 5}, {"id": 2, "at": 5}])
    lab.run(text.format(folder=folder, deletes=""))
    lab.arrive("changes", [{"id": 1, "at": 4, "gone": 1}, {"id": 2, "at": 6, "gone": 1}])
    lab.run(text.format(folder=folder, deletes="apply_as_deletes='gone = 1'"))
    assert lab.rows("people", "id, at") == [(1, 5)]


def test_another_scd_type_requires_a_full_refresh(lab: Lab) -> None:
    crm = lab.arrive("crm", [{"id": 1, "city": "Lima", "at": 1}])
    lab.run(two_flows(crm, crm, 1))
    lab.arrive("crm", [{"id": 1, "city": "Rome", "at": 2}])
    result = lab.run(two_flows(crm, crm, 2))
    assert (
        "stored_as_scd_type=1: refresh it fully with --full-refresh people" in dataset(result, "people").note
    )
    assert lab.run(two_flows(crm, crm, 2), full_refresh=("people",)).state == "COMPLETED"
    assert lab.rows("people", "id, city") == [(1, "Lima"), (1, "Rome")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ('name=f"', 'ignore_null_updates=(name == "crm"), name=f"'),
            "differ in ignore_null_updates",
        ),
        (('keys=["id"]', 'keys=["id"] if name == "crm" else ["id", "city"]'), "differ in keys"),
        (
            ('sequence_by="at"', 'sequence_by="at" if name == "crm" else "city"'),
            "sequences of different types",
        ),
    ],
)
def test_flows_with_different_settings_are_refused(lab: Lab, change: tuple[str, str], message: str) -> None:
    text = two_flows("/nowhere", "/nowhere", 1)
    assert change[0] in text
    folder = lab.arrive("crm", [{"id": 1, "city": "Lima", "at": 1}])
    with pytest.raises(GraphError, match=message):
        lab.run(two_flows(folder, folder, 1).replace(*change))

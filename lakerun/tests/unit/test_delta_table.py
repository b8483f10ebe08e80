"""Reading a Delta table's log without Spark."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from lakerun.errors import LakerunError
from lakerun.tables.delta_table import Table

THREE_ROWS = pa.table({"order_id": [1, 2, 3]})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "orders"


def append(path: Path, app_id: str = "", transaction: int = 0) -> int:
    """Append three rows; returns the table's version."""
    properties = CommitProperties(app_transactions=[Transaction(app_id, transaction)] if app_id else None)
    write_deltalake(str(path), THREE_ROWS, mode="append", commit_properties=properties)
    return DeltaTable(str(path)).version()


def test_the_version_of_a_table_is_its_newest_commit(path: Path) -> None:
    assert Table(path).newest is None
    assert append(path) == Table(path).newest == 0
    assert append(path) == Table(path).newest == 1


def test_appended_and_deleted_rows_are_a_change_of_data(path: Path) -> None:
    append(path)
    assert not Table(path).data_changed_since(0)
    append(path)
    assert Table(path).data_changed_since(0)
    assert not Table(path).data_changed_since(1)
    DeltaTable(str(path)).delete("order_id = 2")
    assert Table(path).data_changed_since(1)
    assert not Table(path).data_changed_since(2)


def test_compaction_and_vacuum_do_not_change_data(path: Path) -> None:
    append(path)
    seen = append(path)
    table = DeltaTable(str(path))
    assert table.optimize.compact()["numFilesRemoved"] == 2
    removed = table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert len(removed) == 2
    assert (Table(path).newest or 0) > seen
    assert not Table(path).data_changed_since(seen)
    append(path)
    assert Table(path).data_changed_since(seen)


def test_a_new_schema_is_a_change(path: Path) -> None:
    seen = append(path)
    DeltaTable(str(path)).alter.set_table_properties({"delta.logRetentionDuration": "interval 1 days"})
    assert Table(path).data_changed_since(seen)


def test_a_replaced_table_and_a_missing_commit_count_as_changes(path: Path) -> None:
    for _ in range(3):
        append(path)
    assert Table(path).data_changed_since(7)  # the table that was read had seven commits, this one has three
    assert Table(path / "elsewhere").data_changed_since(0)
    DeltaTable(str(path)).optimize.compact()
    assert not Table(path).data_changed_since(2)
    append(path)
    (path / "_delta_log" / f"{3:020d}.json").unlink()
    (path / "_delta_log" / f"{4:020d}.json").rename(path / "_delta_log" / f"{4:020d}.json.kept")
    (path / "_delta_log" / f"{4:020d}.json").write_text('{"commitInfo":{}}\n', encoding="utf-8")
    assert Table(path).data_changed_since(2)  # commit 3 is unknown
    assert not Table(path).data_changed_since(3)


def test_a_commit_has_its_operation_and_metrics(path: Path) -> None:
    append(path)
    DeltaTable(str(path)).delete("order_id = 2")
    written, deleted = Table(path).commit(0), Table(path).commit(1)
    assert (written.version, written.operation, written.metrics["num_added_rows"]) == (0, "WRITE", 3)
    assert (deleted.version, deleted.operation, deleted.metrics["num_deleted_rows"]) == (1, "DELETE", 1)
    assert all(isinstance(value, int) for value in (*written.metrics.values(), *deleted.metrics.values()))
    with pytest.raises(FileNotFoundError):
        Table(path).commit(2)


def test_a_transaction_is_found_by_its_application_and_number(path: Path) -> None:
    assert Table(path).last_transaction("flow-a") == -1
    append(path)
    append(path, "flow-a", 0)
    append(path, "flow-b", 1)
    append(path, "flow-a", 1)
    append(path)
    assert Table(path).last_transaction("flow-a") == 1
    assert Table(path).last_transaction("flow-c") == -1
    found = {
        (app, number): commit.version
        for app in ("flow-a", "flow-b", "flow-c")
        for number in range(3)
        if (commit := Table(path).commit_of(app, number))
    }
    assert found == {("flow-a", 0): 1, ("flow-b", 1): 2, ("flow-a", 1): 3}
    assert Table(path).commit_of("flow-a", 1) == Table(path).commit(3)


def test_a_table_is_opened_once_and_keeps_its_version(path: Path) -> None:
    append(path)
    table = Table(path)
    assert (table.version, table.figures().rows) == (0, 3)
    append(path)
    assert (table.newest, table.version, table.read().num_rows) == (1, 0, 3)
    assert (Table(path).version, Table(path, at=0).read().num_rows) == (1, 3)
    with pytest.raises(LakerunError, match=r"orders has no version 7; the newest is 1\.$"):
        _ = Table(path, at=7).columns


def test_a_query_answers_over_the_table_and_names_one_that_cannot_be_read(path: Path) -> None:
    append(path)
    table = Table(path, name="shop.orders")
    append(path)
    assert Table(path).query("SELECT sum(order_id) FROM t WHERE order_id > 1")[0].to_pylist() == [10]
    assert table.query("SELECT order_id FROM t WHERE order_id > 1")[0].to_pylist() == [2, 3, 2, 3]
    for file in path.glob("*.parquet"):
        file.unlink()
    with pytest.raises(LakerunError, match=r"^shop\.orders cannot be read: [^\n]+$"):
        table.query("SELECT order_id FROM t")

"""The data folder: finding tables, one run at a time, and what Delta's log tells without Spark."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from lakerun.errors import BusyError, LakerunError, UnknownNameError
from lakerun.tables.storage import (
    Storage,
    TableName,
    commit_info,
    data_changed_since,
    table_version,
    transaction_commit,
    transaction_version,
)

THREE_ROWS = pa.table({"order_id": [1, 2, 3]})

# Tables -----------------------------------------------------------------------------------------------------


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path / "lakehouse")


def add_table(storage: Storage, *names: str) -> None:
    for name in names:
        (storage.table_path(TableName(*name.split("."))) / "_delta_log").mkdir(parents=True)


def test_the_data_folder_is_the_one_that_the_variable_names(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Storage.default() == Storage(home)
    monkeypatch.delenv("LAKEHOUSE_HOME")
    monkeypatch.chdir(tmp_path)
    assert Storage.default() == Storage(tmp_path / ".lakehouse")


def test_a_table_is_found_by_as_much_of_its_name_as_is_needed(storage: Storage) -> None:
    add_table(storage, "dev.shop.silver_orders", "dev.shop.gold_sales", "dev.lab.gold_sales")
    orders = TableName("dev", "shop", "silver_orders")
    for name in ("silver_orders", "shop.silver_orders", "dev.shop.silver_orders"):
        assert storage.find_table(name) == orders
    assert storage.find_table("lab.gold_sales") == TableName("dev", "lab", "gold_sales")
    assert [str(table) for table in storage.tables()] == [
        "dev.lab.gold_sales",
        "dev.shop.gold_sales",
        "dev.shop.silver_orders",
    ]


def test_an_ambiguous_name_lists_what_it_may_mean(storage: Storage) -> None:
    add_table(storage, "dev.shop.gold_sales", "dev.lab.gold_sales")
    with pytest.raises(
        LakerunError, match=r"^'gold_sales' is ambiguous: dev\.lab\.gold_sales, dev\.shop\.gold_sales\.$"
    ):
        storage.find_table("gold_sales")


def test_an_unknown_name_lists_the_closest_table_first(storage: Storage) -> None:
    with pytest.raises(UnknownNameError, match="There is none yet"):
        storage.find_table("silver_orders")
    add_table(storage, "dev.shop.bronze_orders", "dev.shop.gold_sales", "dev.shop.silver_orders")
    with pytest.raises(UnknownNameError) as raised:
        storage.find_table("silver_order")
    assert raised.value.valid[0] == "silver_orders"
    assert str(raised.value).startswith("Unknown table 'silver_order'. Did you mean 'silver_orders'?")
    with pytest.raises(UnknownNameError) as raised:
        storage.find_table("prod.shop.gold_sales")  # the right table of another catalog is not taken
    assert raised.value.valid[0] == "dev.shop.gold_sales"


def test_a_folder_without_a_delta_log_is_no_table(storage: Storage) -> None:
    storage.table_path(TableName("dev", "shop", "half_made")).mkdir(parents=True)
    assert storage.tables() == []


# One run at a time ------------------------------------------------------------------------------------------


@contextmanager
def another_run(storage: Storage) -> Iterator[subprocess.Popen[str]]:
    """A second process that holds the data folder until it is told to end, or killed."""
    code = f"""
import pathlib
from lakerun.tables.storage import Storage
with Storage(pathlib.Path({str(storage.home)!r})).exclusive("lakerun run nightly"):
    print("held", flush=True)
    input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_second_run_is_told_who_has_the_data_folder(storage: Storage) -> None:
    with another_run(storage) as other:
        with pytest.raises(BusyError) as raised, storage.exclusive("lakerun run hourly"):
            pytest.fail("two runs at once")
        assert f"lakerun run nightly, process {other.pid}" in str(raised.value)
        assert str(storage.home) in str(raised.value)
        other.communicate("\n")  # it ends
        assert other.returncode == 0
        with storage.exclusive("lakerun run hourly"):
            assert "lakerun run hourly" in (storage.home / "lock.txt").read_text(encoding="utf-8")


def test_a_killed_run_frees_the_data_folder(storage: Storage) -> None:
    with another_run(storage) as other:
        other.kill()
        assert other.wait() == -9
        with storage.exclusive("lakerun run hourly"):
            pass


def test_a_run_that_fails_frees_the_data_folder(storage: Storage) -> None:
    with pytest.raises(ZeroDivisionError), storage.exclusive("first"):
        raise ZeroDivisionError
    with storage.exclusive("second"), pytest.raises(BusyError, match="second"), storage.exclusive("third"):
        pytest.fail("two runs at once")


def test_other_data_folders_are_not_held(storage: Storage, tmp_path: Path) -> None:
    with another_run(storage), Storage(tmp_path / "other").exclusive("lakerun run hourly"):
        pass


# Delta's log ------------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "orders"


def append(path: Path, app_id: str = "", transaction: int = 0) -> int:
    """Three more rows; the table's version."""
    properties = CommitProperties(app_transactions=[Transaction(app_id, transaction)] if app_id else None)
    write_deltalake(str(path), THREE_ROWS, mode="append", commit_properties=properties)
    return DeltaTable(str(path)).version()


def test_the_version_of_a_table_is_its_newest_commit(path: Path) -> None:
    assert table_version(path) is None
    assert append(path) == table_version(path) == 0
    assert append(path) == table_version(path) == 1


def test_appended_and_deleted_rows_are_a_change_of_data(path: Path) -> None:
    append(path)
    assert not data_changed_since(path, 0)
    append(path)
    assert data_changed_since(path, 0)
    assert not data_changed_since(path, 1)
    DeltaTable(str(path)).delete("order_id = 2")
    assert data_changed_since(path, 1)
    assert not data_changed_since(path, 2)


def test_compaction_and_vacuum_are_no_change_of_data(path: Path) -> None:
    append(path)
    seen = append(path)
    table = DeltaTable(str(path))
    assert table.optimize.compact()["numFilesRemoved"] == 2
    removed = table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert len(removed) == 2
    assert (table_version(path) or 0) > seen
    assert not data_changed_since(path, seen)
    append(path)
    assert data_changed_since(path, seen)


def test_a_new_schema_is_a_change(path: Path) -> None:
    seen = append(path)
    DeltaTable(str(path)).alter.set_table_properties({"delta.logRetentionDuration": "interval 1 days"})
    assert data_changed_since(path, seen)


def test_a_table_made_anew_and_a_commit_that_is_gone_count_as_changes(path: Path) -> None:
    for _ in range(3):
        append(path)
    assert data_changed_since(path, 7)  # the table that was read had seven commits, this one has three
    assert data_changed_since(path / "elsewhere", 0)
    DeltaTable(str(path)).optimize.compact()
    assert not data_changed_since(path, 2)
    append(path)
    (path / "_delta_log" / f"{3:020d}.json").unlink()
    (path / "_delta_log" / f"{4:020d}.json").rename(path / "_delta_log" / f"{4:020d}.json.kept")
    (path / "_delta_log" / f"{4:020d}.json").write_text('{"commitInfo":{}}\n', encoding="utf-8")
    assert data_changed_since(path, 2)  # nobody can tell what the commit 3 was
    assert not data_changed_since(path, 3)


def test_a_commit_says_what_it_did(path: Path) -> None:
    append(path)
    DeltaTable(str(path)).delete("order_id = 2")
    written, deleted = commit_info(path, 0), commit_info(path, 1)
    assert (written.version, written.operation, written.metrics["num_added_rows"]) == (0, "WRITE", 3)
    assert (deleted.version, deleted.operation, deleted.metrics["num_deleted_rows"]) == (1, "DELETE", 1)
    assert all(isinstance(value, int) for value in (*written.metrics.values(), *deleted.metrics.values()))
    with pytest.raises(FileNotFoundError):
        commit_info(path, 2)


def test_a_transaction_is_found_by_its_application_and_number(path: Path) -> None:
    assert transaction_version(path, "flow-a") == -1
    append(path)
    append(path, "flow-a", 0)
    append(path, "flow-b", 1)
    append(path, "flow-a", 1)
    append(path)
    assert transaction_version(path, "flow-a") == 1
    assert transaction_version(path, "flow-c") == -1
    found = {
        (app, number): commit.version
        for app in ("flow-a", "flow-b", "flow-c")
        for number in range(3)
        if (commit := transaction_commit(path, app, number))
    }
    assert found == {("flow-a", 0): 1, ("flow-b", 1): 2, ("flow-a", 1): 3}
    assert transaction_commit(path, "flow-a", 1) == commit_info(path, 3)


def test_git_and_deployments_ignore_the_data_folder(storage: Storage) -> None:
    storage.make()
    ignored = storage.home / ".gitignore"
    assert ignored.read_text(encoding="utf-8") == "*\n"
    ignored.write_text("logs/\n", encoding="utf-8")
    storage.make()
    assert ignored.read_text(encoding="utf-8") == "logs/\n"

"""The data folder: finding tables, and one run at a time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lakerun.errors import BusyError, LakerunError, UnknownNameError
from lakerun.tables.storage import Storage, TableName, name_parts, quoted

# Tables -----------------------------------------------------------------------------------------------------


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path / "lakehouse")


def add_table(storage: Storage, *names: str) -> None:
    for name in names:
        (storage.table_path(TableName(*name.split("."))) / "_delta_log").mkdir(parents=True)


def test_the_variable_sets_the_data_folder(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Storage.default() == Storage(home)
    monkeypatch.delenv("LAKEHOUSE_HOME")
    monkeypatch.chdir(tmp_path)
    assert Storage.default() == Storage(tmp_path / ".lakehouse")


def test_a_table_is_found_by_a_unique_part_of_its_name(storage: Storage) -> None:
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


def test_a_name_is_found_in_any_case_and_in_the_default_schema_first(storage: Storage) -> None:
    add_table(storage, "dev.shop.Sales", "dev.lab.sales", "prod.lab.sales")
    assert storage.find_table("`Dev`.SHOP.sales") == TableName("dev", "shop", "Sales")
    assert storage.find_table("sales", "DEV", "lab") == TableName("dev", "lab", "sales")
    assert storage.find_table("lab.sales", "prod") == TableName("prod", "lab", "sales")
    # The catalog's name is not used as a schema's.
    with pytest.raises(LakerunError, match="ambiguous"):
        storage.find_table("sales", "lab")


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


def test_a_folder_without_a_delta_log_is_not_a_table(storage: Storage) -> None:
    storage.table_path(TableName("dev", "shop", "half_made")).mkdir(parents=True)
    assert storage.tables() == []


# One run at a time ------------------------------------------------------------------------------------------


@contextmanager
def another_run(storage: Storage) -> Iterator[subprocess.Popen[str]]:
    """A second process that holds the data folder until it has to end, or is killed."""
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


def test_a_second_run_names_the_holder_of_the_data_folder(storage: Storage) -> None:
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


def test_other_data_folders_are_not_locked(storage: Storage, tmp_path: Path) -> None:
    with another_run(storage), Storage(tmp_path / "other").exclusive("lakerun run hourly"):
        pass


def test_git_and_deployments_ignore_the_data_folder(storage: Storage) -> None:
    storage.make()
    ignored = storage.home / ".gitignore"
    assert ignored.read_text(encoding="utf-8") == "*\n"
    ignored.write_text("logs/\n", encoding="utf-8")
    storage.make()
    assert ignored.read_text(encoding="utf-8") == "logs/\n"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("orders", ["orders"]),
        ("main.shop.orders", ["main", "shop", "orders"]),
        ("`main`.shop.`orders`", ["main", "shop", "orders"]),
        ("main.`a.b`.`o``clock`", ["main", "a.b", "o`clock"]),
        ("o`clock", ["o`clock"]),
    ],
)
def test_a_name_is_written_with_or_without_backticks(name: str, parts: list[str]) -> None:
    assert name_parts(name) == parts
    assert name_parts(".".join(quoted(part) for part in parts)) == parts


def test_an_empty_part_is_kept() -> None:
    assert name_parts("main..orders") == ["main", "", "orders"]
    assert name_parts("orders.") == ["orders", ""]


@pytest.mark.parametrize("name", ["", ".", "..", "../../etc", "a/b", "a\\b", "a\0b", "/etc"])
def test_no_name_leads_out_of_the_data_folder(storage: Storage, name: str) -> None:
    for table in (TableName(name, "s", "t"), TableName("c", name, "t"), TableName("c", "s", name)):
        with pytest.raises(LakerunError, match="is not a valid name of a"):
            storage.table_path(table)
    with pytest.raises(LakerunError, match="is not a valid name of a pipeline"):
        storage.pipeline_path(name)


def test_a_name_with_spaces_and_dots_is_a_folder(storage: Storage) -> None:
    path = storage.table_path(TableName("c", "my schema", "v1.2"))
    assert path == storage.tables_root / "c" / "my schema" / "v1.2"

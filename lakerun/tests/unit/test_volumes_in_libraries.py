"""`/Volumes/...` in libraries that open files in C is the volume in the data folder too."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import deltalake
import duckdb
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import csv, dataset, feather, fs, ipc, orc, parquet

from lakerun.tables.storage import Storage
from lakerun.volumes.paths import VolumeError
from lakerun.volumes.python import mounted

V = "/Volumes/main/shop/data"
ROWS = pa.table({"a": [1, 2, 3], "b": ["x", "y", "z"]})
FRAME = ROWS.to_pandas()


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    storage = Storage(tmp_path / "lakehouse")
    (storage.volumes_root / "main" / "shop" / "data").mkdir(parents=True)
    return storage


@pytest.fixture
def volume(storage: Storage) -> Iterator[Path]:
    """The folder of main.shop.data on this machine, while the volumes are mounted."""
    with mounted(storage):
        yield storage.volumes_root / "main" / "shop" / "data"


def _parquet_writer(path: str) -> None:
    with parquet.ParquetWriter(path, ROWS.schema) as writer:
        writer.write_table(ROWS)


def _csv_writer(path: str) -> None:
    with csv.CSVWriter(path, ROWS.schema) as writer:
        writer.write_table(ROWS)


def _arrow_file(path: str) -> None:
    with pa.OSFile(path, "wb") as sink, ipc.new_file(sink, ROWS.schema) as writer:
        writer.write_table(ROWS)


def _mapped(path: str) -> Any:
    with pa.memory_map(path) as source:
        return ipc.open_file(source).read_all()


def _made_folder(path: str) -> None:
    files = fs.LocalFileSystem()
    files.create_dir(f"{path}/deep")
    with files.open_output_stream(f"{path}/deep/rows.csv") as sink:
        csv.write_csv(ROWS, sink)


def _database(path: str) -> None:
    with duckdb.connect(path) as connection:
        connection.register("given", ROWS)
        connection.execute("CREATE TABLE rows AS FROM given")


def _from_database(path: str) -> Any:
    with duckdb.connect(path) as connection:
        return connection.sql("FROM rows").to_arrow_table()


def _sql(text: str) -> Any:
    return duckdb.sql(text).to_arrow_table()


# How the rows are written, and how they are read.
WAYS: dict[str, tuple[Callable[[str], Any], Callable[[str], Any]]] = {
    "parquet": (lambda path: parquet.write_table(ROWS, path), lambda path: parquet.read_table(Path(path))),
    "parquet writer": (_parquet_writer, lambda path: parquet.ParquetFile(path).read()),
    "file system": (
        lambda path: parquet.write_table(ROWS, path, filesystem=fs.LocalFileSystem()),
        lambda path: parquet.read_table(f"file://{path}"),
    ),
    "dataset": (
        lambda path: dataset.write_dataset(ROWS, path, format="parquet"),
        lambda path: dataset.dataset([f"{path}/part-0.parquet"]).to_table(),
    ),
    "csv": (_csv_writer, lambda path: csv.read_csv(path)),
    "made folder": (_made_folder, lambda path: csv.read_csv(f"{path}/deep/rows.csv")),
    "feather": (lambda path: feather.write_feather(ROWS, path), lambda path: feather.read_table(path)),
    "orc": (lambda path: orc.write_table(ROWS, path), lambda path: orc.read_table(path)),
    "arrow": (_arrow_file, _mapped),
    "pandas": (
        lambda path: FRAME.to_parquet(path, partition_cols=["b"]),
        lambda path: pa.Table.from_pandas(pd.read_parquet(path).astype({"b": str}), ROWS.schema),
    ),
    "delta": (
        lambda path: deltalake.write_deltalake(path, ROWS),
        lambda path: pa.table(deltalake.DeltaTable(path).to_pyarrow_table()),
    ),
    "duckdb": (_database, _from_database),
    "duckdb copy": (
        lambda path: duckdb.sql(f"COPY (SELECT * FROM ROWS) TO '{path}' (FORMAT parquet)"),
        lambda path: _sql(f"SELECT * FROM read_parquet('{path}') WHERE b <> '/x'"),
    ),
    "duckdb csv": (
        lambda path: duckdb.from_arrow(ROWS).write_csv(path),
        lambda path: duckdb.read_csv([path]).to_arrow_table(),
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_library_in_c_writes_and_reads_in_the_volume(volume: Path, way: str) -> None:
    write, read = WAYS[way]
    write(f"{V}/rows.file")
    assert [path.name for path in volume.iterdir()] == ["rows.file"]
    found = [(row["a"], row["b"]) for row in read(f"{V}/rows.file").to_pylist()]
    assert sorted(found) == [(1, "x"), (2, "y"), (3, "z")]


def test_polars_writes_and_reads_in_the_volume(volume: Path) -> None:
    polars = pytest.importorskip("polars")
    polars.DataFrame({"a": [1, 2]}).write_parquet(f"{V}/rows.parquet")
    polars.DataFrame({"a": [3]}).lazy().sink_parquet(f"{V}/more.parquet")
    assert polars.scan_parquet(f"{V}/*.parquet").collect()["a"].sum() == 6
    assert polars.sql(f"SELECT max(a) AS a FROM read_parquet('{V}/rows.parquet')").collect().item() == 2
    assert sorted(path.name for path in volume.iterdir()) == ["more.parquet", "rows.parquet"]


@pytest.mark.parametrize(
    "path",
    ["/Volumes/main/shop/data/../../../../x", "/Volumes/main/shop/none/x", "/dbfs/tmp/x", "/Workspace/../x"],
)
def test_a_path_that_would_leave_the_data_folder_is_refused(volume: Path, path: str) -> None:
    for use in (
        lambda: parquet.write_table(ROWS, path),
        lambda: deltalake.write_deltalake(path, ROWS),
        lambda: duckdb.sql(f"COPY (SELECT 1) TO '{path}'"),
        lambda: fs.LocalFileSystem().create_dir(path),
    ):
        with pytest.raises(VolumeError):
            use()


def test_sql_of_duckdb_still_finds_the_variables_around_it(volume: Path) -> None:
    own_rows = pa.table({"n": [1, 2, 3]})
    assert duckdb.sql("SELECT sum(n) FROM own_rows").fetchall() == [(6,)]
    with duckdb.connect() as connection:
        connection.execute(f"COPY own_rows TO '{V}/own.parquet'")
        assert connection.sql("SELECT count(*) FROM ROWS").fetchall() == [(3,)]
    assert [path.name for path in volume.iterdir()] == ["own.parquet"]
    assert own_rows.num_rows == 3


def test_a_library_is_changed_when_it_is_imported(volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pyarrow.feather")
    imported = import_module("pyarrow.feather")
    assert imported is not feather
    imported.write_feather(ROWS, f"{V}/rows.feather")
    assert (volume / "rows.feather").is_file()
    assert imported.__spec__.loader is imported.__loader__


def test_outside_of_a_run_the_libraries_do_what_they_always_do(storage: Storage, tmp_path: Path) -> None:
    with mounted(storage):
        parquet.write_table(ROWS, f"{V}/rows.parquet")
    with pytest.raises(FileNotFoundError):
        parquet.read_table(f"{V}/rows.parquet")
    parquet.write_table(ROWS, tmp_path / "own.parquet")
    assert parquet.read_table(tmp_path / "own.parquet").num_rows == 3

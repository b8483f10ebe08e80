"""`/Volumes/...` in Python code is the volume in the data folder, whatever opens it."""
# What is tested are the functions that these rules replace.
# ruff: noqa: PTH102, PTH103, PTH110, PTH112, PTH123, PTH202, PTH207, PTH208, PTH211, SIM115, PT011

from __future__ import annotations

import glob
import io
import os
import shutil
import sqlite3
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from lakerun.tables.storage import Storage
from lakerun.volumes.python import mounted

V = "/Volumes/main/shop/data"


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """The folder of main.shop.data on this machine, while the volumes are mounted."""
    storage = Storage(tmp_path / "lakehouse")
    folder = storage.volumes_root / "main" / "shop" / "data"
    folder.mkdir(parents=True)
    with mounted(storage):
        yield folder


def _tar(path: str) -> None:
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("a"), io.BytesIO())


def _sqlite(path: str) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE t (a)")
    database.close()


def _thread(path: str) -> None:
    thread = threading.Thread(target=lambda: Path(path).write_text("x", encoding="utf-8"))
    thread.start()
    thread.join()


WRITERS: dict[str, Callable[[str], object]] = {
    "open": lambda path: open(path, "w").close(),
    "io.open": lambda path: open(path, "wb").close(),
    "os.open": lambda path: os.close(os.open(path, os.O_CREAT | os.O_WRONLY)),
    "bytes": lambda path: os.mkdir(os.fsencode(path)),
    "pathlib": lambda path: Path(path).write_text("x", encoding="utf-8"),
    "touch": lambda path: Path(path).touch(),
    "makedirs": lambda path: os.makedirs(f"{path}/deep/er", exist_ok=True),
    "parents": lambda path: Path(path, "deep", "er").mkdir(parents=True),
    "copy": lambda path: shutil.copy(__file__, path),
    "zip": lambda path: zipfile.ZipFile(path, "w").close(),
    "tar": _tar,
    "sqlite": _sqlite,
    "csv": lambda path: pd.DataFrame({"a": [1]}).to_csv(path),
    "parquet": lambda path: pd.DataFrame({"a": [1]}).to_parquet(path),
    "shell": lambda path: subprocess.run(f"echo x > {path}", shell=True, check=True),
    "command": lambda path: subprocess.run(["touch", path], check=True),
    "option": lambda path: subprocess.run(["dd", "if=/dev/null", f"of={path}"], check=True, stderr=-3),
    "system": lambda path: os.system(f"echo x > '{path}'"),
    "thread": _thread,
    "slashes": lambda path: open(f"/{path}", "w").close(),
    "dots": lambda path: open(f"/tmp/..{path}", "w").close(),
    "link": lambda path: os.symlink(__file__, path),
}


@pytest.mark.parametrize("how", sorted(WRITERS))
def test_what_is_written_is_in_the_data_folder(volume: Path, how: str) -> None:
    WRITERS[how](f"{V}/made")
    assert os.listdir(volume) == ["made"]


def test_what_is_there_is_found(volume: Path) -> None:
    (volume / "in").mkdir()
    (volume / "in" / "a.csv").write_text("n\n1\n2\n", encoding="utf-8")
    path = f"{V}/in/a.csv"
    assert pd.read_csv(path)["n"].sum() == 3
    assert (os.path.exists(path), os.path.isdir(V), os.path.getsize(path)) == (True, True, 6)
    assert [entry.path for entry in os.scandir(f"{V}/in")] == [path]
    assert [entry.is_file() for entry in os.scandir(f"{V}/in")] == [True]
    assert list(os.walk(V)) == [(V, ["in"], []), (f"{V}/in", [], ["a.csv"])]
    assert glob.glob(f"{V}/*/*.csv") == glob.glob(f"{V}/**/*.csv", recursive=True) == [path]
    assert [*Path(V).iterdir()] == [Path(V, "in")]
    assert [*Path(V).rglob("*.csv")] == [*Path(V).glob("in/*.csv")] == [Path(path)]
    assert Path(path).resolve() == Path(path)
    assert os.listdir("/Volumes") == ["main"]
    assert os.listdir("/Volumes/main/shop") == ["data"]
    with open(path, encoding="utf-8") as file:
        assert file.read() == "n\n1\n2\n"
    assert subprocess.run(["cat", path], capture_output=True, text=True).stdout == "n\n1\n2\n"
    assert subprocess.run(["ls"], cwd=f"{V}/in", capture_output=True, text=True).stdout == "a.csv\n"
    shutil.rmtree(f"{V}/in")
    assert os.listdir(volume) == []


def test_an_error_names_the_path_as_the_code_wrote_it(volume: Path) -> None:
    with pytest.raises(FileNotFoundError, match=rf"No such file or directory: '{V}/none'"):
        open(f"{V}/none")
    with pytest.raises(FileExistsError, match=rf"File exists: '{V}'"):
        os.mkdir(V)


MISSING = (
    "Volume 'main.shop.none' does not exist. Make it by spark.sql('CREATE VOLUME main.shop.none'), or "
    "declare it under the bundle's resources.volumes."
)


@pytest.mark.parametrize(
    "use",
    [
        lambda path: open(path, "w"),
        lambda path: os.listdir(path),
        lambda path: os.makedirs(path),
        lambda path: Path(path).mkdir(parents=True, exist_ok=True),
        lambda path: pd.DataFrame({"a": [1]}).to_csv(path),
        lambda path: subprocess.run(["touch", path]),
    ],
)
def test_a_volume_that_does_not_exist_is_an_error_that_says_how_to_make_it(
    volume: Path, use: Callable[[str], object]
) -> None:
    with pytest.raises(OSError) as caught:
        use("/Volumes/main/shop/none/made")
    assert str(caught.value) == MISSING
    assert not os.path.exists("/Volumes/main/shop/none/made")
    assert os.listdir(volume.parent) == ["data"]


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/Volumes/../etc/hosts", "'/Volumes/../etc/hosts' leads out of /Volumes."),
        (f"{V}/../../../../etc/hosts", f"'{V}/../../../../etc/hosts' leads out of /Volumes."),
        (
            f"{V}/out/hosts",
            f"'{V}/out/hosts' goes through a symbolic link that leads out of the data folder.",
        ),
        ("/Workspace/../etc/hosts", "'/Workspace/../etc/hosts' leads out of /Workspace."),
        (
            "dbfs:/etc/hosts",
            "'dbfs:/etc/hosts' is a path for Spark and dbutils.fs; Python opens /Volumes/...",
        ),
        (
            "/dbfs/etc/hosts",
            "'/dbfs/etc/hosts' is in the DBFS root, which is not here: "
            "write /Volumes/<catalog>/<schema>/<volume>/...",
        ),
    ],
)
def test_a_path_that_leads_out_is_refused(volume: Path, path: str, error: str) -> None:
    (volume / "out").symlink_to("/etc")
    for use in (open, os.stat, os.listdir, os.remove):
        with pytest.raises(OSError) as caught:
            use(path)
        assert str(caught.value) == error


def test_workspace_files_are_in_the_data_folder(volume: Path) -> None:
    os.makedirs("/Workspace/Users/ana@example.com")
    Path("/Workspace/Users/ana@example.com/notes.txt").write_text("x", encoding="utf-8")
    files = volume.parents[3] / "workspace" / "files"
    assert (files / "Users" / "ana@example.com" / "notes.txt").read_text(encoding="utf-8") == "x"


def test_what_the_functions_miss_is_refused(volume: Path) -> None:
    with pytest.raises(OSError, match="is opened by a library in a way that does not reach volumes here"):
        io.FileIO(f"{V}/made", "w")


def test_outside_of_tasks_nothing_is_mapped(tmp_path: Path) -> None:
    before = open, os.stat, subprocess.Popen.__init__
    with mounted(Storage(tmp_path)):
        assert open is not before[0]
    assert (open, os.stat, subprocess.Popen.__init__) == before


def test_other_paths_are_what_they_say(volume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Volumes").mkdir()
    monkeypatch.chdir(tmp_path)
    Path("Volumes/a").write_text("x", encoding="utf-8")
    assert os.listdir(tmp_path / "Volumes") == ["a"]
    assert not list(volume.iterdir())

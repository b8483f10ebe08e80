"""`dbutils.fs` as Databricks documents it, over the volumes of the data folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakerun.errors import LakerunError
from lakerun.jobs.dbutils import DbUtils
from lakerun.jobs.dbutils_files import FileInfo, Files
from lakerun.tables.storage import Storage

V = "/Volumes/main/shop/data"


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    storage = Storage(tmp_path / "lakehouse")
    (storage.volumes_root / "main" / "shop" / "data").mkdir(parents=True)
    return storage


@pytest.fixture
def fs(storage: Storage) -> Files:
    return DbUtils(storage).fs


def names(listed: list[FileInfo]) -> list[str]:
    return [info.name for info in listed]


def test_files_are_written_listed_and_read(
    fs: Files, storage: Storage, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fs.put(f"{V}/in/a.txt", "abcdé")
    assert fs.mkdirs(f"dbfs:{V}/out/deep")
    assert capsys.readouterr().out == "Wrote 6 bytes.\n"
    (file,) = fs.ls(f"{V}/in")
    modified = int((storage.volumes_root / "main/shop/data/in/a.txt").stat().st_mtime * 1000)
    assert file == (f"dbfs:{V}/in/a.txt", "a.txt", 6, modified)
    assert (file.isFile(), file.isDir()) == (True, False)
    assert [(info.path, info.name, info.size, info.isDir()) for info in fs.ls(f"dbfs:{V}")] == [
        (f"dbfs:{V}/in/", "in/", 0, True),
        (f"dbfs:{V}/out/", "out/", 0, True),
    ]
    assert (fs.head(f"{V}/in/a.txt"), fs.head(f"{V}/in/a.txt", 2)) == ("abcdé", "ab")
    assert capsys.readouterr().out == "[Truncated to first 2 bytes]\n"


def test_files_and_folders_are_copied_moved_and_deleted(fs: Files, tmp_path: Path) -> None:
    fs.put(f"{V}/in/a.txt", "a")
    assert fs.cp(f"{V}/in", f"{V}/copy", recurse=True)
    assert fs.cp(f"{V}/in/a.txt", f"{V}/copy/b.txt")
    assert fs.mv(f"{V}/copy/a.txt", f"{V}/moved/c.txt")
    assert fs.cp(f"{V}/moved/c.txt", f"{V}/in")
    assert [names(fs.ls(f"{V}/{folder}")) for folder in ("in", "copy", "moved")] == [
        ["a.txt", "c.txt"],
        ["b.txt"],
        ["c.txt"],
    ]
    assert fs.cp(f"{V}/in/a.txt", f"file:{tmp_path}/mine.txt")
    assert (tmp_path / "mine.txt").read_text(encoding="utf-8") == "a"
    assert fs.ls(f"file:{tmp_path}/mine.txt")[0].path == f"file:{tmp_path}/mine.txt"
    assert [fs.rm(f"{V}/in/a.txt"), fs.rm(f"{V}/in", True), fs.rm(f"{V}/in")] == [True, True, False]
    assert names(fs.ls(V)) == ["copy/", "moved/"]


@pytest.mark.parametrize(
    ("call", "arguments", "error"),
    [
        (
            "put",
            (f"{V}/in/a.txt", "b"),
            f"{V}/in/a.txt already exists: give overwrite=True to write it again.",
        ),
        ("cp", (f"{V}/in", f"{V}/copy"), f"{V}/in is a folder: give recurse=True to cp it."),
        ("mv", (f"{V}/in", f"{V}/copy"), f"{V}/in is a folder: give recurse=True to mv it."),
        ("rm", (f"{V}/in",), f"{V}/in is not empty: give recurse=True to delete what is in it."),
        ("rm", (V, True), f"{V} is not within a volume: a volume itself goes by DROP VOLUME."),
        ("ls", (f"{V}/none",), f"There is no file or folder {V}/none."),
        ("head", (f"{V}/in",), f"{V}/in is a folder."),
        ("ls", ("/tmp",), "/tmp is not in a volume: write /Volumes/<catalog>/<schema>/<volume>/..."),
        (
            "ls",
            ("dbfs:/tmp",),
            "'dbfs:/tmp' is not in a volume: write /Volumes/<catalog>/<schema>/<volume>/...",
        ),
        ("put", (f"{V}/../../../../x", "b"), f"'{V}/../../../../x' leads out of /Volumes."),
        (
            "put",
            ("/Volumes/main/shop/none/x", "b"),
            "Volume 'main.shop.none' does not exist. Make it by spark.sql('CREATE VOLUME main.shop.none'), "
            "or declare it under the bundle's resources.volumes.",
        ),
    ],
)
def test_what_databricks_refuses_is_one_line(
    fs: Files, call: str, arguments: tuple[str, ...], error: str
) -> None:
    fs.put(f"{V}/in/a.txt", "a")
    with pytest.raises(LakerunError) as caught:
        getattr(fs, call)(*arguments)
    assert str(caught.value) == error
    assert names(fs.ls(f"{V}/in")) == ["a.txt"]


def test_what_is_not_here_is_named(storage: Storage) -> None:
    dbutils = DbUtils(storage)
    with pytest.raises(LakerunError, match=r"^dbutils\.fs\.mount is not available here\. Use volumes\.$"):
        dbutils.fs.mount("s3a://bucket", "/mnt/x")
    with pytest.raises(LakerunError, match=r"^dbutils\.credentials is not available here\.$"):
        dbutils.credentials.showRoles()

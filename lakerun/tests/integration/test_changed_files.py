"""A file that is overwritten or grows after a stream had read it: named in the event log, or read again."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from integration.lab import Lab
from lakerun.pipelines.results import Event

# The file source's log is compacted every tenth batch: a run has one per file here.
PIPELINE = """
@dp.table
def lines():
    reader = spark.readStream.option("maxFilesPerTrigger", 1).option("recursiveFileLookup", "true")
    return reader{option}.format("text").load({folder!r})
"""
BEGIN = time.time() - 3600
AGAIN = '.option("cloudFiles.allowOverwrites", "true")'


def source(folder: Path, option: str = "") -> str:
    return PIPELINE.format(folder=str(folder), option=option)


def told(lab: Lab) -> list[tuple[str, str]]:
    """Level and message of the last update's events about changed files."""
    return [(event.level, event.message) for event in lab.events if about_files(event)]


def about_files(event: Event) -> bool:
    return "changed_files" in event.details.get("runtime_details", {})


def write(file: Path, *lines: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def later(file: Path, seconds: int) -> None:
    """Gives the file a time of modification: an hour before the test, and these seconds."""
    os.utime(file, (BEGIN + seconds,) * 2)


@pytest.fixture
def folder(lab: Lab) -> Path:
    folder = lab.home / "incoming"
    for number in range(12):
        write(folder / f"day {number % 2}" / f"{number}.txt", f"line {number}")
        later(folder / f"day {number % 2}" / f"{number}.txt", number)
    return folder


LINES = [(f"line {number}",) for number in range(12)]
IGNORED = (
    "WARN",
    "Flow 'lines' had read files that have changed since: {}. They are not read again: set "
    "the option allowOverwrites, or refresh 'lines' fully.",
)


def test_a_changed_file_is_named_once_and_its_new_lines_are_not_read(lab: Lab, folder: Path) -> None:
    assert lab.run(source(folder)).state == "COMPLETED"
    assert told(lab) == []

    old, copied = folder / "day 0" / "2.txt", folder / "day 1" / "11.txt"
    write(old, "line 2", "it has grown")
    write(copied, "another file")
    later(copied, -1000)  # a copy that keeps an older time
    write(folder / "12.txt", "line 12")
    assert lab.run(source(folder)).state == "COMPLETED"
    assert told(lab) == [(IGNORED[0], IGNORED[1].format("2.txt, 11.txt"))]
    (event,) = filter(about_files, lab.events)
    assert event.details == {"runtime_details": {"changed_files": [str(old), str(copied)]}}
    assert event.origin["dataset_name"] == "main.shop.lines"
    assert lab.rows("lines") == sorted([*LINES, ("line 12",)], key=repr)

    assert lab.run(source(folder)).state == "COMPLETED"
    assert told(lab) == []
    write(old, "line 2", "it has grown", "and grown")
    assert lab.run(source(folder)).datasets[0].status == "SKIPPED"
    assert told(lab) == [(IGNORED[0], IGNORED[1].format("2.txt"))]


def test_with_allow_overwrites_a_changed_file_is_read_again_as_a_whole(lab: Lab, folder: Path) -> None:
    assert lab.run(source(folder, AGAIN)).state == "COMPLETED"
    for number in (0, 2, 4, 6, 8, 10):
        write(folder / "day 0" / f"{number}.txt", f"line {number}", f"more of {number}")
    result = lab.run(source(folder, AGAIN))
    assert (result.state, result.datasets[0].rows_written) == ("COMPLETED", 12)
    assert told(lab) == [
        (
            "INFO",
            "Flow 'lines' had read files that have changed since: 0.txt, 10.txt, 2.txt, 4.txt, 6.txt and 1 "
            "more. They are read again, as allowOverwrites is set.",
        )
    ]
    grown = [(f"{word} {number}",) for number in range(0, 12, 2) for word in ("line", "more of")]
    assert lab.rows("lines") == sorted([*LINES, *grown], key=repr)

    result = lab.run(source(folder, AGAIN))
    assert (result.datasets[0].status, told(lab)) == ("SKIPPED", [])
    write(folder / "day 0" / "0.txt", "the last")
    assert lab.run(source(folder, AGAIN)).datasets[0].rows_written == 1
    write(folder / "new.txt", "new")
    assert lab.run(source(folder, AGAIN)).datasets[0].rows_written == 1
    assert told(lab) == []


def test_the_log_of_all_files_is_read_only_for_a_file_that_this_run_did_not_read(tmp_path: Path) -> None:
    """What the check opens, by a log that names its files as Spark does."""
    from lakerun.pipelines.changed_files import ReadFiles, StreamedFolder

    folder, log = tmp_path / "in", tmp_path / "checkpoint" / "sources" / "0"
    log.mkdir(parents=True)
    files = [folder / f"{number} ä.txt" for number in range(30)]
    for file in files:
        write(file, "x")

    def entry(number: int) -> str:
        modified = files[number].stat().st_mtime_ns // 1_000_000
        return json.dumps(
            {"path": files[number].as_uri(), "timestamp": modified, "batchId": number}, separators=(",", ":")
        )

    def batches(first: int, last: int) -> None:
        for number in range(first, last):
            known = range(number + 1) if number % 10 == 9 else [number]
            name = f"{number}.compact" if number % 10 == 9 else str(number)
            (log / name).write_text("\n".join(["v1", *map(entry, known)]), encoding="utf-8")

    streamed = [StreamedFolder(folder, allow_overwrites=False)]
    first = ReadFiles(tmp_path / "checkpoint", streamed)
    batches(0, 25)
    assert first.changed() == []
    first.looked()

    second = ReadFiles(tmp_path / "checkpoint", streamed)
    (log / "9.compact").write_text("not read", encoding="utf-8")
    (log / "3").write_text("not read", encoding="utf-8")
    batches(25, 29)
    write(files[29], "arrives while the stream runs")
    write(files[7], "grows")
    later(files[7], 0)
    assert second.changed() == [files[7]]

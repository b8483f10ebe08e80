"""Files are written completely or not at all."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from lakerun.files import replacing, write_file


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    file = tmp_path / "new" / "settings.json"
    write_file(file, "früh")
    assert file.read_bytes() == b"fr\xc3\xbch"
    write_file(file, b"late")
    assert file.read_bytes() == b"late"
    assert list(file.parent.iterdir()) == [file]


def test_an_error_keeps_the_file_and_removes_the_draft(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    write_file(file, "old")

    def fail() -> None:
        with replacing(file) as draft:
            draft.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_concurrent_writes_do_not_mix(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    drafts: list[Path] = []
    both = threading.Barrier(2, timeout=30)

    def write(text: str) -> None:
        with replacing(file) as draft:
            drafts.append(draft)
            both.wait()
            draft.write_text(text)
            both.wait()

    threads = [threading.Thread(target=write, args=(text,)) for text in ("one" * 1000, "two" * 1000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(set(drafts)) == 2
    assert file.read_text() in ("one" * 1000, "two" * 1000)
    assert list(tmp_path.iterdir()) == [file]

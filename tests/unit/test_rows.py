"""What counts when tests compare the rows of two runs."""

from __future__ import annotations

from typing import Any

from tests.rows import comparable


def row(**changes: Any) -> dict[str, Any]:
    version = {"at": 1, "source_file": "/run/b.json", "ingested_at": 7}
    return {"id": 1, "source_file": "/run/a.json", "ingested_at": 8, "version": version} | changes


def test_rows_differ_in_values_and_names_of_files_but_not_in_what_is_left_out() -> None:
    def same(**changes: Any) -> bool:
        return comparable(row(**changes), ["ingested_at"]) == comparable(row(), ["ingested_at"])

    assert same(ingested_at=9, source_file="/again/a.json")
    assert same(version={"ingested_at": 9, "source_file": "/again/b.json", "at": 1})
    assert not same(source_file="/run/c.json")
    assert not same(id=2)
    assert not same(version={"at": 1, "source_file": "/run/c.json", "ingested_at": 7})
    assert not same(version={"at": 2, "source_file": "/run/b.json", "ingested_at": 7})
    assert comparable({"a": 1, "b": 2}, ()) == comparable({"b": 2, "a": 1}, ())

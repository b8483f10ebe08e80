"""The statistics in the log hold for each row of a file, as otherwise a filter would skip the file."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakerun.tables.parquet_stats import delta_stats


def _stats(folder: Path, columns: dict[str, pa.Array], **options: Any) -> dict[str, Any]:
    file = folder / "file.parquet"
    pq.write_table(pa.table(columns), file, **options)
    parsed: dict[str, Any] = json.loads(delta_stats(pq.read_metadata(file)))
    return parsed


def test_bounds_and_nulls_are_in_the_form_of_deltas_protocol(tmp_path: Path) -> None:
    moment = datetime(2026, 5, 1, 12, 30, 15, 123987, tzinfo=UTC)
    columns = {
        "order_id": pa.array(["ORD-2", "ORD-1", None]),
        "quantity": pa.array([3, 1, 2]),
        "price": pa.array([Decimal("19.99"), Decimal("5.00"), None], pa.decimal128(10, 2)),
        "ordered_at": pa.array([moment, moment, moment], pa.timestamp("us", tz="UTC")),
        "order_date": pa.array([date(2026, 5, 1), date(2026, 4, 30), None]),
        "gift": pa.array([True, False, True]),
        "raw_line": pa.array([b"{}", b"[]", b"x"]),
        "nothing": pa.array([None, None, None], pa.string()),
        "tags": pa.array([["a"], ["b"], []]),
    }
    assert _stats(tmp_path, columns) == {
        "numRecords": 3,
        "minValues": {
            "order_id": "ORD-1",
            "quantity": 1,
            "price": 5.0,
            "ordered_at": "2026-05-01T12:30:15.123Z",
            "order_date": "2026-04-30",
        },
        "maxValues": {
            "order_id": "ORD-2",
            "quantity": 3,
            "price": 19.99,
            "ordered_at": "2026-05-01T12:30:15.123Z",
            "order_date": "2026-05-01",
        },
        "nullCount": {
            "order_id": 1,
            "quantity": 0,
            "price": 1,
            "ordered_at": 0,
            "order_date": 1,
            "gift": 0,
            "raw_line": 0,
            "nothing": 3,
        },
    }


def test_numbers_without_exact_bounds_have_none(tmp_path: Path) -> None:
    exact = Decimal("12345678901234567890.12")
    columns = {
        "exact": pa.array([exact, exact], pa.decimal128(38, 2)),
        "ratio": pa.array([1.5, 2.5]),
        "odd": pa.array([1.0, float("nan")]),
    }
    found = _stats(tmp_path, columns)
    assert (found["minValues"], found["maxValues"]) == ({}, {})
    assert found["nullCount"] == {"exact": 0, "ratio": 0, "odd": 0}


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    texts=st.lists(st.text(st.characters(codec="utf-8"), max_size=40) | st.none(), min_size=1, max_size=9),
    group=st.integers(1, 4),
)
def test_texts_are_within_their_bounds(tmp_path: Path, texts: list[str | None], group: int) -> None:
    found = _stats(tmp_path, {"text": pa.array(texts, pa.string())}, row_group_size=group)
    assert found["numRecords"] == len(texts)
    assert found["nullCount"] == {"text": texts.count(None)}
    for text in texts:
        if text is not None and "text" in found["minValues"]:
            assert found["minValues"]["text"] <= text <= found["maxValues"]["text"]
            assert len(found["minValues"]["text"]) <= 32
            assert len(found["maxValues"]["text"]) <= 33

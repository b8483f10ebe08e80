"""Corrections of quarantined rows: recorded once, delivered once, whatever is killed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ecommerce_lakehouse.config import LakehouseConfig, get_config
from ecommerce_lakehouse.domain.entities import ORDERS
from ecommerce_lakehouse.quality import replay
from ecommerce_lakehouse.quality.replay import (
    Corrections,
    QuarantinedRow,
    ReplayError,
    corrected_lines,
    correcting_query,
)

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)


def row(number: int, file: str = "file:/x/orders_raw/a.json") -> QuarantinedRow:
    text = json.dumps({"order_id": f"o{number}", "status": "lost"})
    return QuarantinedRow(raw_text=text, source_file=file, broken_rules=("valid_status",))


def fixed(number: int) -> str:
    return json.dumps({"order_id": f"o{number}", "status": "pending"})


@pytest.fixture
def config(home: Path) -> LakehouseConfig:
    return get_config("local")


@pytest.fixture
def corrections(config: LakehouseConfig) -> Corrections:
    return Corrections(config, "orders")


def arrived(config: LakehouseConfig) -> dict[str, list[str]]:
    folder = Path(config.orders_source_path)
    return {file.name: file.read_text().splitlines() for file in sorted(folder.glob("*"))}


def test_corrected_rows_arrive_in_one_file_and_replaying_again_changes_nothing(
    config: LakehouseConfig, corrections: Corrections
) -> None:
    corrections.fix({row(1): fixed(1), row(2): fixed(2)}, by="ana@example.com", reason="typo", now=NOON)
    (done,) = corrections.replay(by="ben@example.com", now=NOON)
    (lines,) = arrived(config).values()
    assert sorted(lines) == [fixed(1), fixed(2)]
    before = arrived(config)
    assert corrections.replay(by="ben@example.com", now=NOON + timedelta(days=1)) == []
    assert arrived(config) == before
    trail = {item.row_id: item for item in corrections.all()}
    assert set(trail) == {row(1).row_id, row(2).row_id}
    for item in trail.values():
        assert (item.by, item.reason, item.at, item.replay) == (
            "ana@example.com",
            "typo",
            NOON,
            done.replay_id,
        )
        assert item.broken_rules == ("valid_status",)


def test_a_later_correction_is_a_replay_of_its_own(config: LakehouseConfig, corrections: Corrections) -> None:
    corrections.fix({row(1): fixed(1)}, by="ana", now=NOON)
    corrections.replay(by="ana", now=NOON)
    corrections.fix({row(2): fixed(2)}, by="ana", now=NOON)
    corrections.replay(by="ana", now=NOON)
    assert sorted(arrived(config).values()) == [[fixed(1)], [fixed(2)]]


@pytest.mark.parametrize("step", ["claim", "file"])
def test_a_replay_killed_in_the_middle_is_finished_and_no_row_doubled(
    config: LakehouseConfig, corrections: Corrections, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    corrections.fix({row(1): fixed(1), row(2): fixed(2)}, by="ana", now=NOON)
    write = replay.write_whole

    def killed(file: Path, text: str) -> None:
        if step == "claim":
            raise KeyboardInterrupt
        if file.name.startswith("replay_"):
            raise KeyboardInterrupt
        write(file, text)

    with monkeypatch.context() as patch:
        patch.setattr(replay, "write_whole", killed)
        with pytest.raises(KeyboardInterrupt):
            corrections.replay(by="ana", now=NOON)
    assert arrived(config) == {}
    corrections.fix({row(3): fixed(3)}, by="ana", now=NOON)
    corrections.replay(by="ana", now=NOON + timedelta(minutes=1))
    lines = [line for file in arrived(config).values() for line in file]
    assert sorted(lines) == [fixed(1), fixed(2), fixed(3)]


def test_two_replays_at_once_deliver_no_row_twice(
    config: LakehouseConfig, corrections: Corrections, monkeypatch: pytest.MonkeyPatch
) -> None:
    corrections.fix({row(1): fixed(1)}, by="ana", now=NOON)
    write = replay.write_whole
    refused: list[str] = []

    def slow(file: Path, text: str) -> None:
        """Another replay runs between reading and claiming."""
        for attempt in (
            lambda: Corrections(config, "orders").replay(by="ben", now=NOON + timedelta(minutes=1)),
            lambda: Corrections(config, "orders").fix({row(1): fixed(9)}, by="ben"),
        ):
            with pytest.raises(ReplayError, match="Another process") as error:
                attempt()
            refused.append(str(error.value))
        write(file, text)

    with monkeypatch.context() as patch:
        patch.setattr(replay, "write_whole", slow)
        corrections.replay(by="ana", now=NOON)
    assert len(refused) == 4  # at the claim and at the file
    assert Corrections(config, "orders").replay(by="ben", now=NOON + timedelta(minutes=1)) == []
    assert list(arrived(config).values()) == [[fixed(1)]]


def test_a_row_that_was_replayed_is_not_fixed_again(corrections: Corrections) -> None:
    corrections.fix({row(1): fixed(1)}, by="ana", now=NOON)
    corrections.fix({row(1): fixed(9)}, by="ana", now=NOON)  # it waits: the later fix counts
    (done,) = corrections.replay(by="ana", now=NOON)
    assert corrections.arrival(done).read_text() == fixed(9) + "\n"
    with pytest.raises(ReplayError, match="has been replayed"):
        corrections.fix({row(1): fixed(1)}, by="ana")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON"),
        ('{"a": 1, "b": 2, "a": 3}', "The key 'a' is given twice"),
        ("[1]", "one JSON object on one line"),
        ('{"a":\n1}', "one JSON object on one line"),
        (row(1).raw_text, "is unchanged"),
    ],
)
def test_a_line_that_cannot_be_a_correction_is_refused(
    corrections: Corrections, line: str, message: str
) -> None:
    with pytest.raises(ReplayError, match=message):
        corrections.fix({row(2): fixed(2), row(1): line}, by="ana")
    assert corrections.all() == []


def test_equal_lines_of_one_file_are_one_correction_and_of_two_files_two() -> None:
    assert row(1).row_id == row(1).row_id
    assert row(1).row_id != row(1, "file:/x/orders_raw/b.json").row_id
    assert row(1).row_id == row(1, "dbfs:/Volumes/c/s/v/orders_raw/a.json").row_id


def test_a_query_offers_the_fields_as_they_were_delivered() -> None:
    sql = correcting_query("q", ORDERS, {"price": "replace(price, ',', '.')"}, "status = 'lost'")
    assert "(replace(price, ',', '.')) AS set_price" in sql
    assert sql.endswith("WHERE status = 'lost'")
    with pytest.raises(ReplayError, match="Unknown field 'cost'"):
        correcting_query("q", ORDERS, {"cost": "1"})


def test_set_values_replace_fields_and_the_rest_of_a_line_stays() -> None:
    given = {
        "raw_text": '{"order_id": "o1", "price": "1,5", "new": [1]}',
        "source_file": "a",
        "broken_rules": ["r"],
    }
    ((_, line),) = corrected_lines([given | {"set_price": "1.5"}], ["price"]).items()
    assert json.loads(line) == {"order_id": "o1", "price": "1.5", "new": [1]}
    with pytest.raises(ReplayError, match="give its whole line"):
        corrected_lines([given | {"raw_text": '{"order', "set_price": 1}], ["price"])


def test_an_unknown_quarantine_lists_the_valid_ones(config: LakehouseConfig) -> None:
    with pytest.raises(ReplayError, match="Valid: orders, customers, customer_activity, order_batches"):
        Corrections(config, "sales")

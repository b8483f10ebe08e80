"""The generator of order batches: its files, times and intentional issues."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.domain.entities import ORDER_BATCHES
from ecommerce_lakehouse.generation.job import main as generate_sample_data_job
from ecommerce_lakehouse.generation.manifest import GenerationError, refuse_delivered
from ecommerce_lakehouse.generation.order_batches import (
    ISSUES,
    OrderGenerator,
    landing_folder,
    main,
    simulate,
)

Line = dict[str, object]
NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)


class Watch:
    """A clock that moves only by sleeping."""

    def __init__(self) -> None:
        self.now = NOON
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_an_order_has_the_fields_that_the_source_promises() -> None:
    orders = OrderGenerator().orders(200, 0, NOON)
    names = tuple(name for name in ORDER_BATCHES.field_names if name != "updated_at")  # optional
    assert all(tuple(order) == names for order in orders)
    assert len({order["order_id"] for order in orders}) == 200
    for order in orders:
        placed = datetime.fromisoformat(order["order_timestamp"])
        assert NOON - timedelta(hours=1) < placed <= NOON
        assert order["date_ordered"] == placed.date().isoformat()
        assert order["price"] > 0
        assert 1 <= order["items_ordered"] <= 6


def test_the_same_seed_number_and_time_give_the_same_batch() -> None:
    first, again = (OrderGenerator(seed=7).orders(50, 3, NOON) for _ in range(2))
    assert first == again
    for other in (
        OrderGenerator(seed=8).orders(50, 3, NOON),
        OrderGenerator(seed=7).orders(50, 4, NOON),
        OrderGenerator(seed=7).orders(50, 3, NOON + timedelta(minutes=1)),
    ):
        assert not {order["order_id"] for order in first} & {order["order_id"] for order in other}


def test_few_customers_order_often_and_many_rarely() -> None:
    orders = OrderGenerator(customers=100).orders(2000, 0, NOON)
    counts = [sum(order["customer_id"] == f"C{n:06d}" for order in orders) for n in range(1, 101)]
    assert sum(counts) == 2000
    assert sum(sorted(counts)[-10:]) > 800 > sum(sorted(counts)[:50])


def test_each_issue_is_one_line_and_the_manifest_counts_it(tmp_path: Path) -> None:
    batch = OrderGenerator(issue_rate=0.25).write(tmp_path / "orders" / "landing", 40, 0, NOON)
    rows = lines(batch.path)
    seen = {
        "null_key": sum(row["order_id"] is None for row in rows),
        "bad_format": sum(not isinstance(row["price"], float | int) for row in rows),
        "out_of_range": sum(row["items_ordered"] == 0 for row in rows),
        "future_date": sum(str(row["order_timestamp"]).startswith("2999") for row in rows),
        "unknown_status": sum(row["status"] == "lost" for row in rows),
    }
    assert seen == dict(batch.issues)
    assert set(seen) == set(ISSUES)
    assert sum(seen.values()) == 10
    manifest = json.loads((tmp_path / "orders" / "manifests" / batch.path.name).read_text())
    assert (manifest["rows"], manifest["issues"]) == (40, seen)


def revised(folder: Path, sizes: int = 50, rate: float = 0.1) -> tuple[list[Line], list[Line], str]:
    """The lines of a batch, those of the next one that are about it, and what the next one says of itself."""
    generator = OrderGenerator(update_rate=rate)
    first = generator.write(folder, sizes, 0, NOON)
    second = generator.write(folder, sizes, 1, NOON + timedelta(hours=1))
    assert (first.revisions, first.orders, second.orders) == (0, sizes, sizes)
    return lines(first.path), lines(second.path)[sizes:], str(second)


def test_the_next_batch_has_newer_late_and_repeated_records_of_pending_orders(tmp_path: Path) -> None:
    before, after, told = revised(tmp_path)
    assert told == "orders_20260305T130000_00001.json: 50 orders, 25 lines about earlier ones"
    for number in range(5):
        order = before[number]
        about = after[5 * number : 5 * number + 5]
        # Of every second order the records arrive in the opposite order.
        again, processing, decided, other, late = about[::-1] if number % 2 else about
        assert order["status"] == "pending"
        assert again == order
        assert processing == order | {"status": "processing", "updated_at": processing["updated_at"]}
        corrected = order["items_ordered"] + (number == 3)  # type: ignore[operator]
        update = {"updated_at": decided["updated_at"], "items_ordered": corrected}
        assert decided == order | update | {"status": decided["status"]}
        assert decided["status"] in ("shipped", "delivered", "cancelled", "returned")
        assert other == order | update
        made = [order["order_timestamp"], processing["updated_at"], decided["updated_at"]]
        assert made == sorted(set(made), key=str)
        assert str(made[-1]) <= "2026-03-05T13:00:00Z"
        assert late["order_id"] not in {line["order_id"] for line in before}
        assert late["customer_id"] == order["customer_id"]
        assert str(late["order_timestamp"]) < str(order["order_timestamp"])
        assert late["date_ordered"] == str(late["order_timestamp"])[:10]
        assert "updated_at" not in late


def test_the_same_batches_have_the_same_revisions_and_no_rate_has_none(tmp_path: Path) -> None:
    assert revised(tmp_path / "a") == revised(tmp_path / "b")
    before, after, told = revised(tmp_path / "c", rate=0)
    assert (after, told) == ([], "orders_20260305T130000_00001.json: 50 orders")
    assert before[5:] == lines(tmp_path / "a" / "orders_20260305T120000_00000.json")[5:]


def test_only_sound_pending_orders_are_revised(tmp_path: Path) -> None:
    generator = OrderGenerator(update_rate=0.5, issue_rate=1)
    flawed = generator.write(tmp_path / "landing", 20, 0, NOON)
    assert sum(line["status"] == "pending" for line in lines(flawed.path)) >= 6
    assert generator.write(tmp_path / "landing", 20, 1, NOON + timedelta(hours=1)).revisions == 0
    # An order that was placed just now has no time for records between.
    young = OrderGenerator(update_rate=1)
    placed = [order["order_timestamp"] for order in young.orders(200, 0, NOON)]
    young.write(tmp_path / "young", 200, 0, NOON)
    old = sum(time <= "2026-03-05T11:59:57Z" for time in placed)
    assert young.write(tmp_path / "young", 200, 1, NOON).revisions == 5 * old


@pytest.mark.parametrize(
    ("interval", "end", "batches"), [(1, 1, 1), (1, 0, 1), (1, 3, 3), (0.5, 2, 4), (2, 3, 2)]
)
def test_batches_arrive_at_each_interval_until_the_end(
    tmp_path: Path, interval: float, end: float, batches: int
) -> None:
    watch = Watch()
    written = list(
        simulate(
            OrderGenerator(),
            tmp_path,
            interval_minutes=interval,
            end_minutes=end,
            batch_size=5,
            sleep=watch.sleep,
            clock=lambda: watch.now,
        )
    )
    assert len({batch.path for batch in written}) == batches
    assert watch.slept == [interval * 60] * (batches - 1)
    assert sum(len(lines(batch.path)) for batch in written) == 5 * batches


def test_a_reader_finds_whole_files_only(tmp_path: Path) -> None:
    OrderGenerator().write(tmp_path, 3, 0, NOON)
    assert [path.name for path in tmp_path.iterdir()] == ["orders_20260305T120000_00000.json"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch-size", "0"], "batch-size must be at least 1, not 0."),
        (["--interval", "0"], "interval must be above 0 minutes, not 0."),
        (["--issue-rate", "2"], "issue_rate must be from 0 to 1, not 2.0."),
        (["--update-rate", "-1"], "update_rate must be from 0 to 1, not -1.0."),
        (["--seed", "x"], "seed: 'x' is not a number."),
        (["--environment", "test"], "Valid environments: local, dev, staging, prod."),
    ],
)
def test_a_wrong_argument_is_one_line(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(message)


def test_as_a_job_an_empty_parameter_counts_as_not_given(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--environment=local", "--batch-size=7", "--issue-rate=", "--seed="])
    (file,) = landing_folder(get_config("local")).iterdir()
    assert file.is_relative_to(home / "volumes" / "local" / "data_eng" / "data" / "orders" / "landing")
    assert len(lines(file)) == 7
    assert capsys.readouterr().out == f"{file.name}: 7 orders\n"


@pytest.mark.parametrize("job", [main, generate_sample_data_job])
def test_where_data_is_delivered_a_generator_succeeds_and_writes_nothing(
    home: Path, capsys: pytest.CaptureFixture[str], job: Callable[[list[str]], None]
) -> None:
    job(["--environment=prod"])
    message = "Data is delivered in the environment 'prod' (source_data); nothing was generated."
    assert capsys.readouterr().out == f"{message}\n"
    assert not (home / "volumes").exists()
    with pytest.raises(GenerationError, match="nothing was generated"):
        refuse_delivered(get_config("prod"))


def test_a_batch_of_no_customers_is_refused() -> None:
    with pytest.raises(GenerationError, match="customers must be at least 1"):
        OrderGenerator(customers=0)

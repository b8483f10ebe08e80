"""The benchmark's verdicts: which rows count as equal, and how the numbers are judged."""

from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from benchmarks import compare, overhead, worker
from benchmarks.plain import versions
from benchmarks.process import CommandFailedError, measure
from benchmarks.report import Contender, Measurement, Step, as_text, growth, lines
from benchmarks.rows import differences, fingerprints
from deltalake import write_deltalake
from pyspark.sql import SparkSession

from ecommerce_lakehouse.domain.entities import CUSTOMER_PROFILES

ORDERS = [
    {"order_id": "o1", "price": 9.5, "tags": ["a"], "source_file": "file:///x/f1.json", "ingested_at": 1},
    {"order_id": "o2", "price": None, "tags": [], "source_file": "file:///x/f1.json", "ingested_at": 1},
    {"order_id": "o2", "price": None, "tags": [], "source_file": "file:///x/f1.json", "ingested_at": 1},
]

TYPES = {
    "order_id": pa.string(),
    "price": pa.float64(),
    "tags": pa.list_(pa.string()),
    "source_file": pa.string(),
    "ingested_at": pa.int64(),
    "status": pa.string(),
}


def lake(home: Path, rows: list[dict[str, object]], table: str = "silver_orders") -> Path:
    rows_in_order = pa.Table.from_pylist(rows, pa.schema([(name, TYPES[name]) for name in rows[0]]))
    write_deltalake(str(home / "tables" / "c" / "s" / table), rows_in_order, mode="append")
    return home


def test_the_order_of_rows_the_data_folder_and_the_clock_make_no_difference(tmp_path: Path) -> None:
    plain = lake(tmp_path / "plain", ORDERS)
    engine = lake(tmp_path / "engine", ORDERS[2:])
    moved = [row | {"source_file": "file:///elsewhere/f1.json", "ingested_at": 2} for row in ORDERS[:2]]
    lake(engine, moved[::-1])
    lake(engine, [{"order_id": "e1"}], "event_log_medallion_dlt_pipeline")
    assert differences(fingerprints(plain), fingerprints(engine)) == []


def test_a_file_within_a_struct_counts_by_its_name(tmp_path: Path) -> None:
    def history(folder: str, file: str) -> Path:
        home = tmp_path / folder
        start = {"updated_at": 1, "source_file": f"file:///{folder}/{file}"}
        rows = pa.table({"customer_id": ["c1", "c2"], "__START_AT": [start, None]})
        write_deltalake(str(home / "tables" / "c" / "s" / "silver_customers_history"), rows)
        return home

    one, other, third = history("plain", "f1.json"), history("engine", "f1.json"), history("third", "f2.json")
    assert differences(fingerprints(one), fingerprints(other)) == []
    assert differences(fingerprints(one), fingerprints(third)) == [
        "silver_customers_history: 2 rows in both, with different values"
    ]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ([ORDERS[0] | {"price": 9.51}, *ORDERS[1:]], "silver_orders: 3 rows in both, with different values"),
        ([ORDERS[0], *ORDERS[:2]], "silver_orders: 3 rows in both, with different values"),
        ([ORDERS[0] | {"tags": ["b"]}, *ORDERS[1:]], "silver_orders: 3 rows in both, with different values"),
        (
            [ORDERS[0] | {"source_file": "file:///x/f2.json"}, *ORDERS[1:]],
            "silver_orders: 3 rows in both, with different values",
        ),
        (ORDERS[:2], "silver_orders: 3 rows by the plain script, 2 by the engine"),
        (
            [{**row, "status": "new"} for row in ORDERS],
            "silver_orders: the columns or their order differ [('status', 'string')]",
        ),
    ],
)
def test_a_row_that_differs_is_found(tmp_path: Path, changed: list[dict[str, object]], expected: str) -> None:
    plain, engine = lake(tmp_path / "plain", ORDERS), lake(tmp_path / "engine", changed)
    assert differences(fingerprints(plain), fingerprints(engine)) == [expected]


def test_a_table_that_one_of_them_lacks_is_found(tmp_path: Path) -> None:
    plain, engine = lake(tmp_path / "plain", ORDERS), lake(tmp_path / "engine", ORDERS)
    lake(engine, ORDERS, "gold_extra")
    assert differences(fingerprints(plain), fingerprints(engine)) == ["gold_extra: only the engine has it"]


def measured(
    orders: int, step: Step, contender: Contender, seconds: float, *, repeat: int = 0
) -> Measurement:
    return Measurement(
        orders,
        step,
        contender,
        repeat,
        startup_seconds=6.0,
        cpu_seconds=1.5 * seconds,
        seconds=seconds,
        peak_bytes=2**30,
    )


# 10 thousand: 20 s against 30 s. One million: 50 s against 60 s.
ROUND = [
    measured(10_000, "first run", "plain", 20.0),
    measured(10_000, "first run", "engine", 30.0),
    measured(10_000, "1 % more", "plain", 8.0),
    measured(10_000, "1 % more", "engine", 10.0),
    measured(10_000, "nothing new", "plain", 0.5),
    measured(10_000, "nothing new", "engine", 4.9),
    measured(1_000_000, "first run", "plain", 50.0),
    measured(1_000_000, "first run", "engine", 60.0),
    measured(1_000_000, "1 % more", "plain", 15.0),
    measured(1_000_000, "1 % more", "engine", 19.9),
    measured(1_000_000, "nothing new", "plain", 0.5),
    measured(1_000_000, "nothing new", "engine", 5.0),
]


def test_every_aim_is_judged() -> None:
    judged = {(line.orders, line.step): line.met for line in lines(ROUND)}
    assert judged == {
        (10_000, "first run"): True,  # 1.5, the most that is allowed
        (10_000, "1 % more"): False,  # exactly a third, and less than a third is wanted
        (10_000, "nothing new"): True,
        (1_000_000, "first run"): False,  # 1.2 where 1.15 is allowed
        (1_000_000, "1 % more"): True,
        (1_000_000, "nothing new"): False,  # under 5 seconds is wanted
    }


def test_a_size_without_an_aim_is_not_judged_by_another_sizes_aim() -> None:
    odd = [
        measured(2_000, step, contender, 1.0)
        for step in ("first run", "1 % more", "nothing new")
        for contender in ("plain", "engine")
    ]
    first = lines(odd)[0]
    assert (first.met, first.verdict) == (None, "no aim for this size")


def test_repeats_count_by_their_median() -> None:
    repeated = [*ROUND, *[measured(10_000, "first run", "engine", s, repeat=1) for s in (31.0, 500.0)]]
    assert lines(repeated)[0].engine_seconds == 31.0
    assert lines(repeated)[0].ratio == 31.0 / 20.0


def test_growth_is_shown_per_million_orders() -> None:
    engine = growth(ROUND, "engine")
    assert engine.per_million == {10_000: 3000.0, 1_000_000: 60.0}
    assert engine.marginal == pytest.approx(30 / 0.99)
    assert engine.update_seconds == {10_000: 10.0, 1_000_000: 19.9}
    one_size = [item for item in ROUND if item.orders == 10_000]
    assert growth(one_size, "plain").marginal is None


def test_the_printed_table_shows_ratio_memory_and_verdict() -> None:
    text = as_text(ROUND)
    (line,) = [row for row in text.splitlines() if row.startswith("1,000,000  first run")]
    cells = [cell.strip() for cell in line.split("  ") if cell.strip()]
    seconds_and_memory = ["50.00", "60.00", "1.20", "75.0", "90.0", "1,074", "1,074"]
    assert cells == ["1,000,000", "first run", *seconds_and_memory, "MISSED (aim: ratio <= 1.15)"]


def test_memory_of_child_processes_counts(tmp_path: Path) -> None:
    child = "import time; data = bytearray(200_000_000); time.sleep(1.5)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    found = measure([sys.executable, "-c", parent], cwd=tmp_path, environment={}, log=tmp_path / "log")
    assert found.peak_bytes > 200_000_000
    assert found.seconds > 1.5


def test_a_failed_run_shows_the_end_of_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; print('first'); sys.exit('no such table')"]
    with pytest.raises(CommandFailedError, match=r"(?s)exit code 1.*no such table"):
        measure(command, cwd=tmp_path, environment={}, log=tmp_path / "log")


def test_the_default_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        compare.main(["--help"])
    assert stop.value.code == 0
    assert "default 10000 1000000" in " ".join(capsys.readouterr().out.split())


def test_a_size_that_is_too_small_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        compare.main(["--orders", "5"])
    assert stop.value.code == 2
    assert "5 is less than 100" in capsys.readouterr().err


def test_the_plain_history_ends_a_version_where_the_next_begins(spark: SparkSession) -> None:
    monday, tuesday = datetime(2024, 1, 1, 8, tzinfo=UTC), datetime(2024, 1, 2, 8, tzinfo=UTC)
    fields = "customer_id string, email string, age int, gender string, country string, signup_date date"
    fields += ", loyalty_tier string, loyalty_points int, updated_at timestamp, environment string"
    fields += ", record_hash bigint, source_file string, line_hash bigint"

    def profile(customer: str, country: str, at: datetime) -> tuple[object, ...]:
        email = f"{customer}@example.com"
        known = 30, "other", country, date(2023, 5, 1), "gold", 5, at, "local"
        return customer, email, *known, ord(country[0]), "a.json", 1

    rows = [
        profile("c1", "PT", tuesday),
        profile("c1", "BR", monday),
        profile("c1", "BR", monday),
        profile("c2", "PT", monday),
    ]
    found = versions(spark.createDataFrame(rows, fields), CUSTOMER_PROFILES)
    spans = found.selectExpr(
        "customer_id", "country", "date(__START_AT.updated_at) AS d", "date(__END_AT.updated_at) AS e"
    ).collect()
    assert sorted(map(json.dumps, ([r[0], r[1], str(r[2]), str(r[3])] for r in spans))) == [
        '["c1", "BR", "2024-01-01", "2024-01-02"]',
        '["c1", "PT", "2024-01-02", "None"]',
        '["c2", "PT", "2024-01-01", "None"]',
    ]


@pytest.mark.parametrize(
    ("found", "code", "said"),
    [
        ({}, 0, "Every table had the same rows in both after every step."),
        ({"first run": ["silver_orders: only the engine has it"]}, 1, "THE ROWS DIFFER"),
    ],
)
def test_different_rows_fail_the_benchmark_and_a_missed_aim_does_not(
    found: dict[str, list[str]],
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(benchmark: compare._Benchmark, orders: int, repeat: int) -> None:
        benchmark.measurements += [item for item in ROUND if item.orders == orders]
        benchmark.differences.update(found)

    monkeypatch.setattr(compare._Benchmark, "run", run)
    monkeypatch.setattr(compare, "stop_on_termination", lambda: None)
    file = tmp_path / "out.json"
    assert compare.main(["--work", str(tmp_path), "--json", str(file)]) == code
    printed = capsys.readouterr().out
    assert said in printed
    assert "MISSED" in printed
    document = json.loads(file.read_text(encoding="utf-8"))
    assert document["same_rows"] is (code == 0)
    assert [line["met"] for line in document["lines"]] == [True, False, True, False, True, False]


def test_the_overhead_is_what_the_quality_tables_add_to_the_run_without_them() -> None:
    runs = {
        "bare": [overhead.Run(10.0, 20.0), overhead.Run(12.0, 21.0), overhead.Run(20.0, 22.0)],
        "engine": [overhead.Run(15.0, 25.0), overhead.Run(16.0, 26.0), overhead.Run(15.0, 24.0)],
    }
    # Medians 12 and 15 seconds: a quarter more.
    assert overhead.overhead(runs) == 0.25
    fine, missed = overhead.as_text(
        {10_000: runs, 1_000_000: runs | {"bare": runs["bare"][:1]}}
    ).splitlines()[1:]
    assert fine.split() == ["10,000", "12.00", "s", "15.00", "s", "+25.0%", "21", "to", "25", "s", "met"]
    assert missed.split()[-1] == "MISSED"


def test_the_bare_pipeline_is_the_whole_one_without_the_quality_tables() -> None:
    tables = {
        "bronze_orders": False,
        "silver_orders": False,
        "silver_orders_parsed": False,
        "silver_orders_duplicates": True,
        "quarantine_orders": True,
        "gold_daily_sales": False,
        "gold_data_quality_check": True,
        "quality_checks_medallion": True,
        "quality_reconciliation_medallion": True,
    }
    assert {name: bool(worker.QUALITY_TABLES.search(name)) for name in tables} == tables

"""An erasure that was killed anywhere is finished by running it again."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.privacy.needles import Needles
from ecommerce_lakehouse.privacy.scan import scan
from lakerun.tables.delta_table import Table

ROOT = Path(__file__).parents[2]
GONE, STAYS = "C000042", "C000043"
NEEDLES = Needles({GONE: "customer_id", "gone@example.com": "contact", "ORDER00001": "record key"})


def line(customer: str | None, order: str, **fields: str) -> str:
    return json.dumps({"order_id": order, "customer_id": customer} | fields)


@pytest.fixture
def filled(home: Path) -> Path:
    """A small lakehouse, made without Spark, with the person in every kind of place."""
    volume = Path(get_config("local").volume_path)
    lines = [line(GONE, "ORDER00001"), line(None, "ORDER00001"), line(STAYS, "ORDER00002")]
    for folder in ("orders_raw", "corrections/orders/replays", "exports"):
        (volume / folder).mkdir(parents=True)
    (volume / "orders_raw" / "a.json").write_text("".join(f"{each}\n" for each in lines))
    (volume / "orders_raw" / "b.json.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    for number, text in enumerate(lines):
        correction = {"row_id": f"{number:016}", "raw_text": text, "corrected": text}
        (volume / f"corrections/orders/{number:016}.json").write_text(json.dumps(correction))
    rows = [f"{number:016}" for number in range(3)]
    (volume / "corrections/orders/replays/r.json").write_text(json.dumps({"rows": rows}))
    (volume / "exports" / "e.csv").write_text(f"id,x\n{GONE},1\n{STAYS},2\n")
    (home / "logs").mkdir()
    (home / "logs" / "run.log").write_text(f"start\nbad row: {GONE}\nend\n")
    (home / "pipelines" / "p").mkdir(parents=True)
    with closing(sqlite3.connect(home / "pipelines" / "p" / "state.db")) as db:
        db.execute("CREATE TABLE events (seq INTEGER PRIMARY KEY, body TEXT)")
        db.execute("INSERT INTO events (body) VALUES (?)", (json.dumps({"message": f"row of {GONE}"}),))
        db.commit()
    tables = home / "tables" / "local" / "data_eng"
    raw = pa.table({"raw_line": [each.encode() for each in lines], "n": [1, 2, 3]})
    typed = pa.table(
        {"customer_id": [GONE, None, STAYS], "order_id": ["ORDER00001", "ORDER00001", "ORDER00002"]}
    )
    people = pa.table({"customer_id": [GONE, STAYS], "email": ["gone@example.com", "stays@example.com"]})
    for name, table in (("bronze_orders", raw), ("silver_orders", typed), ("silver_customers", people)):
        for _ in range(2):
            write_deltalake(str(tables / name), table, mode="append")
    return home


def erase(home: Path, death: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.integration.killed_erasure", str(death), GONE]
    environment = {**os.environ, "LAKEHOUSE_HOME": str(home)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def check(home: Path) -> None:
    assert scan(home, NEEDLES).findings == ()
    assert not (home / "privacy" / "unfinished.json").exists()
    assert not (home / "privacy" / "work").exists() or not list((home / "privacy" / "work").iterdir())
    volume = Path(get_config("local").volume_path)
    stays = line(STAYS, "ORDER00002")
    assert (volume / "orders_raw" / "a.json").read_text() == f"{stays}\n"
    assert gzip.decompress((volume / "orders_raw" / "b.json.gz").read_bytes()).decode() == stays
    assert json.loads((volume / "corrections/orders/replays/r.json").read_text()) == {"rows": [f"{2:016}"]}
    assert (volume / "exports" / "e.csv").read_text() == f"id,x\n{STAYS},2\n"
    assert (home / "logs" / "run.log").read_text() == "start\n[erased]\nend\n"
    tables = home / "tables" / "local" / "data_eng"
    assert Table(tables / "bronze_orders").read().to_pylist() == [{"raw_line": stays.encode(), "n": 3}] * 2
    assert [row["customer_id"] for row in Table(tables / "silver_orders").read().to_pylist()] == [STAYS] * 2
    assert [row["customer_id"] for row in Table(tables / "silver_customers").read().to_pylist()] == [
        STAYS
    ] * 2


def rounds(home: Path, chosen: int | None) -> None:
    saved = home.with_name("saved")
    shutil.copytree(home, saved)
    whole = erase(home, 0)
    assert whole.returncode == 0, whole.stderr
    check(home)
    changes = int(whole.stdout)
    assert changes > 60
    deaths = list(range(1, changes + 1))
    for death in deaths if chosen is None else sorted(random.Random(12).sample(deaths, chosen)):
        shutil.rmtree(home)
        shutil.copytree(saved, home)
        assert erase(home, death).returncode == -signal.SIGKILL
        again = erase(home, 0)
        assert again.returncode == 0, f"killed at {death}: {again.stderr}"
        check(home)


@pytest.mark.long
def test_a_killed_erasure_is_finished_by_the_next_one(filled: Path) -> None:
    rounds(filled, 4)


@pytest.mark.slow
def test_an_erasure_may_be_killed_at_every_change_of_the_file_system(filled: Path) -> None:
    rounds(filled, None)

"""People are erased from a lakehouse that has a history: nobody finds them, and nobody else notices."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from ecommerce_lakehouse.cli.main import command_line
from ecommerce_lakehouse.config import LakehouseConfig, get_config
from ecommerce_lakehouse.privacy.needles import RECORD, Needles
from ecommerce_lakehouse.privacy.scan import scan
from ecommerce_lakehouse.quality.replay import Corrections, QuarantinedRow
from lakerun.bundles.load import load_bundle
from lakerun.pipelines.results import Event
from lakerun.pipelines.update import Selection, run_update
from lakerun.tables.arrow_rows import rows_of
from lakerun.tables.delta_table import Table
from lakerun.tables.storage import Storage

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
# An ordinary id, which is also the beginning of somebody else's, and ids that break what quotes them badly.
ERASED = ("C0005", 'O\'Neil "x"', "50% of all", "Zoë Ö", "C/7 &8")
OTHERS = ("C00050", "C0001", "C0002", "C0003")
PEOPLE = (*ERASED, *OTHERS)
# Of the medallion pipeline what holds people, a stream that keeps a state, and a view that adds up.
GOLD = """
from pyspark import pipelines as dp
from pyspark.sql import SparkSession
from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.quality.datasets import streamed
from ecommerce_lakehouse.quality.quarantine import kept
from ecommerce_lakehouse.transforms import sales

config = get_config()
orders = config.get_table_name("silver", "orders")

@dp.table(name=config.get_table_name("gold", "realtime_metrics"))
def windows():
    return sales.realtime_metrics(kept(streamed(f"{orders}_parsed")), config)

@dp.materialized_view(name=config.get_table_name("gold", "daily_sales"))
def days():
    return sales.daily_sales(SparkSession.active().read.table(orders))
"""
Owned = tuple[str, str]
"""Whose line it is, and the line."""


class Shop:
    """A lakehouse whose raw lines a test writes, and which knows whose they are."""

    def __init__(self, home: Path) -> None:
        self.home, self.storage = home, Storage(home)
        self.config: LakehouseConfig = get_config("local")
        self.files = 0
        self.lines: list[Owned] = []
        home.mkdir(parents=True, exist_ok=True)
        gold = home / "gold.py"
        gold.write_text(GOLD, encoding="utf-8")
        bundle = load_bundle(ROOT, variables={"environment": "local", "catalog": "local"})
        medallion = bundle.pipelines["medallion_dlt_pipeline"]
        files = [file for file in medallion.source_files if file.stem in ("bronze", "silver")]
        self.pipeline = medallion.model_copy(update={"source_files": (*files, gold)})

    def arrive(self, folder: str, lines: Iterable[Owned]) -> Path:
        lines = list(lines)
        self.files += 1
        self.lines += lines
        file = Path(self.config.folder_path(folder)) / f"f{self.files:03}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{line}\n" for _, line in lines), encoding="utf-8")
        return file

    def update(self, **selection: Any) -> list[Event]:
        events: list[Event] = []
        result = run_update(
            self.pipeline, storage=self.storage, selection=Selection(**selection), on_event=events.append
        )
        assert result.state == "COMPLETED", result.error
        return events

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """The rows of every table of the pipeline, without Spark."""
        found = {}
        for name in self.storage.tables():
            if not name.table.startswith(("event_log_", "privacy_log")):
                table = Table.named(self.storage, name)
                columns = [column.name for column in table.columns]
                found[name.table] = [dict(zip(columns, row, strict=True)) for row in rows_of(table.read())]
        return found


def bag(rows: Iterable[Mapping[str, Any]], *leave_out: str) -> Counter[str]:
    return Counter(repr({k: v for k, v in row.items() if k not in leave_out}) for row in rows)


def order(number: int, status: str = "pending", **fields: Any) -> Owned:
    owner = PEOPLE[number % len(PEOPLE)]
    content = {
        "order_id": f"ORDER{number:05}",
        "customer_id": owner,
        "product_id": "P0001",
        "product_name": "Lamp",
        "category": "home",
        "price": 10.5,
        "quantity": 2,
        "status": status,
        "order_timestamp": f"2026-03-0{1 + number % 4}T10:{number % 60:02}:00",
    }
    return owner, json.dumps(content | fields)


def profile(owner: str, day: int = 1, **fields: Any) -> Owned:
    content = {
        "customer_id": owner,
        "email": mail(owner),
        "age": 40,
        "gender": "other",
        "country": "NZ",
        "signup_date": "2026-01-01",
        "loyalty_tier": "gold",
        "loyalty_points": 10,
        "updated_at": f"2026-03-0{day}T08:00:00",
    }
    return owner, json.dumps(content | fields, ensure_ascii=False)


def mail(owner: str) -> str:
    return f"m{owner.encode().hex()}@example.com"


def cut(line: Owned) -> Owned:
    return line[0], line[1][:-20]


def cli(*arguments: str, code: int = 0) -> Any:
    result = CliRunner().invoke(command_line(), [*arguments, "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def looked_for(shop: Shop) -> Needles:
    """The ids and addresses of the erased, and the ids of their orders."""
    orders = {f"ORDER{n:05}" for n in range(1000) if PEOPLE[n % len(PEOPLE)] in ERASED}
    kinds = dict.fromkeys(ERASED, "customer_id") | {mail(owner): "contact" for owner in ERASED}
    return Needles(kinds | dict.fromkeys(orders, RECORD))


def fill(shop: Shop) -> None:
    """Two arrivals with updates and dirty lines of everybody, and a replayed correction of everybody."""
    size = len(PEOPLE)
    escaped = json.dumps({"order_id": "ORDER00400", "customer_id": "?", "price": "dear"})
    shop.arrive(
        "orders_raw",
        [
            *(order(n) for n in range(90)),
            *(order(size * 22 + n, status="lost") for n in range(size)),
            *(cut(order(size * 33 + n)) for n in range(size)),
            *(order(n, customer_id=None) for n in range(size)),  # theirs by the order's id
            *(order(n, customer_id=" ", price=-1) for n in range(size)),
            ("C0005", escaped.replace("?", r"C\u0030005")),
            ("nobody", ""),
            ("nobody", "no line"),
        ],
    )
    shop.arrive(
        "customer_profiles_raw",
        [
            *map(profile, PEOPLE),
            *(profile(owner, age=-1) for owner in PEOPLE),
            *(profile(owner, customer_id=None, email=mail(owner).upper()) for owner in PEOPLE),
        ],
    )
    shop.update()
    shop.arrive(
        "orders_raw", [order(n, "delivered", updated_at="2026-03-05T10:00:00") for n in range(0, 90, 2)]
    )
    shop.arrive("customer_profiles_raw", [profile(owner, 3, loyalty_tier="silver") for owner in PEOPLE])
    corrections = Corrections(shop.config, "orders")
    refused = map(QuarantinedRow.model_validate, shop.tables()["quarantine_orders"])
    fixes = {row: row.raw_text.replace("lost", "shipped") for row in refused if '"lost"' in row.raw_text}
    owners = {json.loads(line)["customer_id"]: line for line in fixes.values()}
    assert sorted(owners) == sorted(PEOPLE)
    shop.lines += owners.items()
    corrections.fix(fixes, by="ops@example.com", now=NOW)
    corrections.replay(by="ops@example.com", now=NOW)
    shop.update()


def of_others(shop: Shop, tables: Mapping[str, list[dict[str, Any]]]) -> dict[str, Counter[str]]:
    """What stays of each table: the rows of lines that are nobody's of the erased."""
    kept = Counter(line for owner, line in shop.lines if owner not in ERASED)
    their_orders = {f"ORDER{n:05}" for n in range(1000) if PEOPLE[n % len(PEOPLE)] in ERASED}
    their_mails = {mail(owner) for owner in ERASED}

    def stays(row: Mapping[str, Any]) -> bool:
        if "raw_text" in row or ("broken_rules" not in row and "raw_line" in row):
            return (row.get("raw_text") or row["raw_line"].decode()) in kept
        if row.get("raw_line"):
            return row["raw_line"].decode() in kept
        return (
            row.get("customer_id") not in ERASED
            and row.get("order_id") not in their_orders
            and row.get("email") not in their_mails
        )

    return {name: bag(row for row in rows if stays(row)) for name, rows in tables.items()}


def test_erased_people_are_nowhere_and_everybody_else_is_unchanged(
    spark: SparkSession, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    shop = Shop(home)
    fill(shop)
    before = shop.tables()
    expected = of_others(shop, before)
    found = {finding.path.split("/")[0] for finding in scan(home, looked_for(shop)).findings}
    assert found == {"tables", "volumes", "pipelines"}
    options = [part for owner in ERASED for part in ("--customer", owner)]

    tried = cli("privacy", "erase", *options, "--dry-run")
    assert (tried["proof"], shop.tables()) == (None, before)
    outcome = cli("privacy", "erase", *options, "--lakehouse-only", "--yes")
    assert (outcome["findings"], outcome["unknown"], outcome["not_sent"]) == ([], [], None)
    rows = {item["what"]: item["rows"] for item in outcome["removed"]}
    assert rows["local.data_eng.bronze_orders"] == sum(before_after(before, expected, "bronze_orders"))
    assert [item["rows"] for item in tried["removed"] if item["kind"] == "table"] == [
        item["rows"] for item in outcome["removed"] if item["kind"] == "table"
    ]
    assert scan(home, looked_for(shop)).findings == ()
    aggregates = {"gold_daily_sales", "gold_realtime_metrics"}
    now = shop.tables()
    for name in before.keys() - aggregates:
        assert bag(now[name]) == expected[name], name

    # The next update goes on. What arrives of the erased is dropped and counted, be it JSON or not.
    late = [
        *(order(500 + n) for n in range(9)),
        cut(order(510 + ERASED.index("C0005") - 510 % 9 + 9)),
        ("C0005", json.dumps({"order_id": "ORDER00999", "customer_id": "?"}).replace("?", r" C\u0030005 ")),
    ]
    raw = shop.arrive("orders_raw", late)
    events = shop.update()
    theirs = sum(owner in ERASED for owner, _ in late)
    assert dropped(events) == {"arriving_orders": theirs, "arriving_customer_profiles": 0}
    assert not [event.message for event in events if "have changed since" in event.message]
    updated = shop.tables()
    assert bag(updated["bronze_orders"]) - expected["bronze_orders"] == bag(
        row for row in updated["bronze_orders"] if row["source_file"].endswith(raw.name)
    )
    assert expected["bronze_orders"] - bag(updated["bronze_orders"]) == Counter()
    assert scan(home / "tables", looked_for(shop)).findings == ()
    assert scan(home / "pipelines", looked_for(shop)).findings == ()
    # Sums are as if the erased had never ordered.
    sold = [row for row in updated["silver_orders"] if row["status"] not in ("cancelled", "returned")]
    by_day = Counter(row["order_date"] for row in sold)
    assert {row["order_date"]: row["orders"] for row in updated["gold_daily_sales"]} == by_day
    assert sum(row["orders"] for row in updated["gold_realtime_metrics"]) < sum(
        row["orders"] for row in before["gold_realtime_metrics"]
    )

    # Their late lines are still in a raw file: the same command removes them. A full refresh then brings
    # nobody back, and gives the tables that the updates have given.
    again = cli("privacy", "erase", *options, "--lakehouse-only", "--yes")
    assert [(item["kind"], item["rows"]) for item in again["removed"] if item["rows"]] == [
        ("raw file", theirs)
    ]
    assert sorted(again["erased_before"]) == sorted(ERASED)
    shop.update(full_refresh_all=True)
    refreshed = shop.tables()
    assert scan(home, looked_for(shop)).findings == ()
    for name in updated:
        assert bag(refreshed[name], "ingested_at") == bag(updated[name], "ingested_at"), name

    verified = cli("privacy", "verify", outcome["proof"], again["proof"])
    assert [item["clean"] for item in verified] == [True, True]
    log = Table(home / "tables" / "local" / "data_eng" / "privacy_log").read().to_pylist()
    assert Counter(row["request"] for row in log) == {outcome["request"]: 5, again["request"]: 5}
    assert {row["signature"] for row in log} == {outcome["signature"], again["signature"]}


def before_after(
    before: Mapping[str, list[Any]], expected: Mapping[str, Counter[str]], table: str
) -> tuple[int, int]:
    return len(before[table]), -expected[table].total()


def dropped(events: Iterable[Event]) -> dict[str, int]:
    """How many lines the rule of arrivals dropped, by dataset."""
    counts: Counter[str] = Counter()
    for event in events:
        quality = event.details.get("flow_progress", {}).get("data_quality", {})
        for item in quality.get("expectations", []):
            if item["name"] == "not_of_an_erased_person":
                counts[item["dataset"].rpartition(".")[2]] += item["failed_records"]
    return {name: counts[name] for name in ("arriving_orders", "arriving_customer_profiles")}

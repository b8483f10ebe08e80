"""The bundle's job `erase_customers` as `lakehouse run` runs it: `privacy erase`, by parameters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from filelock import FileLock
from pyspark.sql import SparkSession

from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.privacy import job
from ecommerce_lakehouse.privacy.needles import Needles
from ecommerce_lakehouse.privacy.scan import scan
from lakerun.tables.delta_table import Table
from tests.customerio_server import KEY, CustomerIOServer
from tests.unit.command_line import lakehouse

ROOT = Path(__file__).parents[2]
ERASED, STAYS = ("C000042", "O'Neil, Zoë"), "C0000421"
PEOPLE = {ERASED[0]: "ann@example.com", ERASED[1]: "bob@example.com", STAYS: "eve@example.com"}
PARAMETERS = {"customers": f'{ERASED[0]}, "{ERASED[1]}"'}


@pytest.fixture
def shop(spark: SparkSession, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A raw file and a table of three customers; returns the table."""
    monkeypatch.chdir(ROOT)
    lines = [
        json.dumps({"customer_id": customer, "email": email}, ensure_ascii=False)
        for customer, email in PEOPLE.items()
    ]
    raw = Path(get_config("local").folder_path("customer_profiles_raw")) / "profiles.json"
    raw.parent.mkdir(parents=True)
    raw.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    table = home / "tables" / "local" / "data_eng" / "silver_customers"
    table.parent.mkdir(parents=True)
    write_deltalake(str(table), pa.Table.from_pylist([json.loads(line) for line in lines]))
    return table


def run(**parameters: str) -> Any:
    given = [part for name, value in parameters.items() for part in ("--param", f"{name}={value}")]
    return lakehouse("run", "erase_customers", *given)


def looked_for() -> Needles:
    emails = dict.fromkeys((PEOPLE[each] for each in ERASED), "contact")
    return Needles(dict.fromkeys(ERASED, "customer_id") | emails)


def customers(table: Path) -> list[str]:
    return sorted(row["customer_id"] for row in Table(table).read().to_pylist())


def test_the_people_of_the_parameters_are_erased_everywhere_and_nobody_else(
    shop: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = run(**PARAMETERS, dry_run="true")
    assert (tried.exit_code, customers(shop)) == (0, sorted(PEOPLE))
    with CustomerIOServer() as server:
        monkeypatch.setenv("CUSTOMERIO_KEY", KEY)
        monkeypatch.setenv("CUSTOMERIO_BASE_URL", server.url)
        done = run(**PARAMETERS)
        sent = [(message["userId"], message["event"]) for message in server.messages]
    assert done.exit_code == 0, done.output
    assert sent == [
        (customer, event) for customer in sorted(ERASED) for event in ("User Suppressed", "User Deleted")
    ]
    assert customers(shop) == [STAYS]
    # Neither a table or a raw file nor a log of the run.
    assert scan(home, looked_for()).findings == ()
    (proof,) = (home / "volumes").rglob("proofs/*.json")
    assert lakehouse("privacy", "verify", str(proof)).exit_code == 0
    again = run(**PARAMETERS, lakehouse_only="true")
    assert again.exit_code == 0, again.output


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({}, "A customer's id is empty"),
        ({"customers": "C000042", "dry_run": "perhaps"}, "'perhaps' is neither true nor false"),
        ({"customers": '"C000042'}, "is not a line of CSV"),
        ({"customers": "C999999", "lakehouse_only": "true"}, "1 of 1 ids are unknown"),
        ({"customers": "C000042"}, "Nothing was sent to Customer.io: there is no key"),
    ],
)
def test_what_is_wrong_fails_the_job(
    shop: Path, monkeypatch: pytest.MonkeyPatch, parameters: dict[str, str], reason: str
) -> None:
    monkeypatch.delenv("CUSTOMERIO_KEY", raising=False)
    found = run(**parameters)
    assert found.exit_code == 1
    assert reason in " ".join(found.output.split()), found.output


def test_nobody_is_erased_while_another_run_uses_the_data_folder(
    shop: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FileLock(home / "lock"), pytest.raises(SystemExit) as stop:
        job.main(["--environment=local", "--customers=C000042", "--lakehouse-only"])
    assert (stop.value.code, customers(shop)) == (3, sorted(PEOPLE))
    assert "Another run is using" in capsys.readouterr().err

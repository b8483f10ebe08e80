"""Customer.io forgets the erased: suppressed first, then deleted; and a failure is said, without an id."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from filelock import FileLock
from typer.testing import CliRunner

from ecommerce_lakehouse.cli.main import command_line
from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.privacy.forgetting import NotSentError, customerio
from lakerun.tables.delta_table import Table
from tests.customerio_server import KEY, CustomerIOServer, Fault, Request
from tests.unit.customerio import settings

ADA, BOB = "C0001", "O'Neil Ö"


def events(server: CustomerIOServer) -> list[tuple[Any, Any]]:
    return [(message["event"], message["userId"]) for message in server.messages]


def test_each_person_is_suppressed_and_then_deleted() -> None:
    with CustomerIOServer() as server:
        assert customerio(settings(server))([ADA, BOB]) == "Customer.io: 2 suppressed and deleted"
        assert events(server) == [
            ("User Suppressed", ADA),
            ("User Deleted", ADA),
            ("User Suppressed", BOB),
            ("User Deleted", BOB),
        ]
        assert set(server.arrivals.values()) == {1}
        # A repeat has the same messageIds.
        customerio(settings(server))([ADA])
        assert sorted(server.arrivals.values()) == [1, 1, 2, 2]
        assert "without a confirmation" in customerio(settings(server, strict=False))([ADA])


def test_a_person_who_is_rejected_keeps_nobody_else_and_is_not_named() -> None:
    def fails(status: int) -> Callable[[Request], Fault | None]:
        fault = Fault(status=status)
        return lambda request: (
            fault if b"User Deleted" in request.body and ADA.encode() in request.body else None
        )

    with CustomerIOServer(fails(400)) as server:
        said = "1 of 2 were not taken: User Deleted was rejected for person 1 of 2"
        with pytest.raises(NotSentError, match=said) as caught:
            customerio(settings(server))([ADA, BOB])
        assert ADA not in str(caught.value)
        assert events(server) == [("User Suppressed", ADA), ("User Suppressed", BOB), ("User Deleted", BOB)]
    # If the server has trouble, it is not asked about everybody in turn.
    with CustomerIOServer(fails(503)) as server:
        with pytest.raises(NotSentError, match="for person 1 of 2; run the same command again"):
            customerio(settings(server))([ADA, BOB])
        assert events(server) == [("User Suppressed", ADA)]
    with CustomerIOServer(keys=frozenset()) as server, pytest.raises(NotSentError, match="was not told"):
        customerio(settings(server))([ADA])


@pytest.fixture
def sent(home: Path) -> Path:
    """A lakehouse with what activation has of two people."""
    tables = home / "tables" / "local" / "data_eng"
    for name in ("activation_state", "activation_receipts"):
        rows = {"sync": ["people"] * 3, "person": [ADA, BOB, "C00011"], "key": [ADA, BOB, "C00011"]}
        write_deltalake(str(tables / name), pa.table(rows))
    rejected = {"person": [ADA, "C00011"], "key": ["O-1", "O-2"], "reason": [f"no {ADA}", "too long"]}
    write_deltalake(str(tables / "activation_rejected"), pa.table(rejected))
    return tables


def erase(*arguments: str) -> Any:
    return CliRunner().invoke(command_line(), ["privacy", "erase", "--customer", ADA, "--yes", *arguments])


def test_what_was_due_is_withdrawn_and_customer_io_told(
    sent: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = Fault(status=400)
    with CustomerIOServer() as server:
        monkeypatch.setenv("CUSTOMERIO_KEY", KEY)
        monkeypatch.setenv("CUSTOMERIO_BASE_URL", server.url)
        server.faults = lambda request: refused if b"User Deleted" in request.body else None
        first = erase()
        assert first.exit_code == 1
        assert "User Deleted was rejected" in first.output
        # The lakehouse has nobody of that name any more, but the request is not finished.
        for name in ("activation_state", "activation_receipts", "activation_rejected"):
            assert ADA not in str(Table(sent / name).read().to_pylist()).replace("C00011", "")
        server.faults = lambda request: None
        second = erase()
        assert second.exit_code == 0, second.output
        assert events(server) == [("User Suppressed", ADA), ("User Suppressed", ADA), ("User Deleted", ADA)]
    assert [row["person"] for row in Table(sent / "activation_state").read().to_pylist()] == [BOB, "C00011"]
    assert [row["reason"] for row in Table(sent / "activation_rejected").read().to_pylist()] == ["too long"]
    assert not (home / "privacy" / "unfinished.json").exists()


def test_nobody_is_erased_while_a_sync_is_sending(sent: Path, home: Path) -> None:
    with FileLock(home / "activation.lock"):
        refused = erase("--lakehouse-only")
    assert (refused.exit_code, "Another activation is running" in refused.output) == (3, True)
    assert ADA in {row["person"] for row in Table(sent / "activation_state").read().to_pylist()}


def test_without_a_key_it_is_said_and_only_asking_for_it_succeeds(
    sent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUSTOMERIO_KEY", raising=False)
    told = erase()
    assert (told.exit_code, "Nothing was sent to Customer.io" in told.output) == (1, True)
    asked = erase("--lakehouse-only")
    assert asked.exit_code == 0, asked.output


def test_an_unknown_id_is_said_and_noted_nowhere(sent: Path, home: Path) -> None:
    found = CliRunner().invoke(
        command_line(), ["privacy", "erase", "--customer", "C9999", "--lakehouse-only", "--yes"]
    )
    assert found.exit_code == 1
    assert "There is no customer 'C9999' in the lakehouse" in found.output
    assert not (Path(get_config("local").folder_path("privacy")) / "erased.json").exists()
    assert not (home / "privacy").exists()
    mixed = erase("--customer", "C9999", "--lakehouse-only")
    assert mixed.exit_code == 1
    assert "no customer 'C9999'" in mixed.output
    assert "nobody found" in mixed.output
    again = erase("--lakehouse-only")
    assert again.exit_code == 0
    assert "was erased before" in again.output


def test_nobody_is_erased_without_a_yes_or_with_a_wrong_option(sent: Path) -> None:
    before = Table(sent / "activation_state").read()
    asked = CliRunner().invoke(command_line(), ["privacy", "erase", "--customer", ADA], input="n\n")
    assert asked.exit_code == 1
    none = CliRunner().invoke(command_line(), ["privacy", "erase", "--yes"])
    assert none.exit_code == 2
    assert "--customer ID" in none.output
    assert Table(sent / "activation_state").read() == before


def test_old_rows_of_logs_go_from_every_version(home: Path) -> None:
    table = home / "tables" / "local" / "data_eng" / "activation_rejected"
    now = datetime.now(UTC)
    for days in (91, 89):
        rows = {"person": [f"old by {days}", None], "rejected_at": [now - timedelta(days=days), None]}
        schema = pa.schema({"person": pa.string(), "rejected_at": pa.timestamp("us", "UTC")})
        write_deltalake(str(table), pa.table(rows, schema=schema), mode="append")
    kept = home / "tables" / "local" / "data_eng" / "activation_receipts"
    write_deltalake(str(kept), pa.table({"at": [now - timedelta(days=4000)]}))
    run = CliRunner().invoke(command_line(), ["privacy", "retain"])
    assert run.exit_code == 0, run.output
    assert "local.data_eng.activation_rejected: 1 row" in run.output
    assert {row["person"] for row in Table(table).read().to_pylist()} == {"old by 89", None}
    assert [row["person"] for row in Table(table, at=0).read().to_pylist()] == [None]
    assert len(Table(kept).read()) == 1
    assert "Nothing is too old" in CliRunner().invoke(command_line(), ["privacy", "retain"]).output

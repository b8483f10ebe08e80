"""Reverse ETL against a real server: what is due is sent once, and nothing is lost."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession

from ecommerce_lakehouse.activation.customerio.client import Client
from ecommerce_lakehouse.activation.customerio.errors import AuthenticationError
from ecommerce_lakehouse.activation.customerio.settings import Retries
from ecommerce_lakehouse.activation.sync.plan import DeleteGuardError, PlanError
from ecommerce_lakehouse.activation.sync.run import run_sync
from ecommerce_lakehouse.activation.sync.tables import SyncTables
from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.config.erased import Secret, erased_people, mark_erased
from tests.customerio_server import KEY, Fault, Request
from tests.integration.sync_lab import PEOPLE, Lab, lab
from tests.unit.customerio import settings

PEOPLE_SYNC = "table: {table}\nkey: id\ncall: identify\ntraits: [name, spent]\n"


@pytest.fixture(scope="module")
def opened(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    home = tmp_path_factory.mktemp("lakehouse")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKEHOUSE_HOME", str(home))
        with lab(spark, home) as opened:
            yield opened


@pytest.fixture
def shop(opened: Lab) -> Lab:
    """The lakehouse and the server of all tests; each has tables and syncs with names of its own."""
    opened.server.faults = lambda request: None
    opened.server.requests.clear()
    opened.sent()
    return opened


def people(shop: Lab, name: str, *rows: tuple[str | None, str, str | None], more: str = "") -> Any:
    """A table of people, and its sync."""
    shop.table(
        name, [(key, who, None if spent is None else Decimal(spent)) for key, who, spent in rows], PEOPLE
    )
    return shop.sync(name, PEOPLE_SYNC.format(table=name) + more)


def by_user(messages: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {message["userId"]: message for message in messages}


def bytes_of_messages(body: bytes) -> int:
    """What a batch holds, without its envelope and its commas."""
    return len(body) - len(b'{"batch":[]}') - (len(json.loads(body)["batch"]) - 1)


def test_a_row_is_sent_when_it_is_new_and_again_only_when_it_changes(shop: Lab) -> None:
    sync = people(shop, "changing", ("1", "Ann", "19.90"), ("2", "Bob", None))
    first = shop.plan(sync)
    assert (first.insert, first.update, first.delete, first.unchanged) == (2, 0, 0, 0)
    assert [message["traits"]["name"][1:] for message in first.sample] == ["***"]
    assert shop.run(sync).inserts == 2
    sent = by_user(shop.sent())
    assert {user: (m["type"], m["traits"]) for user, m in sent.items()} == {
        "1": ("identify", {"name": "Ann", "spent": 19.9}),
        "2": ("identify", {"name": "Bob", "spent": None}),
    }
    assert b'"spent":19.90' in shop.server.requests[0].body
    assert first.bytes == sum(bytes_of_messages(request.body) for request in shop.server.requests)
    assert shop.run(sync).plan.unchanged == 2
    people(shop, "changing", ("1", "Anne", "19.90"), ("2", "Bob", None))
    assert shop.run(sync).updates == 1
    people(shop, "changing", ("1", "Ann", "19.90"), ("2", "Bob", None))
    assert shop.run(sync).updates == 1
    assert [message["traits"]["name"] for message in shop.sent()] == ["Anne", "Ann"]
    # A, B, A are three messages, or a server that drops repeated ids would keep B.
    assert len(shop.server.arrivals) >= 4
    assert set(shop.server.arrivals.values()) == {1}


def test_what_is_gone_is_deleted_only_where_that_is_declared_and_sent_again_when_it_is_back(
    shop: Lab,
) -> None:
    everyone = [(str(number), f"P{number}", None) for number in range(10)]
    sync = people(shop, "leaving", *everyone)
    shop.run(sync)
    people(shop, "leaving", *everyone[1:])
    assert (shop.plan(sync).delete, shop.plan(sync).held) == (0, 1)
    sync = people(shop, "leaving", *everyone[1:], more="deletes: {max_percent: 10}\n")
    shop.sent()
    assert shop.run(sync).deletes == 1
    (gone,) = shop.sent()
    assert (gone["type"], gone["event"], gone["userId"]) == ("track", "User Deleted", "0")
    people(shop, "leaving", *everyone)
    assert shop.run(sync).inserts == 1
    (back,) = shop.sent()
    assert (back["userId"], back["messageId"] != gone["messageId"]) == ("0", True)
    people(shop, "leaving", *everyone[2:])
    with pytest.raises(DeleteGuardError, match=r"2 of 10 rows are gone, 20.0 %, and 10 % may be"):
        shop.run(sync)
    assert shop.sent() == []
    assert shop.run(sync, allow_deletes=True).deletes == 2


def test_rows_that_cannot_be_sent_are_rejected_with_their_reason_and_stop_no_other(shop: Lab) -> None:
    schema = "id string, name string, score double, tags array<string>"
    long, wide = "\U0001d11e" * 251, ["x" * 990] * 40  # 1,004 bytes; an array of 40,000
    rows = [
        ("good", "Ann", 1.5, ["a", "b"]),
        (None, "No key", 1.0, None),
        (" ", "Blank key", 1.0, None),
        ("twice", "One", 1.0, None),
        ("twice", "Two", 1.0, None),
        ("nan", "Nan", float("nan"), None),
        ("infinite", "Inf", float("-inf"), None),
        ("long", long, 1.0, None),
        ("edge", long[:250], 1.0, None),
        ("wide", "Wide", 1.0, wide),
    ]
    shop.table("dirty", rows, schema)
    sync = shop.sync("dirty", "table: dirty\nkey: id\ncall: identify\ntraits: [name, score, tags]\n")
    result = shop.run(sync)
    assert (result.inserts, result.refused, result.due) == (2, 6, 0)
    assert result.reasons == {
        "2 rows have no key": 1,
        "2 rows have this key": 1,
        "traits.score: NaN and infinity are not numbers in JSON": 2,
        "traits.name: the value has more than 1000 bytes": 1,
        "traits.tags: the value has more than 1000 bytes": 1,
    }
    assert sorted(by_user(shop.sent())) == ["edge", "good"]
    assert shop.run(sync).refused == 0
    shop.table("dirty", [("twice", "One", 1.0, None), ("nan", "Nan", 2.0, None), rows[0], rows[8]], schema)
    result = shop.run(sync)
    assert (result.inserts, result.plan.unchanged) == (2, 2)
    assert sorted(by_user(shop.sent())) == ["nan", "twice"]


def refusing(user: str) -> Callable[[Request], Fault | None]:
    """A server that does not take the messages of one person."""

    def faults(request: Request) -> Fault | None:
        bad = any(message.get("userId") == user for message in request.messages)
        return Fault(400) if bad else None

    return faults


def test_one_row_that_the_api_rejects_is_rejected_alone_and_sent_again_by_a_replay(shop: Lab) -> None:
    sync = people(shop, "many", *[(f"p{number}", f"Name {number}", "1.00") for number in range(1000)])
    shop.server.faults = refusing("p500")
    result = shop.run(sync)
    assert (result.inserts, result.rejected, result.due) == (999, 1, 0)
    assert shop.plan(sync).rejected + shop.plan(sync).due == 0
    rejected = shop.sql(
        "SELECT key, reason, status FROM {t} WHERE sync = 'many'", t="activation_rejected"
    ).collect()
    assert [(row["key"], row["status"]) for row in rejected] == [("p500", 400)]
    shop.server.faults = lambda request: None
    shop.sent()
    assert shop.run(sync, replay=True).inserts == 1
    assert list(by_user(shop.sent())) == ["p500"]
    assert shop.run(sync, replay=True).accepted == 0


@pytest.mark.slow
def test_a_message_with_an_unknown_outcome_is_sent_again_under_its_id(shop: Lab) -> None:
    sync = people(shop, "unknown", ("1", "Ann", None))
    shop.server.faults = lambda request: Fault(500, accepted=True)
    result = shop.run(sync)
    assert (result.accepted, result.due) == (0, 1)
    shop.server.faults = lambda request: None
    assert shop.run(sync).inserts == 1
    assert len({message["messageId"] for message in shop.sent()}) == 1
    runs = shop.sql(
        "SELECT event, due FROM {t} WHERE sync = 'unknown' ORDER BY at", t="activation_runs"
    ).collect()
    assert [(row["event"], row["due"]) for row in runs] == [
        ("STARTED", None),
        ("INCOMPLETE", 1),
        ("STARTED", None),
        ("COMPLETED", 0),
    ]


@pytest.mark.slow
def test_a_saved_plan_is_carried_out_only_while_its_tables_are_as_they_were(shop: Lab) -> None:
    sync = people(shop, "planned", ("1", "Ann", None))
    saved = shop.plan(sync)
    people(shop, "planned", ("1", "Anne", None))
    with pytest.raises(
        PlanError, match="sync 'planned': planned changed since the plan was made; plan again"
    ):
        shop.run(sync, saved=saved)
    assert shop.sent() == []
    saved = shop.plan(sync)
    assert shop.run(sync, saved=saved).inserts == 1
    with pytest.raises(PlanError, match="something was sent since"):
        shop.run(sync, saved=saved)


def test_a_change_data_feed_says_which_rows_to_compare(shop: Lab) -> None:
    rows = [(f"k{number}", f"N{number}", None) for number in range(50)]
    sync = people(shop, "fed", *rows, more="deletes: true\n")
    shop.sql("ALTER TABLE {t} SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')", t="fed")
    assert shop.run(sync).plan.compared == "all"
    shop.sql("UPDATE {t} SET name = 'New' WHERE id = 'k7'", t="fed")
    shop.sql("DELETE FROM {t} WHERE id = 'k8'", t="fed")
    shop.sql("INSERT INTO {t} VALUES ('k50', 'N50', NULL)", t="fed")
    shop.sent()
    plan = shop.plan(sync)
    assert (plan.compared, plan.insert, plan.update, plan.delete, plan.unchanged) == ("changed", 1, 1, 1, 48)
    result = shop.run(sync)
    assert (result.inserts, result.updates, result.deletes) == (1, 1, 1)
    assert sorted(by_user(shop.sent())) == ["k50", "k7", "k8"]
    assert shop.plan(sync).unchanged == 50


@pytest.mark.slow
def test_objects_relationships_and_devices_are_made_and_deleted(shop: Lab) -> None:
    shop.table("homes", [("h1", "c1", "The Hill", "owner"), ("h1", "c2", "The Hill", None)], HOMES)
    homes = shop.sync(
        "homes",
        "table: homes\nkey: [home, person]\ncall: group\nobject_type: '2'\ntraits: [title]\n"
        "relationship: [role]\ndeletes: {max_percent: 100}\n",
    )
    shop.table(
        "phones", [("t1", "c1", "ios", "2.0")], "token string, owner string, kind string, version string"
    )
    phones = shop.sync(
        "phones",
        "table: phones\nkey: token\nperson: owner\nplatform: kind\ncall: device\n"
        "properties: {app_version: version}\ndeletes: {max_percent: 100}\n",
    )
    assert shop.run(homes).inserts == 2
    assert shop.run(phones).inserts == 1
    sent = shop.sent()
    (owner,) = [message for message in sent if message["type"] == "group" and message["userId"] == "c1"]
    assert (owner["groupId"], owner["traits"]) == (
        "h1",
        {"title": "The Hill", "object_type_id": "2", "relationshipAttributes": {"role": "owner"}},
    )
    (device,) = [message for message in sent if message["type"] == "track"]
    assert (device["event"], device["userId"], device["context"], device["properties"]) == (
        "Device Created or Updated",
        "c1",
        {"device": {"token": "t1", "type": "ios"}},
        {"app_version": "2.0"},
    )
    shop.table("homes", [("h1", "c1", "The Hill", "owner")], HOMES)
    shop.table("phones", [], "token string, owner string, kind string, version string")
    assert (shop.run(homes).deletes, shop.run(phones).deletes) == (1, 1)
    assert [(m["event"], m["userId"], m.get("properties"), m.get("context")) for m in shop.sent()] == [
        ("Relationship Deleted", "c2", {"objectId": "h1", "objectTypeId": "2"}, None),
        ("Device Deleted", "c1", None, {"device": {"token": "t1"}}),
    ]


HOMES = "home string, person string, title string, role string"
EVENTS = "id string, who string, what string, at timestamp, total decimal(10,2)"


def test_an_event_is_sent_once_whatever_happens_to_its_row(shop: Lab) -> None:
    noon = datetime(2024, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
    first = ("o1:completed", "c1", "Order Completed", noon, Decimal("12.50"))
    shop.table("happenings", [first], EVENTS)
    sync = shop.sync(
        "happenings",
        "table: happenings\nkey: id\nperson: who\nevent: what\ntimestamp: at\ncall: track\n"
        "properties: [total]\n",
    )
    assert shop.run(sync).inserts == 1
    (sent,) = shop.sent()
    assert (sent["event"], sent["userId"], sent["timestamp"], sent["properties"]) == (
        "Order Completed",
        "c1",
        "2024-05-01T12:00:00.123456Z",
        {"total": 12.5},
    )
    touched = (*first[:4], Decimal("13.00"))
    shop.table(
        "happenings",
        [touched, ("o2:x", "c1", None, noon, None), ("o3:x", "c1", "Order Cancelled", None, None)],
        EVENTS,
    )
    result = shop.run(sync)
    assert (result.accepted, result.reasons) == (
        0,
        {"what: the event has no name": 1, "at: the event has no time": 1},
    )
    shop.table("happenings", [], EVENTS)
    assert shop.run(sync).accepted == 0
    assert shop.sent() == []


@pytest.mark.slow
def test_only_people_who_agreed_are_sent_and_a_missing_trait_can_be_left_out(shop: Lab) -> None:
    consents = [("1", "email"), ("2", "push")]
    shop.table("gold_marketing_consents", consents, "customer_id string, channel string")
    rows = [("1", "Ann", None), ("2", "Bob", "1.00"), ("3", "Cy", None)]
    sync = people(shop, "agreed", *rows, more="consent: email\nnulls: omit\n")
    assert shop.run(sync).inserts == 1
    (ann,) = shop.sent()
    assert (ann["userId"], ann["traits"]) == ("1", {"name": "Ann"})
    shop.table("gold_marketing_consents", [*consents, ("3", "email")], "customer_id string, channel string")
    assert shop.run(sync).inserts == 1
    assert list(by_user(shop.sent())) == ["3"]


@pytest.mark.slow
def test_a_stream_sends_what_changes_and_repeats_what_it_could_not_send(shop: Lab, tmp_path: Path) -> None:
    sync = people(shop, "followed", ("1", "Ann", None), ("2", "Bob", None))
    shop.sql("ALTER TABLE {t} SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')", t="followed")
    shop.run(sync)
    shop.sql("UPDATE {t} SET name = 'Anne' WHERE id = '1'", t="followed")
    shop.sent()
    shop.server.faults = lambda request: Fault(500)
    with pytest.raises(StreamingQueryException, match="1 messages are still due"):
        shop.follow(sync, tmp_path / "checkpoint")
    shop.server.faults = lambda request: None
    shop.follow(sync, tmp_path / "checkpoint")
    shop.follow(sync, tmp_path / "checkpoint")
    assert [(m["userId"], m["traits"]["name"]) for m in shop.sent()] == [("1", "Anne")]


def test_the_key_of_customer_io_is_nowhere_in_the_lakehouse(shop: Lab) -> None:
    sync = people(shop, "secret", ("1", "Ann", None))
    shop.server.faults = lambda request: Fault(401)
    with pytest.raises(AuthenticationError):
        shop.run(sync)
    shop.server.faults = lambda request: None
    assert shop.run(sync).inserts == 1
    files = [file for file in Path(os.environ["LAKEHOUSE_HOME"]).rglob("*") if file.is_file()]
    assert len(files) > 20
    assert [file for file in files if KEY.encode() in file.read_bytes()] == []


def test_a_person_who_was_erased_is_never_sent_again(shop: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = people(shop, "remaining", ("C0001", "Ada", None), ("C0002", "Bob", None))
    config, secret = get_config("local"), Secret(b"a secret of the tests")
    monkeypatch.setenv("PRIVACY_SECRET", secret.value.decode())
    mark_erased(config, secret, ["C0001"], datetime(2026, 3, 5, tzinfo=UTC))
    monkeypatch.setattr(shop, "tables", SyncTables(shop.spark, shop.lakehouse, erased_people(config)))
    shop.run(sync)
    assert [message["userId"] for message in shop.sent()] == ["C0002"]


def test_what_is_under_way_when_calls_stop_still_has_its_receipt(shop: Lab) -> None:
    """The first call opens the circuit, which refuses the fourth; slow ones close it for the fifth."""
    shop.table(
        "phones", [(f"t{n}", "c1", "ios") for n in range(6)], "token string, owner string, kind string"
    )
    phones = shop.sync("phones", "table: phones\nkey: token\nperson: owner\nplatform: kind\ncall: device\n")
    slow = Fault(status=200, accepted=True, seconds=0.5)
    calls = iter([Fault(status=500), slow, slow])
    shop.server.arrivals.clear()
    shop.server.faults = lambda request: next(calls, None)
    once = Retries(attempts=1, budget=5.0)
    chosen = settings(shop.server, concurrency=3, breaker_failures=1, retries=once)
    first = run_sync(shop.spark, shop.tables, phones, lambda observe: Client(chosen, observe=observe))
    assert "too many calls failed" in (first.error or "")
    assert first.inserts == len(shop.server.arrivals) > 2
    shop.server.faults = lambda request: None
    assert shop.run(phones).inserts == 6 - first.inserts
    assert sorted(shop.server.arrivals.values()) == [1] * 6

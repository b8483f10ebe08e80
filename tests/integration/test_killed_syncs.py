"""Reverse ETL with a failing server and SIGKILLs: what is due arrives, repeated only where it must be."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.customerio_server import Fault, Request
from tests.integration.sync_lab import Lab, lab

SYNC = (
    "table: people\nkey: id\ncall: identify\ntraits: [version, text]\nnulls: omit\n"
    "deletes: {max_percent: 100}\n"
)
SCHEMA = "id string, version int, text string"
TEXT = "x" * 900  # so that 2,000 people are some five batches


class Failing:
    """A server that fails a fifth of the calls. `unknown` has the messages whose answer was lost."""

    def __init__(self, seed: int) -> None:
        self.random, self.unknown = random.Random(seed), Counter[str]()
        self.lock = threading.Lock()

    def __call__(self, request: Request) -> Fault | None:
        with self.lock:
            if self.random.random() >= 0.2:
                return None
            soon = format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
            fault = self.random.choice(
                [
                    Fault(500),
                    Fault(500, accepted=True),
                    Fault(429, {"Retry-After": "0"}),
                    Fault(429, {"Retry-After": soon}),
                    Fault(),
                    Fault(accepted=True),
                    Fault(accepted=True, seconds=1.0),
                ]
            )
            if fault.accepted:
                self.unknown.update(message["messageId"] for message in request.messages)
            return fault


def receipts(shop: Lab) -> Counter[str]:
    """How often each message was recorded as accepted."""
    if not shop.lakehouse.version("activation_receipts"):
        return Counter()
    rows = shop.lakehouse.rows(f"SELECT message_id FROM {shop.lakehouse.reference('activation_receipts')}")
    return Counter(row["message_id"] for row in rows)


@contextmanager
def sending(shop: Lab, folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.integration.killed_syncs", str(folder), shop.server.url]
    # A session of its own, so that the JVM is killed with it.
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def killed_round(shop: Lab, folder: Path, source: random.Random, people: dict[str, int]) -> bool:
    """Change the table, kill a run at a random moment, and let the next one finish; whether it was killed."""
    for person in source.sample(sorted(people), k=len(people) // 3):
        people[person] += 1
    for person in source.sample(sorted(people), k=len(people) // 20):
        del people[person]
    start = source.randrange(10**6)
    people.update({f"p{number}": 0 for number in range(start, start + 100)})
    shop.table("people", [(person, version, TEXT) for person, version in people.items()], SCHEMA)
    failing = shop.server.faults
    assert isinstance(failing, Failing)
    seen, calls = len(shop.server.requests), source.choice([0, 1, 1, 2, 2, 3, 4, 6])
    with sending(shop, folder) as process:
        until = time.monotonic() + 240
        while (
            process.poll() is None and len(shop.server.requests) - seen < calls and time.monotonic() < until
        ):
            time.sleep(0.005)
        time.sleep(source.random() * (8.0 if calls == 0 else 1.0))
        killed = process.poll() is None
    arrived, recorded = Counter(shop.server.arrivals), receipts(shop)
    shop.lost.update(identifier for identifier in arrived if identifier not in recorded)
    with sending(shop, folder) as process:
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
    return killed


def check(shop: Lab, people: dict[str, int]) -> None:
    """What arrived is what was due: no message is missing, and none came twice without a reason."""
    arrived, recorded = shop.server.arrivals, receipts(shop)
    assert set(recorded) == set(arrived)
    assert set(recorded.values()) == {1}
    unknown = shop.server.faults.unknown  # type: ignore[attr-defined]
    repeated = {identifier: count - 1 for identifier, count in arrived.items() if count > 1}
    unexplained = {
        identifier: count
        for identifier, count in repeated.items()
        if count > unknown[identifier] + shop.lost[identifier]
    }
    assert unexplained == {}
    newest: dict[str, int | None] = {}
    for message in shop.server.messages:
        newest[message["userId"]] = None if message["type"] == "track" else message["traits"]["version"]
    assert {person: version for person, version in newest.items() if version is not None} == people


@pytest.mark.parametrize(
    "rounds", [pytest.param(1, marks=pytest.mark.long), pytest.param(20, marks=pytest.mark.slow)]
)
def test_what_is_due_arrives_however_often_the_run_is_killed_and_the_server_fails(
    spark: SparkSession, home: Path, rounds: int
) -> None:
    source = random.Random(12)
    people = {f"p{number}": 0 for number in range(2_000)}
    with lab(spark, home) as shop:
        shop.server.faults = Failing(12)
        shop.sync("people", SYNC)
        killed = 0
        for _ in range(rounds):
            killed += killed_round(shop, home / "syncs", source, people)
            check(shop, people)
        print(
            f"{killed} of {rounds} runs were killed; {shop.server.arrivals.total():,} arrivals of "
            f"{len(shop.server.arrivals):,} messages, {sum(shop.lost.values()):,} without a receipt"
        )
    assert killed or rounds == 1

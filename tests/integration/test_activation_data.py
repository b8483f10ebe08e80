"""The generated activation data, read back from its files in plain Python."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from ecommerce_lakehouse.config import LakehouseConfig, get_config
from ecommerce_lakehouse.domain.entities import ACTIVATED
from ecommerce_lakehouse.generation import (
    GenerationError,
    Manifest,
    generate_activation_data,
    generate_sample_data,
    read_manifests,
)
from ecommerce_lakehouse.generation.job import activation_main

pytestmark = pytest.mark.long
SIZES = {"orders": 60, "customer_activity": 60, "customers": 400}
BATCHES = 3


@dataclass(frozen=True)
class Volume:
    """A volume with sample data and three batches of activation data."""

    config: LakehouseConfig
    manifests: list[Manifest]

    def lines(self, entity: str, batch: int) -> list[bytes]:
        folder = Path(self.config.source_path(entity))
        parts = [(folder / name).read_bytes() for name in self.manifests[batch].datasets[entity].files]
        return b"".join(parts).removesuffix(b"\n").split(b"\n")

    def valid(self, entity: str, batch: int) -> list[dict[str, Any]]:
        """The records of the lines that are sound, duplicates left out."""
        lines = dict.fromkeys(self.lines(entity, batch))
        return [json.loads(line) for line in lines if issue(entity, line) in (None, "unexpected_column")]

    def customers(self) -> set[str]:
        """Whose profile in the first batch of the sample data is sound."""
        found = set()
        for line in (Path(self.config.source_path("customer_profiles")) / FIRST_PROFILES).open("rb"):
            try:
                profile = json.loads(line.decode())
            except ValueError:
                continue
            words = (profile["loyalty_tier"], profile["updated_at"][:4], profile["age"] < 120)
            if (
                profile["customer_id"]
                and "@" in profile["email"]
                and not {"diamond", "2999", False} & {*words}
            ):
                found.add(profile["customer_id"])
        return found


FIRST_PROFILES = "customer_profiles_b000000_p00000.json"
WORDS = {
    "marketing_consents": ("channel", {"email", "push", "sms"}),
    "push_devices": ("platform", {"ios", "android"}),
    "households": ("kind", {"couple", "family", "shared"}),
    "household_members": ("role", {"owner", "adult", "child"}),
}


def issue(entity: str, line: bytes) -> str | None:
    """A line's issue, derived only from its bytes."""
    try:
        line.decode()
    except UnicodeDecodeError:
        return "non_utf8"
    try:
        record = json.loads(line)
    except ValueError:
        return "truncated_json"
    names, (field, words) = set(ACTIVATED[entity].field_names), WORDS[entity]
    assert names <= set(record)
    time = record["updated_at"]
    faults = {
        "null_key": record[ACTIVATED[entity].key] is None,
        "bad_format": time == "yesterday",
        "out_of_range": time.startswith("1999"),
        "future_date": time.startswith("2999"),
        "unknown_status": record[field] not in words,
        "unexpected_column": bool(set(record) - names),
    }
    found = [kind for kind, faulty in faults.items() if faulty]
    assert len(found) <= 1, line
    return found[0] if found else None


def made(record: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(record["updated_at"].removesuffix("Z") + "+00:00")


def local_config(root: Path) -> LakehouseConfig:
    return get_config("local").model_copy(update={"volumes_root": str(root)})


@pytest.fixture(scope="module")
def volume(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Volume:
    config = local_config(tmp_path_factory.mktemp("activation"))
    generate_sample_data(spark, config, **SIZES, issue_rate=0.1)
    generate_activation_data(spark, config)
    generate_activation_data(spark, config, batches=BATCHES - 1)
    return Volume(config, read_manifests(Path(config.manifests_path) / "activation"))


def test_it_is_about_the_customers_of_the_sample_data(volume: Volume) -> None:
    sample = read_manifests(volume.config.manifests_path)
    assert {manifest.parameters for manifest in volume.manifests} == {sample[0].parameters}
    known = volume.customers()
    for entity in ("marketing_consents", "push_devices", "household_members"):
        found = {record["customer_id"] for n in range(BATCHES) for record in volume.valid(entity, n)}
        assert found
        assert found <= known


# Of 360 customers with a sound profile: three consents each of nine in ten, three devices of four, two
# members of three, in households of one to four members.
LINES = {"marketing_consents": 972, "push_devices": 270, "households": 96, "household_members": 240}


@pytest.mark.parametrize("entity", ACTIVATED)
def test_the_manifest_says_what_the_lines_are(volume: Volume, entity: str) -> None:
    assert len(volume.lines(entity, 0)) == LINES[entity]
    known: set[str] = set()
    for batch, manifest in enumerate(volume.manifests):
        dataset, lines = manifest.datasets[entity], volume.lines(entity, batch)
        repeated = Counter(lines)
        kinds = Counter(issue(entity, line) for line in repeated)
        kinds["duplicate"] = len(lines) - len(repeated)
        del kinds[None]
        assert {kind: count for kind, count in dataset.issues.items() if count} == +kinds
        assert dataset.rows == len(lines)
        assert sum(dataset.issues.values()) == round(0.1 * len(lines))
        keys = [record[ACTIVATED[entity].key] for record in volume.valid(entity, batch)]
        new = set(keys) - known
        expected = dataset.expected
        assert (expected.silver, expected.updates) == (len(new), sum(key in known for key in keys))
        assert len(lines) == expected.silver + expected.updates + expected.quarantined + expected.duplicates
        known |= new


@pytest.mark.parametrize("entity", ACTIVATED)
def test_a_later_batch_has_changes_repeats_and_late_records_of_known_keys(
    volume: Volume, entity: str
) -> None:
    key = ACTIVATED[entity].key
    first = {record[key]: record for record in volume.valid(entity, 0)}
    orders = set()
    for batch in range(1, BATCHES):
        start = volume.manifests[batch].starts_at
        told: dict[str, list[dict[str, Any]]] = {}
        for record in volume.valid(entity, batch):
            told.setdefault(record[key], []).append(record)
        assert len(told) >= -(-LINES[entity] // 100) - 1
        for name, records in told.items():
            today = [record for record in records if start <= made(record) < start + timedelta(days=1)]
            late = [record for record in records if made(record) < made(first[name])]
            assert len(today) + len(late) == len(records)
            if len(records) == 3:
                orders.add(records[0] in late)
                changed, repeated = today
                assert made(changed) == made(repeated)
                assert changed["updated_at"] != repeated["updated_at"]
                assert [changed[n] for n in changed if n in ACTIVATED[entity].field_names[:-1]] == [
                    repeated[n] for n in ACTIVATED[entity].field_names[:-1]
                ]
    assert orders == {True, False} or LINES[entity] < 100


def test_some_channels_have_no_consent_and_some_consents_say_nothing(volume: Volume) -> None:
    consents = volume.valid("marketing_consents", 0)
    assert all(row["consent_id"] == f"{row['customer_id']}-{row['channel']}" for row in consents)
    statuses = Counter(record["status"] for record in consents)
    assert set(statuses) == {"granted", "withdrawn", "unknown", None}
    assert statuses["granted"] / statuses.total() == pytest.approx(0.55, abs=0.06)
    assert {"email", "push", "sms"} == {record["channel"] for record in consents}
    assert len({record["customer_id"] for record in consents}) <= 0.9 * len(volume.customers())


def test_tokens_are_random_and_a_device_was_used_before_it_was_reported(volume: Volume) -> None:
    devices = volume.valid("push_devices", 0)
    assert all(re.fullmatch("[0-9a-f]{64}", device["token"]) for device in devices)
    assert len({device["token"] for device in devices}) == len(devices)
    assert all(device["last_used_at"] <= device["updated_at"] for device in devices)
    assert set(Counter(Counter(d["customer_id"] for d in devices).values())) == {1, 2}


def test_households_have_one_to_four_members_of_whom_one_owns_it(volume: Volume) -> None:
    sound = {record["household_id"] for record in volume.valid("households", 0)}
    members: dict[str, list[str]] = {}
    for record in volume.valid("household_members", 0):
        members.setdefault(record["household_id"], []).append(record["role"])
    assert members.keys() <= sound
    sizes = Counter(map(len, members.values()))
    assert {1, 2, 3, 4} <= set(sizes)
    assert sum(roles.count("owner") == 1 for roles in members.values()) > 0.8 * len(members)
    later = [row for n in range(1, BATCHES) for row in volume.valid("household_members", n)]
    assert {row["household_id"] is None for row in later} == {True, False}


def test_the_same_parameters_give_the_same_bytes_and_leave_the_sample_data_alone(
    spark: SparkSession, volume: Volume, tmp_path: Path
) -> None:
    config = local_config(tmp_path)
    generate_sample_data(spark, config, **SIZES, issue_rate=0.1)
    before = contents(config)
    generate_activation_data(spark, config)
    after = contents(config)
    assert {name: data for name, data in after.items() if name in before} == before
    added = {name: data for name, data in after.items() if name not in before}
    assert added.keys() == {
        "manifests/activation/batch_000000.json",
        *(f"{name}_raw/{name}_b000000_p00000.json" for name in ACTIVATED),
    }
    assert {name: contents(volume.config)[name] for name in added} == added


def contents(config: LakehouseConfig) -> dict[str, bytes]:
    root = Path(config.volume_path)
    files = (path for path in root.rglob("*") if path.is_file() and path.name != "_generator.lock")
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def test_other_customers_than_those_of_the_sample_data_are_refused(
    spark: SparkSession, volume: Volume
) -> None:
    with pytest.raises(GenerationError, match=r"^customers is 400, not 7, in the data of "):
        generate_activation_data(spark, volume.config, customers=7)


def test_the_job_says_what_it_added_and_writes_nothing_where_data_is_delivered(
    spark: SparkSession, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    activation_main(["--environment", "local", "--customers", "20", "--issue-rate", "0", "--batches", ""])
    root = home / "volumes" / "local" / "data_eng" / "data"
    assert capsys.readouterr().out.splitlines() == [
        "batch 0: marketing_consents, 54 lines",
        "batch 0: push_devices, 15 lines",
        "batch 0: households, 6 lines",
        "batch 0: household_members, 13 lines",
        f"88 lines, 0 with an intentional issue, added to {root}",
    ]
    activation_main(["--environment", "prod"])
    assert "Data is delivered in the environment 'prod'" in capsys.readouterr().out
    assert not (home / "volumes" / "prod").exists()
    with pytest.raises(SystemExit) as stopped:
        activation_main(["--environment", "local", "--seed", "7"])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("generate_activation_data: seed is 42, not 7, in the data of ")


def test_with_an_issue_in_every_line_there_is_nothing_to_change(spark: SparkSession, tmp_path: Path) -> None:
    config = local_config(tmp_path)
    _, later = generate_activation_data(spark, config, customers=9, issue_rate=1, batches=2)
    assert {name: dataset.rows for name, dataset in later.datasets.items()} == dict.fromkeys(ACTIVATED, 0)

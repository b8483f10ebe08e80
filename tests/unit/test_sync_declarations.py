"""Syncs as people write them: what is wrong is found before anything runs, with file and line."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import yaml

from ecommerce_lakehouse.activation.sync.declarations import (
    SyncError,
    declaration_problems,
    load_syncs,
    sync_named,
)
from ecommerce_lakehouse.activation.sync.plan import masked
from ecommerce_lakehouse.activation.sync.run import message_id

ROOT = Path(__file__).parents[2]
GOOD = "table: people\nkey: id\ncall: identify\ntraits: [name]\n"


def problems(folder: Path, text: str) -> list[tuple[str, str]]:
    (folder / "people.yml").write_text(text, encoding="utf-8")
    return [(item.location, item.message) for item in declaration_problems(folder)]


def test_a_list_of_columns_is_a_mapping_of_names_to_columns_and_names_may_have_dots(tmp_path: Path) -> None:
    (tmp_path / "people.yml").write_text(GOOD.replace("[name]", "['full name', a.b, 'c`d']"))
    sync = load_syncs(tmp_path)["people"]
    assert sync.fields() == {"traits": {"full name": "`full name`", "a.b": "`a.b`", "c`d": "`c``d`"}}
    assert (sync.keys, sync.person, sync.deletes) == (("id",), "id", None)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (
            GOOD + "trait: [x]\n",
            5,
            "trait: not a field of a sync with call: identify; did you mean 'traits'?",
        ),
        (GOOD.replace("identify", "identity"), 3, "call: one of identify, group, device, track is expected"),
        (GOOD.replace("call: identify\n", ""), 1, "call: one of identify, group, device, track is expected"),
        (GOOD.replace("traits: [name]\n", ""), 1, "traits: Field required"),
        (GOOD.replace("key: id", "key: [id, other]"), 1, "key: one column with call: identify"),
        (GOOD + "key: other\n", 5, "'key' is written twice"),
        (GOOD + "name: other\n", 5, "name: not a field; the file's name is the sync's"),
        (GOOD + "nulls: drop\n", 5, "nulls: Input should be 'clear' or 'omit'"),
        (GOOD + "consent: mail\n", 5, "consent: Input should be 'email', 'push' or 'sms'"),
        (
            GOOD + "deletes:\n  max_percent: 101\n",
            6,
            "deletes.max_percent: Input should be less than or equal to 100",
        ),
        (GOOD.replace("[name]", "[name, name]"), 4, "traits: a column is listed twice"),
        (
            GOOD.replace("[name]", str([f"c{number}" for number in range(301)])),
            4,
            "traits: 301 attributes; a call may set 300",
        ),
        ("table: people\nkey: [id\n", 3, "not valid YAML: expected ',' or ']', but got '<stream end>'"),
        ("- table: people\n", 1, "a sync is a mapping: table, key, call and so on"),
        (
            "table: t\nkey: id\ncall: track\nperson: p\nevent: e\ntimestamp: at\ndeletes: true\n",
            1,
            "deletes: an event cannot be deleted",
        ),
        (
            "table: t\nkey: h\ncall: group\nconsent: email\n",
            1,
            "consent: an object is not a person; its relationships can have it",
        ),
    ],
)
def test_a_wrong_declaration_is_named_with_its_line(
    tmp_path: Path, text: str, line: int, message: str
) -> None:
    assert problems(tmp_path, text) == [(f"people.yml:{line}", message)]
    with pytest.raises(SyncError) as raised:
        load_syncs(tmp_path)
    assert str(raised.value) == f"people.yml:{line}: {message}"


def test_the_shops_syncs_are_valid_and_run_people_first_and_events_last() -> None:
    assert declaration_problems() == []
    calls = [sync.call for sync in load_syncs().values()]
    assert calls == sorted(calls, key=["identify", "group", "device", "track"].index)
    assert set(calls) == {"identify", "group", "device", "track"}
    assert all(sync.consent for sync in load_syncs().values())


def test_an_unknown_sync_is_an_error_that_names_the_closest() -> None:
    with pytest.raises(SyncError, match=r"^Unknown sync 'custmers'. Did you mean 'customers'\? Valid: "):
        sync_named("custmers")


def test_the_same_change_has_the_same_id_until_it_is_accepted() -> None:
    # uuid5(NAMESPACE, "people\x1f1\x1finsert\x1fabc\x1f0"), as Python's uuid module computes it.
    import uuid

    namespace = uuid.UUID("6f1c3f0a-8d0e-5b5e-9d35-3f0b6a3c9a61")
    expected = str(uuid.uuid5(namespace, "people\x1f1\x1finsert\x1fabc\x1f0"))
    assert message_id("people", "1", "insert", "abc", 0) == expected
    others = [
        message_id("people", "1", "insert", "abc", 1),
        message_id("people", "1", "update", "abc", 0),
        message_id("people", "1", "insert", "abd", 0),
        message_id("people", "2", "insert", "abc", 0),
        message_id("peoples", "1", "insert", "abc", 0),
    ]
    assert len({expected, *others}) == 6


def test_a_sample_shows_no_personal_data() -> None:
    message = {
        "userId": "42",
        "event": "Order Completed",
        "traits": {"email": "ann@example.com", "n": 3, "l": ["x"]},
    }
    assert masked(message) == {
        "userId": "4***",
        "event": "Order Completed",
        "traits": {"email": "a***", "n": 3, "l": ["***"]},
    }


@pytest.mark.parametrize("name", ["customerio_sync", "erase_customers"])
def test_a_job_that_sends_has_the_packages_of_the_lock_file(name: str) -> None:
    job = yaml.safe_load((ROOT / "resources" / f"{name}.job.yml").read_text())
    (environment,) = [
        each["spec"]["dependencies"]
        for each in job["resources"]["jobs"][name]["environments"]
        if each["environment_key"] == "customerio"
    ]
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    locked = {package["name"]: package["version"] for package in lock["package"] if "version" in package}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    group = {line.split(">")[0] for line in project["dependency-groups"]["activation"]}
    # Databricks ships pydantic.
    assert environment == [
        "../dist/*.whl",
        *sorted(f"{name}=={locked[name]}" for name in group - {"pydantic"}),
    ]

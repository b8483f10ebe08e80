"""Whose a record is, and who was erased: the rules of an erasure, on lines and rows worked out by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from ecommerce_lakehouse.cli.erasure.rows import ERASED, Rows, redacted
from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.config.erased import (
    PrivacySecretError,
    Secret,
    erased_at,
    erased_people,
    keyed_hash,
    mark_erased,
    privacy_secret,
    secret_file,
)
from ecommerce_lakehouse.privacy.erasure import PrivacyError, clean_ids
from ecommerce_lakehouse.privacy.people import Found, People, lines_of, read_line
from ecommerce_lakehouse.transforms.erased import is_erased, names_erased

ADA = People(frozenset({"C0001"}), frozenset({"ada@example.com"}), frozenset({"O-17"}), frozenset())
NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)
SECRET = "a secret of the tests"


@pytest.mark.parametrize(
    ("line", "theirs"),
    [
        ('{"customer_id": "C0001"}', True),
        ('{"customer_id": " C0001\\t"}', True),
        ('{"customer_id": "C\\u00300\\u00301"}', True),
        ('{"customer_id": "C0002", "customer_id": "C0001"}', True),
        ('{"customer_id": "C00011"}', False),
        ('{"customer_id": "C0002", "email": "ada@example.com"}', False),
        ('{"customer_id": "C0002", "note": "for C0001"}', False),
        ('{"customer_id": null, "email": " ADA@example.com"}', True),
        ('{"customer_id": "", "order_id": "O-17"}', True),
        ('{"order_id": "O-17"}', True),
        ('{"order_id": "O-18"}', False),
        ('{"order_id": "O-17", "customer_id": "C0002"}', False),
        ('{"order_id": "O-17", "customer_id": "C0002", "pri', False),
        ('{"order_id": "O-3", "customer_id": "C0001", "pri', True),
        ('{"order_id": "O-17", "cust', True),
        ("a complaint by C0001, in no format", True),
        ("a complaint by ada@example.com.", True),
        ("a complaint by C0001x", False),
        ('["C0001"]', True),
        ("", False),
    ],
)
def test_whose_a_line_is(line: str, theirs: bool) -> None:
    assert ADA.own_line(line) is theirs
    assert not theirs or ADA.may_own(line)


def test_a_line_gives_numbers_and_every_repeated_value() -> None:
    assert read_line('{"customer_id": 42, "order_id": true, "customer_id": "7"}') == (
        {"customer_id": ["42", "7"]},
        True,
    )
    assert read_line('{"customer_id": 42, "order_id": null, "x')[0] == {"customer_id": ["42"]}


def test_only_a_line_feed_ends_a_line() -> None:
    assert lines_of(b"a\r\nb\x85c\n\nd") == [b"a\r\n", b"b\x85c\n", b"\n", b"d"]
    assert lines_of(b"a\n") == [b"a\n"]
    assert lines_of(b"") == []


def test_what_two_people_share_belongs_to_neither() -> None:
    found = Found(frozenset({"C0001"}))
    records = [
        {"customer_id": ["C0001"], "email": ["ada@example.com"], "order_id": ["O-1"]},
        {"customer_id": ["C0001"], "email": ["both@example.com"], "order_id": ["O-2"]},
        {"customer_id": ["C0002"], "email": ["both@example.com"], "order_id": ["O-1"]},
        {"customer_id": [], "email": ["nobody@example.com"], "order_id": ["O-2"]},
    ]
    for record in records:
        found.add(record)
    for record in records:
        found.share(record)
    assert found.people() == People(
        frozenset({"C0001"}), frozenset({"ada@example.com"}), frozenset({"O-2"}), frozenset({"O-1"})
    )
    assert found.seen == {"C0001"}


def test_rows_of_a_known_table_go_by_its_columns_and_of_an_unknown_one_by_any(tmp_path: Path) -> None:
    rows = pa.table(
        {
            "customer_id": ["C0001", " C0001", None, "C0002", "C0002"],
            "order_id": ["O-1", "O-2", "O-17", "O-17", "O-3"],
            "note": ["", "", "", "", "told C0001"],
        }
    )
    assert Rows("silver_orders", ADA).theirs(rows) == {0, 1, 2}
    assert Rows("my_export", ADA).theirs(rows) == {0, 1, 2, 4}
    state = pa.table({"person": ["C0001", "C0002"], "key": ["O-1", "O-17"]})
    assert Rows("activation_state", ADA).theirs(state) == {0}
    lines = pa.table({"raw_line": [b'{"customer_id": "C0001"}', b"\xff C0001 \xfe", b"{}", None]})
    assert Rows("bronze_orders", ADA).theirs(lines) == {0, 1}


def test_a_log_keeps_its_rows_without_the_texts_that_quote_somebody() -> None:
    details = json.dumps({"sample": {"customer_id": "C0001"}, "rows": 3})
    value = {"message": "Sample row: C0001", "details": details, "level": "WARN", "error": [{"m": "x"}]}
    assert redacted(value, ADA.named) == {
        "message": ERASED,
        "details": json.dumps({"sample": {"customer_id": ERASED}, "rows": 3}),
        "level": "WARN",
        "error": [{"m": "x"}],
    }


def test_ids_are_kept_as_the_pipelines_keep_them() -> None:
    assert clean_ids([" C1\n", "O'Neil", "C1"]) == {"C1", "O'Neil"}
    for wrong in ([], [""], ["C1", "  "]):
        with pytest.raises(PrivacyError, match="--customer ID"):
            clean_ids(wrong)


# Keyed hashes ---------------------------------------------------------------------------------------------


def test_a_keyed_hash_is_hmac_with_sha_256() -> None:
    # RFC 4231, test case 2.
    assert keyed_hash(b"Jefe", "what do ya want for nothing?") == (
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )


def test_the_erased_are_known_by_hashes_and_only_with_the_secret(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = get_config("local")
    assert erased_people(config) is None
    with pytest.raises(PrivacySecretError, match="PRIVACY_SECRET"):
        privacy_secret(config)
    secret = privacy_secret(config, create=True)
    assert secret_file(home).stat().st_mode & 0o777 == 0o600
    assert privacy_secret(config) == secret
    mark_erased(config, secret, ["C0001", "Zoë"], NOON)
    mark_erased(config, secret, ["C0001", "C0003"], datetime(2026, 3, 6, tzinfo=UTC))
    erased = erased_people(config)
    assert erased is not None
    assert ["C0001" in erased, "Zoë" in erased, "C0002" in erased] == [True, True, False]
    assert erased_at(config, secret, "C0001") == "2026-03-05T12:00:00+00:00"
    assert erased_at(config, secret, "C0002") is None
    text = (Path(config.folder_path("privacy")) / "erased.json").read_text()
    assert "C0001" not in text
    assert secret.key("arrivals").hex() not in text + repr(secret) + repr(erased)
    # With another secret nobody would be recognized, so nothing may be ingested.
    monkeypatch.setenv("PRIVACY_SECRET", "another secret of the tests")
    with pytest.raises(PrivacySecretError, match="not the one"):
        erased_people(config)
    monkeypatch.setenv("PRIVACY_SECRET", "short")
    with pytest.raises(PrivacySecretError, match="16 characters"):
        erased_people(config)


def test_spark_recognizes_the_erased_in_columns_and_in_raw_lines(spark: SparkSession, home: Path) -> None:
    secret = Secret(SECRET.encode())
    config = get_config("local")
    names = ["C0001", 'O\'Neil "x"', "Zoë Ö", "50% of\\all"]
    mark_erased(config, secret, names, NOON)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRIVACY_SECRET", SECRET)
        erased = erased_people(config)
    assert erased is not None
    lines = {
        **{json.dumps({"customer_id": name}): True for name in names},
        **{json.dumps({"customer_id": name}, ensure_ascii=False)[:-1]: True for name in names},
        '{"customer_id": " C0001\\t"}': True,
        '{"customer_id": "C\\u00300\\u00301", "x': True,
        '{"customer_id": "C0002", "customer_id": "C0001"}': True,
        '{"customer_id": "C00011"}': False,
        '{"referrer": "C0001", "customer_id": "C0002"}': False,
        '{"customer_id": null}': False,
        "no line": False,
        "": False,
    }
    rows = spark.createDataFrame(
        [(bytearray(line.encode()), line) for line in lines], "raw binary, line string"
    )
    rows = rows.unionByName(
        spark.createDataFrame([(bytearray(b'\xff{"customer_id": "C0001"}'), "bytes")], rows.schema)
    )
    ids = {" C0001 ": True, "Zoë Ö": True, "C0002": False, None: False}
    given = spark.createDataFrame([(each,) for each in ids], "id string")
    found = {
        row["line"]: row["erased"]
        for row in rows.select("line", names_erased(rows["raw"], erased).alias("erased")).collect()
    }
    assert found == lines | {"bytes": True}
    assert {
        row["id"]: row["e"] for row in given.select("id", is_erased(given["id"], erased).alias("e")).collect()
    } == ids

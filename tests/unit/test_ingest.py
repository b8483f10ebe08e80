"""From a raw line to typed columns: nothing is altered, nothing is guessed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from chispa import assert_df_equality
from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.domain.entities import CUSTOMER_ACTIVITY, CUSTOMER_PROFILES, ORDERS, Entity
from ecommerce_lakehouse.transforms.ingest import ONE_MOMENT, latest_per_key, parse, to_bronze
from tests.unit.bronze import GOOD, INGESTED_AT, bronze, line

BAD = None  # what a value that does not fit its type becomes


def parsed(spark: SparkSession, entity: Entity, lines: Mapping[str, bytes], *columns: str) -> dict[str, Any]:
    """The chosen columns of every line, by the line's name; one value where one column is chosen."""
    rows = parse(bronze(spark, lines), entity).selectExpr("source_file", *columns).collect()
    assert len(rows) == len(lines)
    return {name: values[0] if len(columns) == 1 else tuple(values) for name, *values in rows}


# Bronze -----------------------------------------------------------------------------------------------------


def test_bronze_has_every_line_byte_for_byte(spark: SparkSession, tmp_path: Path) -> None:
    lines = [
        b'{"a": 1}',
        b'{"b": "\xff\xfe\x80"}',
        b'{"c": 1}\r',
        b"",
        b"  \t ",
        "\ufeffö€\U0001f600".encode(),
        b"\x00end",
    ]
    (tmp_path / "orders 1.json").write_bytes(b"\n".join(lines))
    text = spark.read.format("text").option("lineSep", "\n").load(str(tmp_path))
    rows = (
        to_bronze(text, "staging").withColumn("is_now", F.expr("ingested_at = current_timestamp()")).collect()
    )
    assert sorted(bytes(row.raw_line) for row in rows) == sorted(lines)
    assert {row.source_file.rsplit("/", 1)[1] for row in rows} == {"orders%201.json"}
    assert {(row.environment, row.is_now) for row in rows} == {("staging", True)}


# Values -----------------------------------------------------------------------------------------------------


def test_a_good_record_of_each_entity_is_typed(spark: SparkSession) -> None:
    provenance = "is_utf8, is_json, size(unexpected_columns) AS surprises, raw_line, environment"
    for entity, expected, schema in (
        (
            ORDERS,
            ("O-1", "C-1", "P-1", "Desk lamp", "home", "19.99", 2, "shipped", "2024-04-30 08:15:00", "39.98"),
            "order_id string, customer_id string, product_id string, product_name string, category string, "
            "price decimal(10,2), quantity int, status string, order_timestamp timestamp, "
            "total_order_value decimal(18,2)",
        ),
        (
            CUSTOMER_PROFILES,
            ("C-1", "ana@example.com", 34, "female", "PT", "2023-11-05", "gold", 120, "2024-04-30 08:15:00"),
            "customer_id string, email string, age int, gender string, country string, signup_date date, "
            "loyalty_tier string, loyalty_points int, updated_at timestamp",
        ),
        (
            CUSTOMER_ACTIVITY,
            ("S-1", "C-1", "2024-04-30 08:15:00", 300, 7, 1, "mobile"),
            "session_id string, customer_id string, session_timestamp timestamp, "
            "session_duration_seconds int, page_views int, cart_adds int, device_type string",
        ),
    ):
        names = [column.split()[0] for column in schema.split(", ")]
        raw = line(entity.name)
        result = parse(bronze(spark, [raw]), entity).selectExpr(*names, *provenance.split(", "))
        values = spark.range(1).select(
            *[F.lit(value).alias(n) for n, value in zip(names, expected, strict=True)]
        )
        typed = values.selectExpr(
            *[
                f"CAST({column.replace(' ', ' AS ', 1)}) AS {column.split()[0]}"
                for column in schema.split(", ")
            ],
            "true AS is_utf8",
            "true AS is_json",
            "0 AS surprises",
            f"unhex('{raw.hex()}') AS raw_line",
            "'local' AS environment",
        )
        assert_df_equality(result, typed, ignore_nullable=True)


def test_a_whole_number_is_a_whole_number(spark: SparkSession) -> None:
    values: dict[str, int | None] = {
        "3": 3,
        '"3"': 3,
        '" 3 "': 3,
        '"+3"': 3,
        "-3": -3,
        '"007"': 7,
        "2147483647": 2147483647,
        "-2147483648": -2147483648,
        "2147483648": BAD,
        "-2147483649": BAD,
        "3.7": BAD,
        "3.0": BAD,
        '"3.7"': BAD,
        '"3e2"': BAD,
        "1e2": BAD,
        '"0x10"': BAD,
        '"1_000"': BAD,
        '"1,000"': BAD,
        '"\uff13"': BAD,
        '"three"': BAD,
        '""': BAD,
        '" "': BAD,
        "null": BAD,
        "true": BAD,
        "[3]": BAD,
        '{"units": 3}': BAD,
    }
    lines = {text: f'{{"quantity": {text}}}'.encode() for text in values}
    assert parsed(spark, ORDERS, lines, "quantity") == values


def test_a_price_is_exact_to_the_cent(spark: SparkSession) -> None:
    values: dict[str, str | None] = {
        "9.99": "9.99",
        '"9.99"': "9.99",
        '" 9.9 "': "9.90",
        "9.990": "9.99",
        '"9.9900"': "9.99",
        "10": "10.00",
        '"1E+1"': "10.00",
        "-5": "-5.00",
        "0": "0.00",
        "99999999.99": "99999999.99",
        "9.999": BAD,
        '"9.999"': BAD,
        '"9.9900001"': BAD,
        "0.001": BAD,
        "100000000": BAD,
        "99999999.995": BAD,
        "1e400": BAD,
        '"9,99"': BAD,
        '"$9.99"': BAD,
        '"9.99 EUR"': BAD,
        '"NaN"': BAD,
        '"Infinity"': BAD,
        '"free"': BAD,
        '""': BAD,
        "null": BAD,
        "true": BAD,
        "[9.99]": BAD,
    }
    lines = {text: f'{{"price": {text}, "quantity": 3}}'.encode() for text in values}
    prices = {text: None if value is None else Decimal(value) for text, value in values.items()}
    assert parsed(spark, ORDERS, lines, "price", "total_order_value") == {
        text: (price, None if price is None else price * 3) for text, price in prices.items()
    }


def test_a_price_with_a_small_fraction_of_a_cent_is_not_rounded(spark: SparkSession) -> None:
    values = ['"9.9900000001"', "19.990000000000002", '"9.99000000000001"']
    lines = {text: f'{{"price": {text}}}'.encode() for text in values}
    assert parsed(spark, ORDERS, lines, "price") == dict.fromkeys(values, BAD)


def test_a_time_is_a_date_and_an_hour_that_exist(spark: SparkSession) -> None:
    values: dict[str, str | None] = {
        "2024-02-29T12:30:00": "2024-02-29 12:30:00",
        "2024-02-29 12:30": "2024-02-29 12:30:00",
        " 2024-02-29T12:30 ": "2024-02-29 12:30:00",
        "2024-02-29T12:30:00Z": "2024-02-29 12:30:00",
        "2024-03-01T00:30:00+02:00": "2024-02-29 22:30:00",
        "2024-02-29T12:30:00.123456": "2024-02-29 12:30:00.123456",
        "2024-02-29T12:30:00.123456789Z": "2024-02-29 12:30:00.123456",
        "2024-02-29 12:30:00 UTC": "2024-02-29 12:30:00",
        "2024-02-29 12:30:00 -0330": "2024-02-29 16:00:00",
        "2024-02-29T12:30:00+05": "2024-02-29 07:30:00",
        "2024-02-29T12:30:00+19:00": BAD,
        "2024-02-29T12:30:00+2": BAD,
        "2024-06-01 10:00:00 BST": BAD,
        "2024-06-01 10:00:00 Europe/Berlin": BAD,
        "2024-06-01 10:00:00.": BAD,
        "24-06-01 10:00:00": BAD,
        "2024-02-30T12:30:00": BAD,
        "2023-02-29T12:30:00": BAD,
        "2024-13-01T12:30:00": BAD,
        "2024-02-29T24:00:00": BAD,
        "2024-02-29T12:60:00": BAD,
        "2024-02-29T12:30:61": BAD,
        "12:30": BAD,
        "T12:30": BAD,
        "2024-02-29": BAD,
        "2024-02": BAD,
        "2024": BAD,
        "1709210000": BAD,
        "29/02/2024 12:30": BAD,
        "2024-2-9T1:02": BAD,
        "2024-02-29T12:30 or so": BAD,
        "now": BAD,
        "": BAD,
    }
    lines = {text: json.dumps({"order_timestamp": text}).encode() for text in values}
    columns = "CAST(order_timestamp AS STRING)", "CAST(order_date AS STRING)"
    assert parsed(spark, ORDERS, lines, *columns) == {
        text: (value, value and value[:10]) for text, value in values.items()
    }


def test_the_name_of_a_zone_is_ambiguous() -> None:
    """Java's short ids, which differ from what people mean by them, and every city, in Spark's spellings."""
    short = "ACT AET AGT ART AST BET BST CAT CNT CST CTT EAT ECT EST HST IET IST JST MIT MST NET NST PLT PNT"
    names = {*short.split(), "PRT", "PST", "SST", "VST", "UT", "EDT", "UTC+2", "GMT+01:00", "Z+1", "am"}
    names |= available_timezones() - {"UTC"}
    assert len(names) > 500
    for name in names:
        for separator in ("", " "):
            assert not re.search(ONE_MOMENT, f"2024-06-01 10:00:00{separator}{name}"), name
    for zone in ("", "Z", "UTC", "+02:00", "-0230", "+02"):
        assert re.search(ONE_MOMENT, f"2024-06-01 10:00:00{zone}"), zone


def test_keys_given_twice_and_values_that_do_not_fit_are_named(spark: SparkSession) -> None:
    lines = {
        "once": b'{"price": 1, "quantity": 2}',
        "twice": b'{"price": 1, "status": "lost", "price": 1, "a": 1, "a": null, "price": 3}',
        "unreadable": b'{"updated_at": "soon", "price": "cheap", "quantity": "", "order_id": 7}',
        "no record": b"{",
    }
    assert parsed(spark, ORDERS, lines, "repeated_keys", "unreadable_fields") == {
        "once": ([], []),
        "twice": (["a", "price"], []),
        "unreadable": ([], ["price", "updated_at"]),
        "no record": ([], []),
    }


def test_a_date_is_a_day_that_exists(spark: SparkSession) -> None:
    values: dict[str, str | None] = {
        "2024-02-29": "2024-02-29",
        " 2024-02-29 ": "2024-02-29",
        "2024-02-30": BAD,
        "2023-02-29": BAD,
        "2024-13-01": BAD,
        "24-02-29": BAD,
        "2024-2-9": BAD,
        "2024-02": BAD,
        "20240229": BAD,
        "29.02.2024": BAD,
        "2024-02-29T00:00:00": BAD,
        "epoch": BAD,
        "": BAD,
    }
    lines = {text: json.dumps({"signup_date": text}).encode() for text in values}
    assert parsed(spark, CUSTOMER_PROFILES, lines, "CAST(signup_date AS STRING)") == values


def test_text_is_trimmed_and_only_a_vocabulary_is_lower_case(spark: SparkSession) -> None:
    lines = {
        "padded": line(
            "orders", order_id="  O-1 ", product_name=" Desk  Lamp ", category=" HOME ", status="SHIPPED "
        ),
        "blank": line("orders", order_id="   ", product_name="", category=" ", status=""),
        "null": line("orders", order_id=None, product_name=None, category=None, status=None),
        "missing": b'{"customer_id": "C-1"}',
        "typed": line("orders", order_id=17, product_name=True, category="ÖL", status="Shipped"),
        "nested": line("orders", order_id=[1, "x"], product_name={"en": "Lamp"}),
    }
    nothing = (None, None, None, None)
    assert parsed(spark, ORDERS, lines, "order_id", "product_name", "category", "status") == {
        "padded": ("O-1", "Desk  Lamp", "home", "shipped"),
        "blank": nothing,
        "null": nothing,
        "missing": nothing,
        "typed": ("17", "true", "öl", "shipped"),
        "nested": ('[1,"x"]', '{"en":"Lamp"}', "home", "shipped"),
    }


# Lines ------------------------------------------------------------------------------------------------------


def test_a_line_is_one_json_object_or_no_record(spark: SparkSession) -> None:
    one, two = '{"order_id": "1"}', '{"order_id": "2"}'
    records = {one: "1", f"  {one} \r": "1", "{}": None, '{"order_id": null}': None}
    others = [
        "",
        "   ",
        "\r",
        one[:-1],
        one[:5],
        f"{one}{two}",
        f"{one} {two}",
        f"{one},{two}",
        f"{one},",
        f"{one} and more",
        f"[{one}]",
        f"[{one},{two}]",
        "[]",
        "]",
        "}",
        "null",
        "true",
        "12",
        '"text"',
        "order_id=1",
        '{order_id: "1"}',
        '{"order_id": "1" "quantity": 2}',
        '{"order_id": "1\x00"}',
    ]
    lines = {text: text.encode() for text in [*records, *others]}
    assert parsed(spark, ORDERS, lines, "is_json", "order_id") == {
        **{text: (True, order_id) for text, order_id in records.items()},
        **dict.fromkeys(others, (False, None)),
    }


def test_a_bracket_does_not_hide_what_follows_an_object(spark: SparkSession) -> None:
    lines = {text: text.encode() for text in ('{"order_id": "1"}]', '{"order_id": "1"}],{"order_id": "2"}')}
    assert parsed(spark, ORDERS, lines, "is_json") == dict.fromkeys(lines, False)


def test_bytes_that_are_not_utf8_are_flagged_and_kept(spark: SparkSession) -> None:
    lines = {
        "utf8": '{"order_id": "1", "product_name": "Gl\u00fchbirne \U0001f4a1"}'.encode(),
        "latin1": '{"order_id": "1", "product_name": "Gl\u00fchbirne"}'.encode("latin-1"),
        "cut": '{"order_id": "1", "product_name": "\U0001f4a1'.encode()[:-1],
    }
    found = parsed(spark, ORDERS, lines, "is_utf8", "is_json", "order_id", "product_name", "raw_line")
    assert {name: bytes(values[-1]) for name, values in found.items()} == lines
    assert {name: values[:-1] for name, values in found.items()} == {
        "utf8": (True, True, "1", "Gl\u00fchbirne \U0001f4a1"),
        "latin1": (False, True, "1", "Gl\ufffdhbirne"),
        "cut": (False, False, None, None),
    }


def test_unexpected_columns_are_named_in_order(spark: SparkSession) -> None:
    lines = {
        "none": line("orders"),
        "some": line("orders", zeta=1, alpha=None, Order_ID="O-9", nested={"order_id": 1}),
        "no record": b'{"zeta": 1',
        "twice": b'{"zeta": 1, "zeta": 2, "order_id": "first", "order_id": "second"}',
    }
    assert parsed(spark, ORDERS, lines, "unexpected_columns", "order_id", "is_json") == {
        "none": ([], "O-1", True),
        "some": (["Order_ID", "alpha", "nested", "zeta"], "O-1", True),
        "no record": ([], None, False),
        "twice": (["zeta"], "first", True),
    }


def test_the_hash_of_a_record_is_of_its_fields_as_delivered(spark: SparkSession) -> None:
    good = GOOD["orders"]
    same = {
        "plain": line("orders"),
        "reordered": json.dumps(dict(reversed(good.items()))).encode(),
        "spaced": json.dumps(good, indent=1).replace("\n", "").encode(),
        "with more": line("orders", extra=1),
    }
    different = {name: line("orders", **{name: "other"}) for name in good}
    different["as delivered, not as typed"] = line("orders", status="SHIPPED")
    hashes = parsed(spark, ORDERS, same | different, "record_hash")
    assert len({hashes[name] for name in same}) == 1
    assert len(set(hashes.values())) == 1 + len(different)


# One per key ------------------------------------------------------------------------------------------------


def test_the_newest_record_of_an_order_stays(spark: SparkSession) -> None:
    """By when its record was made, then by its status, then by content; the file decides last."""
    schema = (
        "order_id string, order_timestamp timestamp, record_hash bigint, source_file string, status string"
    )
    early, late = "2024-01-01T00:00:00", "2024-01-02T00:00:00"
    rows = [
        ("one", early, 9, "b", "pending"),
        ("by time", late, 1, "a", "shipped"),
        ("by time", early, 9, "b", "pending"),
        ("by status", late, 1, "a", "delivered"),
        ("by status", late, 9, "b", "shipped"),
        ("by content", late, 2, "a", "shipped"),
        ("by content", late, 1, "b", "shipped"),
        ("by file", late, 1, "a", "shipped"),
        ("by file", late, 1, "b", "shipped"),
    ]
    texts = spark.createDataFrame(rows, schema.replace("timestamp timestamp", "timestamp string")).coalesce(1)
    records = texts.withColumn("order_timestamp", F.to_timestamp("order_timestamp"))
    derived = {name: F.expr(formula) for name, formula in ORDERS.derived if name in ORDERS.sequence_by}
    records = records.withColumns({"line_hash": F.lit(1), "updated_at": F.lit(None).cast("timestamp")})
    records = records.withColumns(derived)
    result = latest_per_key(records, ORDERS)
    assert result.columns == records.columns
    chosen = result.selectExpr("order_id", "date_format(order_timestamp, 'dd')", "record_hash", "source_file")
    assert {row[0]: tuple(row[1:]) for row in chosen.collect()} == {
        "one": ("01", 9, "b"),
        "by time": ("02", 1, "a"),
        "by status": ("02", 1, "a"),
        "by content": ("02", 2, "a"),
        "by file": ("02", 1, "b"),
    }


def test_the_helper_lines_are_good_ones() -> None:
    assert {entity: tuple(record) for entity, record in GOOD.items()} == {
        entity.name: entity.field_names for entity in (ORDERS, CUSTOMER_PROFILES, CUSTOMER_ACTIVITY)
    }
    assert INGESTED_AT.isoformat() == "2024-05-01T12:00:00+00:00"

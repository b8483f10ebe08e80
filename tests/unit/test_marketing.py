"""Consents that are granted and households, worked out by hand."""

from __future__ import annotations

from datetime import timedelta

from pyspark.sql import SparkSession

from ecommerce_lakehouse.transforms.marketing import granted_consents, household_members
from tests.unit.shop import DAY_ONE

CONSENTS = (
    "consent_id string, customer_id string, channel string, status string, updated_at timestamp, "
    "is_refusal boolean, record_hash bigint, source_file string, line_hash bigint"
)


def test_only_a_grant_in_the_newest_record_of_a_customer_and_channel_counts(spark: SparkSession) -> None:
    said = [
        # customer, channel, status, day
        ("c1", "email", "granted", 1), ("c1", "sms", "withdrawn", 1), ("c1", "push", "unknown", 1),
        ("c2", "email", None, 1), ("c2", "sms", "yes", 1),
        # Two ids of one customer and channel: the newer one counts, and of two equally new the refusal.
        ("c3", "email", "granted", 1), ("c3", "email", "withdrawn", 2),
        ("c3", "sms", "withdrawn", 1), ("c3", "sms", "granted", 2),
        ("c4", "push", "granted", 1), ("c4", "push", None, 1), ("c4", "email", "granted", 1),
        ("c4", "email", "granted", 2),
    ]  # fmt: skip
    rows = [
        (str(n), customer, channel, status, DAY_ONE + timedelta(days=day), status != "granted", -n, "f", n)
        for n, (customer, channel, status, day) in enumerate(said)
    ]
    found = granted_consents(spark.createDataFrame(rows, CONSENTS).coalesce(1))
    assert found.columns == ["customer_id", "channel", "granted_at"]
    days = found.selectExpr("customer_id", "channel", "unix_seconds(granted_at) AS at").collect()
    first = int(DAY_ONE.timestamp())
    assert sorted((*row[:2], (row["at"] - first) // 86_400) for row in days) == [
        ("c1", "email", 1), ("c3", "sms", 2), ("c4", "email", 2),
    ]  # fmt: skip


def test_a_member_has_the_name_and_country_of_a_household_that_is_known(spark: SparkSession) -> None:
    members = spark.createDataFrame(
        [("c1", "h1", "owner"), ("c2", "h1", "child"), ("c3", "h2", "owner"), ("c4", None, "adult")],
        "customer_id string, household_id string, role string",
    )
    households = spark.createDataFrame(
        [("h1", "Rowan household", "DE"), ("h3", "Hazel household", "FR")],
        "household_id string, name string, country string",
    )
    found = household_members(members, households)
    assert found.columns == ["household_id", "customer_id", "household_name", "role", "country"]
    assert sorted(tuple(row) for row in found.collect()) == [
        ("h1", "c1", "Rowan household", "owner", "DE"),
        ("h1", "c2", "Rowan household", "child", "DE"),
    ]

"""Who may be written to, and who lives together: `granted_consents`, `household_members`."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.domain.entities import GRANTED, MARKETING_CONSENTS
from ecommerce_lakehouse.transforms.ingest import sequence


def granted_consents(consents: DataFrame) -> DataFrame:
    """The channels on which each customer may be written to; one row per customer and channel.

    In: silver consents. Out: `customer_id` STRING; `channel` STRING, one of CONSENT_CHANNELS; `granted_at`
    TIMESTAMP: when the newest record of this customer and channel, which grants it, was made.

    There is no row if that record says anything else than `granted`, or nothing, or if there is none. Should
    two `consent_id`s be of one customer and channel, the newest record of both decides; of records that were
    made at the same time, one that does not grant.
    """
    newest = F.max_by(F.struct("status", "updated_at"), sequence(MARKETING_CONSENTS)).alias("newest")
    return (
        consents.groupBy("customer_id", "channel")
        .agg(newest)
        .where(F.col("newest.status") == GRANTED)
        .select("customer_id", "channel", F.col("newest.updated_at").alias("granted_at"))
    )


def household_members(members: DataFrame, households: DataFrame) -> DataFrame:
    """Every customer who is in a household that is known; one row per `customer_id`.

    In: silver household members and households. Out: `household_id`, `customer_id`, `household_name` STRING;
    `role` STRING, one of HOUSEHOLD_ROLES; `country` STRING: the household's.
    """
    known = households.select("household_id", F.col("name").alias("household_name"), "country")
    return members.join(known, "household_id").select(
        "household_id", "customer_id", "household_name", "role", "country"
    )

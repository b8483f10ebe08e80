"""What a sync reads: the versions of its tables, people with consent, and keys that can have changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.activation.sync.declarations import AnySync, SyncError, quoted
from ecommerce_lakehouse.activation.sync.messages import key_text
from ecommerce_lakehouse.activation.sync.tables import SUPPRESSED, SyncTables
from ecommerce_lakehouse.transforms.erased import is_erased

if TYPE_CHECKING:
    import pyarrow as pa

CONSENTS = "gold_marketing_consents"
"""Columns `customer_id` and `channel`: only those who granted it are in it."""

MOST_CHANGED = 200_000
"""With more changed keys, comparing every row is no slower."""


@dataclass(frozen=True)
class Source:
    """A sync's table with its rows, before `where`, of people who may be written to.

    `versions` are those of all the tables that decide which rows these are, by name, as `<id>@<version>`.
    """

    rows: DataFrame
    versions: dict[str, str]
    change_feed: bool


def source_of(spark: SparkSession, tables: SyncTables, sync: AnySync) -> Source:
    """What the sync reads. Raises SyncError for a table that does not exist."""
    names = [sync.table, *([CONSENTS] if sync.consent else [])]
    versions, change_feed = {}, False
    for name in names:
        found = tables.version(name)
        if found is None:
            raise SyncError(
                f"sync '{sync.name}': there is no table {tables.reference(name).replace('`', '')} yet; "
                "run the pipeline that makes it",
                location=sync.location,
            )
        versions[name] = str(found)
        change_feed = found.change_feed if name == sync.table else change_feed
    rows = spark.table(tables.reference(sync.table))
    if sync.person is not None:
        person = F.col(quoted(sync.person)).cast("string")
        if sync.consent:
            granted = (
                spark.table(tables.reference(CONSENTS))
                .where(F.col("channel") == sync.consent)
                .select(F.col("customer_id").alias("_granted"))
            )
            rows = rows.join(granted, person == F.col("_granted"), "left_semi")
        if (suppressed := tables.version(SUPPRESSED)) is not None:
            versions[SUPPRESSED] = str(suppressed)
            refused = spark.table(tables.reference(SUPPRESSED)).select(F.col("person").alias("_refused"))
            rows = rows.join(F.broadcast(refused), person == F.col("_refused"), "left_anti")
        if tables.erased is not None:  # their rows may be in the table until it is computed again
            versions["people erased"] = str(len(tables.erased.hashes))
            rows = rows.where(~is_erased(person, tables.erased))
    return Source(rows, versions, change_feed)


def changed_keys(
    spark: SparkSession, tables: SyncTables, sync: AnySync, source: Source, before: dict[str, str]
) -> pa.Table | None:
    """The keys of rows that changed since the versions `before`, as `key`; None if any can have changed.

    That is known where only the sync's table has changed, and it has a change data feed. A table that a view
    overwrites has none.
    """
    if before.keys() != source.versions.keys():
        return None
    others = source.versions.keys() - {sync.table}
    if any(before[name] != source.versions[name] for name in others):
        return None
    (old_id, old), (new_id, new) = (
        value.rsplit("@", 1) for value in (before[sync.table], source.versions[sync.table])
    )
    if old_id != new_id or int(new) < int(old):
        return None
    if old == new:
        return _no_keys()
    if not source.change_feed:
        return None
    feed = (
        spark.read.option("readChangeFeed", "true")
        .option("startingVersion", int(old) + 1)
        .option("endingVersion", int(new))
        .table(tables.reference(sync.table))
    )
    keys = feed.select(key_text(sync).alias("key")).distinct()
    try:
        found = keys.limit(MOST_CHANGED + 1).toArrow()
    except PySparkException:
        # VACUUM removed a part of it, or the schema changed: every row is compared.
        return None
    # Rows without a key are found, and rejected, where all rows are compared.
    return None if found.num_rows > MOST_CHANGED or found["key"].null_count else found


def _no_keys() -> pa.Table:
    """No row can have changed."""
    import pyarrow as pa

    return pa.table({"key": pa.array([], pa.string())})

"""Which rows are due: `differences` compares a table's rows with what was accepted, in Spark."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.activation.sync.declarations import LIMITS, AnySync, Track
from ecommerce_lakehouse.activation.sync.messages import (
    ENVELOPE_BYTES,
    Mapped,
    delete_message,
)

DUE = ("insert", "update", "delete")
DELETED = "deleted"
"""In place of a fingerprint, that of a row that is gone."""


def differences(
    current: Mapped, state: DataFrame | None, sync: AnySync, *, replay: bool = False
) -> DataFrame:
    """Every key of the table or of the state, with what is to be done.

    Args:
        current: The table's rows, of which no two have the same key, and none has no key.
        state: `key`, `person`, `fingerprint` of what was accepted last (NULL if nothing was), `deliveries`,
            `deleted` BOOLEAN, `rejected`, the fingerprint that was rejected since then; None if it is empty.
        sync: Its declaration.
        replay: What was rejected is due again.

    Returns:
        `key`, `person`, `operation`, `fingerprint`, `deliveries` INT, how many were accepted before, `live`
        BOOLEAN, whether Customer.io has it, `problem`, and what the message is made of. The operations:
        `insert`, `update`, `delete` are due; `held` is gone, and the sync does not delete; `unchanged`;
        `refused` cannot be sent, `problem` says why; `rejected`, as it was rejected before; `none`.
    """
    if state is None:
        joined = current.frame.withColumns(
            {
                "_person": F.lit(None).cast("string"),
                "_fingerprint": F.lit(None).cast("string"),
                "deliveries": F.lit(0),
                "_deleted": F.lit(False),
                "_rejected": F.lit(None).cast("string"),
            }
        )
    else:
        before = state.select(
            "key",
            F.col("person").alias("_person"),
            F.col("fingerprint").alias("_fingerprint"),
            "deliveries",
            F.col("deleted").alias("_deleted"),
            F.col("rejected").alias("_rejected"),
        )
        joined = current.frame.join(before, "key", "full_outer")
    return _with_operation(joined, sync, replay)


def _with_operation(joined: DataFrame, sync: AnySync, replay: bool) -> DataFrame:
    gone = F.col("fingerprint").isNull()
    live = F.col("_fingerprint").isNotNull() & ~F.col("_deleted")
    again = F.lit(replay)
    rejected = F.col("_rejected").eqNullSafe(F.col("fingerprint")) & ~again
    known = F.col("_fingerprint").isNotNull() if isinstance(sync, Track) else live
    same = known if isinstance(sync, Track) else live & (F.col("_fingerprint") == F.col("fingerprint"))
    operation = (
        F.when(gone & ~live, "none")
        .when(gone & (F.col("_rejected") == DELETED) & ~again, "rejected")
        .when(gone, "none" if isinstance(sync, Track) else "delete" if sync.deletes else "held")
        .when(same & F.col("problem").isNull(), "unchanged")
        .when(rejected, "rejected")
        .when(F.col("problem").isNotNull(), "refused")
        .when(live, "update")
        .otherwise("insert")
    )
    return joined.withColumns(
        {
            "operation": operation,
            "person": F.coalesce("person", "_person"),
            "fingerprint": F.coalesce("fingerprint", F.lit(DELETED)),
            "deliveries": F.coalesce("deliveries", F.lit(0)),
            "live": F.coalesce(live, F.lit(False)),
        }
    ).drop("_person", "_fingerprint", "_deleted", "_rejected")


def with_messages(found: DataFrame, current: Mapped, sync: AnySync) -> DataFrame:
    """The rows of `differences` with the messages of those that are due.

    Returns:
        `key`, `person`, `operation`, `fingerprint`, `deliveries`, `live`, `type`, `message` STRING, its JSON
        without messageId and type, `bytes` INT, its length when it is sent, and `problem`, why the row is
        refused. A message that is too long is refused.
    """
    is_delete = F.col("operation") == "delete"
    message = F.when(is_delete, delete_message(sync)).when(F.col("operation").isin(*DUE), current.message)
    envelope = F.when(is_delete, ENVELOPE_BYTES["track"]).otherwise(ENVELOPE_BYTES[current.type])
    long = F.col("bytes") > LIMITS.call_bytes
    return (
        found.select(
            "key",
            "person",
            "operation",
            "fingerprint",
            "deliveries",
            "live",
            F.when(is_delete, "track").otherwise(current.type).alias("type"),
            message.alias("message"),
            F.when(F.col("operation") == "refused", F.col("problem")).alias("problem"),
            envelope.alias("_envelope"),
        )
        .withColumn("bytes", (F.octet_length("message") + F.col("_envelope") - 1).cast("int"))
        .withColumns(
            {
                "problem": F.when(long, f"the message has more than {LIMITS.call_bytes} bytes").otherwise(
                    F.col("problem")
                ),
                "operation": F.when(long, "refused").otherwise(F.col("operation")),
            }
        )
        .drop("_envelope")
    )

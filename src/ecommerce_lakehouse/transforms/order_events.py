"""What happened to each order, as events that are sent once: `order_events`.

An order's records, in silver's order of records, say in which state it was: it earned revenue with some
content, or it was cancelled, or returned. Each change of state is an event. A record that only repeats the
state before it is none, and neither is a status that changes nothing of this, as from pending to shipped.

Records arrive in any sequence, and arrival decides nothing: a late record gives the event that it would have
given in time. No event may then be sent again under another key. So a key has no time, which a late record
would change that says the same a little earlier. A key says into which state the order came, and for which
time. One more record, whenever it was made, never lowers how often that was: it only adds keys.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.domain.entities import ORDERS
from ecommerce_lakehouse.transforms.ingest import sequence
from ecommerce_lakehouse.transforms.sales import is_purchase

COMPLETED, UPDATED = "Order Completed", "Order Updated"
CANCELLED, REFUNDED = "Order Cancelled", "Order Refunded"
ORDER_EVENTS = (COMPLETED, UPDATED, CANCELLED, REFUNDED)
# What is sent of an order beside its id; `total` follows from these.
CONTENT = ("customer_id", "product_id", "product_name", "category", "price", "quantity")


def order_events(records: DataFrame) -> DataFrame:
    """The events of each order; one row per `order_event_id`.

    In: the valid records of orders. Out:
    - `order_event_id` STRING: see below; `order_id`, `customer_id` STRING;
    - `event` STRING: `Order Completed`, the first record whose status earns revenue; `Order Updated`, a later
      one that earns revenue and whose content differs from that of the event before it, or which earns again
      after a cancellation or a return; `Order Cancelled`; `Order Refunded`, a return;
    - `occurred_at` TIMESTAMP: when the record was made, which is the first one of its state;
    - `product_id`, `product_name`, `category` STRING, `price` DECIMAL(10,2), `quantity` INT, `total`
      DECIMAL(18,2), price x quantity: as that record has them.

    An order that has never earned revenue has no `Order Completed`; its cancellation or return is an event.

    Keys: `<order_id>:completed`; `<order_id>:cancelled:<n>` and `<order_id>:refunded:<n>` for the n-th time;
    `<order_id>:updated:<content>:<n>` for the n-th update to this content, of which the key has a hash. More
    records of an order, whenever they were made, add keys and take none away. The row of a key may change,
    though: if a record from before the completion arrives late, that one is the completion from then on, and
    the record that was it is an update.
    """
    in_order = Window.partitionBy("order_id").orderBy("_sequence")
    alike = Window.partitionBy("order_id", "_earns").orderBy("_sequence")
    of_state = Window.partitionBy("order_id", "event", "_state").orderBy("_sequence")
    state = F.when(is_purchase(), _content_hash()).otherwise(F.col("status"))
    is_first = F.col("_earns") & (F.row_number().over(alike) == 1)
    return (
        records.select(
            "order_id",
            *CONTENT,
            F.col("total_order_value").alias("total"),
            F.col("recorded_at").alias("occurred_at"),
            is_purchase().alias("_earns"),
            state.alias("_state"),
            sequence(ORDERS).alias("_sequence"),
        )
        .withColumn("_before", F.lag("_state").over(in_order))
        .where("NOT (_state <=> _before)")
        .withColumn("_is_first", is_first)
        .withColumn("event", _event())
        .withColumn("_time", F.row_number().over(of_state))
        .select(
            _key().alias("order_event_id"),
            "order_id",
            "customer_id",
            "event",
            "occurred_at",
            *CONTENT[1:],
            "total",
        )
    )


def _event() -> Column:
    return (
        F.when(F.col("_is_first"), COMPLETED)
        .when(F.col("_earns"), UPDATED)
        .when(F.col("_state") == "cancelled", CANCELLED)
        .otherwise(REFUNDED)
    )


def _key() -> Column:
    event, time = F.col("event"), F.col("_time").cast("string")
    return (
        F.when(event == COMPLETED, F.concat_ws(":", "order_id", F.lit("completed")))
        .when(event == UPDATED, F.concat_ws(":", "order_id", F.lit("updated"), "_state", time))
        .when(event == CANCELLED, F.concat_ws(":", "order_id", F.lit("cancelled"), time))
        .otherwise(F.concat_ws(":", "order_id", F.lit("refunded"), time))
    )


def _content_hash() -> Column:
    """64 bits of SHA-256 as hex digits, over each value with its length: no two contents read the same.

    A key is for ever, so its hash depends on nothing that another release of Spark may do otherwise.
    """
    texts = [F.col(name).cast("string") for name in CONTENT]
    parts = [
        F.coalesce(F.concat(F.length(text).cast("string"), F.lit(":"), text), F.lit("-")) for text in texts
    ]
    return F.left(F.sha2(F.concat(*parts), 256), F.lit(16))

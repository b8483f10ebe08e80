"""What was known of orders and sessions, and when: `orders_as_known`, `activity_as_known`.

Records of one key arrive in any sequence, and each says when it was made. From then until the next one was
made, in silver's order of records, it is what was known. So a snapshot sees an order as it was known then,
even if it has been cancelled or corrected since.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.domain.entities import CUSTOMER_ACTIVITY, ORDERS, Entity
from ecommerce_lakehouse.transforms.ingest import sequence
from ecommerce_lakehouse.transforms.sales import is_purchase


def orders_as_known(records: DataFrame) -> DataFrame:
    """Every state of an order that features distinguish, with the time in which it was the known state.

    In: the valid records of orders. Out: `order_id`, `customer_id`, `product_id`, `category`, `quantity`,
    `total_order_value`, `order_timestamp`; `is_purchase` BOOLEAN, whether its status earns revenue; and

    - `known_from` TIMESTAMP: when the record was made; `known_until` TIMESTAMP: when the next one with
      a different state was made, NULL for the current state;
    - `newest_at` TIMESTAMP: when the order's newest record was made, even if its state is the same.
    """
    columns = ("customer_id", "product_id", "category", "quantity", "total_order_value", "order_timestamp")
    return _as_known(
        records, ORDERS, {name: F.col(name) for name in columns} | {"is_purchase": is_purchase()}
    )


def activity_as_known(records: DataFrame) -> DataFrame:
    """Every state of a session, as in `orders_as_known`; in: the valid records of customer activity.

    Out: `session_id`, `customer_id`, `session_timestamp`, `session_duration_seconds`, `page_views`,
    `cart_adds`, `device_type`, `known_from`, `known_until`, `newest_at`.
    """
    columns = [name for name in CUSTOMER_ACTIVITY.field_names if name != CUSTOMER_ACTIVITY.key]
    return _as_known(records, CUSTOMER_ACTIVITY, {name: F.col(name) for name in columns})


def _as_known(records: DataFrame, entity: Entity, columns: Mapping[str, Column]) -> DataFrame:
    recorded_at = entity.sequence_by[0]
    in_order = Window.partitionBy(entity.key).orderBy("_sequence")
    of_key = Window.partitionBy(entity.key)
    state = F.struct(*columns)
    return (
        records.select(
            entity.key,
            *[value.alias(name) for name, value in columns.items()],
            F.col(recorded_at).alias("known_from"),
            sequence(entity).alias("_sequence"),
        )
        .withColumns(
            {
                "_repeats": state.eqNullSafe(F.lag(state).over(in_order)),
                "newest_at": F.max("known_from").over(of_key),
            }
        )
        .where("NOT _repeats")
        .withColumn("known_until", F.lead("known_from").over(in_order))
        .select(entity.key, *columns, "known_from", "known_until", "newest_at")
    )

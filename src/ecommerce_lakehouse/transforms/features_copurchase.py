"""Pairs of products that the same customers buy: `product_copurchase`."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.transforms.features_grid import (
    Measures,
    SnapshotGrid,
    as_of,
    changes,
    events_at,
    last_snapshot,
    ratio,
    snapshots,
)
from ecommerce_lakehouse.transforms.features_purchases import purchases


def product_copurchase(orders: DataFrame, grid: SnapshotGrid) -> DataFrame:
    """For pairs of products, how many customers bought both before `as_of`, and measures of association.

    In: orders as known. Out: one row per pair with `product_id` < `other_product_id` (look a pair up by the
    smaller id first) and closed snapshot `as_of` at which the pair gained or lost customers. Between its rows
    a pair's count is unchanged, so a point-in-time lookup takes the latest row at or before its time. All
    columns of a row are as of its own `as_of`, from the purchases before it as they were known then:

    - `customers_both` BIGINT >= 0: customers who bought both, in one order or in several;
    - `customers_product`, `customers_other` BIGINT: customers who bought the one, and the other;
      `customers` BIGINT: customers who bought anything;
    - `support` DOUBLE in [0, 1]: customers_both / customers;
    - `confidence` DOUBLE in [0, 1]: customers_both / customers_product, the chance that a buyer of
      `product_id` also bought the other; `reverse_confidence`: customers_both / customers_other;
    - `lift` DOUBLE >= 0: customers_both x customers / (customers_product x customers_other); 1 if the two are
      bought independently, above 1 if they are bought together more often.

    Every pair of every customer counts: a customer with n products adds n (n - 1) / 2 pairs, once.
    Source: support and confidence, Agrawal, Imielinski and Swami, "Mining Association Rules", SIGMOD 1993;
    lift, Brin, Motwani, Ullman and Tsur, SIGMOD 1997 (there: interest); baskets are customers' histories.
    """
    last = last_snapshot(grid, (orders, "order_timestamp"))
    bought = (
        events_at(purchases(orders), "order_timestamp", grid)
        # Without this filter, each join below would add it and shuffle the orders again.
        .where("customer_id IS NOT NULL AND product_id IS NOT NULL")
        .repartition("customer_id")
    )
    buyers = _customers(bought, ["customer_id", "product_id"], last, grid)
    count = Measures(sums={"buyers": F.lit(1)})
    of_product = snapshots(_gained(buyers, ["product_id"], "buyers"), "product_id", count, last, grid)
    # The whole shop is one more product, which everybody buys who buys anything.
    shop = _customers(bought, ["customer_id"], last, grid).withColumn("shop", F.lit(True))
    of_shop = snapshots(_gained(shop, ["shop"], "buyers"), "shop", count, last, grid)

    def buyers_of(key: str, name: str) -> DataFrame:
        return of_product.select(F.col("product_id").alias(key), "snapshot", F.col("buyers").alias(name))

    return (
        _pairs(buyers)
        .join(buyers_of("product_id", "customers_product"), ["product_id", "snapshot"])
        .join(buyers_of("other_product_id", "customers_other"), ["other_product_id", "snapshot"])
        .join(of_shop.select("snapshot", F.col("buyers").alias("customers")), "snapshot")
        .select(
            "product_id",
            "other_product_id",
            as_of(),
            "customers_both",
            "customers_product",
            "customers_other",
            "customers",
            ratio("customers_both", "customers").alias("support"),
            ratio("customers_both", "customers_product").alias("confidence"),
            ratio("customers_both", "customers_other").alias("reverse_confidence"),
            ratio(
                F.col("customers_both") * F.col("customers"),
                F.col("customers_product") * F.col("customers_other"),
            ).alias("lift"),
        )
    )


def _customers(bought: DataFrame, keys: list[str], last: DataFrame, grid: SnapshotGrid) -> DataFrame:
    """The spans in which each customer is a buyer: `keys`, `snapshot`, `until` (NULL without an end)."""
    in_order = Window.partitionBy(*keys).orderBy("snapshot")
    orders = F.sum("orders").over(in_order.rowsBetween(Window.unboundedPreceding, Window.currentRow))
    return (
        changes(bought, keys, Measures(sums={"orders": F.lit(1)}), last, grid)
        .select(*keys, "snapshot", (orders > 0).alias("_buyer"))
        .withColumn("_before", F.coalesce(F.lag("_buyer").over(in_order), F.lit(False)))
        .where("_buyer <> _before")
        .withColumn("until", F.lead("snapshot").over(in_order))
        .where("_buyer")
        .drop("_buyer", "_before")
    )


def _gained(spans: DataFrame, keys: list[str], name: str) -> DataFrame:
    """How many spans begin minus how many end, per key and snapshot, if not zero."""
    ends = [
        F.struct(F.col(at).alias("at"), F.lit(by).alias("by")) for at, by in (("snapshot", 1), ("until", -1))
    ]
    return (
        spans.select(*keys, F.explode(F.array(*ends)).alias("end"))
        .where("end.at IS NOT NULL")
        .groupBy(*keys, F.col("end.at").alias("snapshot"))
        .agg(F.sum("end.by").alias(name))
        .where(F.col(name) != 0)
    )


def _pairs(buyers: DataFrame) -> DataFrame:
    """`customers_both` per pair, at the snapshots at which it changed."""
    # Arrays of a customer's spans, because a join of the spans with themselves would compute them twice.
    span = F.struct("product_id", "snapshot", "until")
    both = (
        buyers.groupBy("customer_id")
        .agg(F.collect_list(span).alias("spans"))
        .select("spans", F.explode("spans").alias("one"))
        .select("one", F.explode("spans").alias("other"))
        .where("one.product_id < other.product_id")
        .select(
            F.col("one.product_id").alias("product_id"),
            F.col("other.product_id").alias("other_product_id"),
            F.greatest("one.snapshot", "other.snapshot").alias("snapshot"),
            F.least("one.until", "other.until").alias("until"),
        )
        .where("until IS NULL OR snapshot < until")
    )
    so_far = (
        Window.partitionBy("product_id", "other_product_id")
        .orderBy("snapshot")
        .rowsBetween(Window.unboundedPreceding, Window.currentRow)
    )
    return _gained(both, ["product_id", "other_product_id"], "gained").select(
        "product_id", "other_product_id", "snapshot", F.sum("gained").over(so_far).alias("customers_both")
    )

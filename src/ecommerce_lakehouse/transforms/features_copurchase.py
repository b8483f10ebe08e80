"""Which products the same customers buy: `product_copurchase`."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.transforms.features_grid import (
    Measures,
    SnapshotGrid,
    as_of,
    events_at,
    last_snapshot,
    ratio,
    snapshots,
)
from ecommerce_lakehouse.transforms.features_purchases import purchases


def product_copurchase(orders: DataFrame, grid: SnapshotGrid) -> DataFrame:
    """For pairs of products, how many customers bought both before `as_of`, and what that says.

    In: silver_orders. Out: one row per pair with `product_id` < `other_product_id` (look a pair up by the
    smaller id first) and closed snapshot `as_of` at which the pair gained a customer. Between its rows a
    pair's count is unchanged, so a point-in-time lookup takes the latest row at or before its time; all
    columns of a row are as of its own `as_of`, from purchases before it:

    - `customers_both` BIGINT >= 1: customers who bought both, in one order or in several;
    - `customers_product`, `customers_other` BIGINT: customers who bought the one, and the other;
      `customers` BIGINT: customers who bought anything;
    - `support` DOUBLE in (0, 1]: customers_both / customers;
    - `confidence` DOUBLE in (0, 1]: customers_both / customers_product, the chance that a buyer of
      `product_id` also bought the other; `reverse_confidence`: customers_both / customers_other;
    - `lift` DOUBLE > 0: customers_both x customers / (customers_product x customers_other); 1 where the two
      are bought independently, above 1 where they go together.

    Every pair of every customer counts: a customer with n products adds n (n - 1) / 2 pairs, once.
    Source: support and confidence, Agrawal, Imielinski and Swami, "Mining Association Rules", SIGMOD 1993;
    lift, Brin, Motwani, Ullman and Tsur, SIGMOD 1997 (there: interest); baskets are customers' histories.
    """
    last = last_snapshot(grid, (orders, "order_timestamp"))
    bought = (
        events_at(purchases(orders), "order_timestamp", grid)
        .select("customer_id", "product_id", "snapshot")
        # Without this, each join below adds it by itself and shuffles the orders again.
        .where("customer_id IS NOT NULL AND product_id IS NOT NULL AND snapshot IS NOT NULL")
        .repartition("customer_id")
        .groupBy("customer_id", "product_id")
        .agg(F.min("snapshot").alias("snapshot"))
    )
    # The shop is one more key beside the products: NULL, which no product has.
    of_shop = bought.groupBy("customer_id").agg(F.min("snapshot").alias("snapshot"))
    first_buys = bought.select("product_id", "snapshot").unionAll(
        of_shop.select(F.lit(None).cast("string"), "snapshot")
    )
    buyers = snapshots(first_buys, "product_id", Measures(sums={"buyers": F.lit(1)}), last, grid)

    def buyers_of(key: str, name: str) -> DataFrame:
        return buyers.select(F.col("product_id").alias(key), "snapshot", F.col("buyers").alias(name))

    return (
        _pairs(bought, last, grid)
        .join(buyers_of("product_id", "customers_product"), ["product_id", "snapshot"])
        .join(buyers_of("other_product_id", "customers_other"), ["other_product_id", "snapshot"])
        .join(buyers_of("shop", "customers").where(F.col("shop").isNull()), "snapshot")
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


def _pairs(bought: DataFrame, last: DataFrame, grid: SnapshotGrid) -> DataFrame:
    """`customers_both` per pair, at the closed snapshots at which it grew."""
    other = bought.select(
        "customer_id",
        F.col("product_id").alias("other_product_id"),
        F.col("snapshot").alias("other_snapshot"),
    )
    gained = (
        bought.join(other, "customer_id")
        .where(F.col("product_id") < F.col("other_product_id"))
        .select("product_id", "other_product_id", F.greatest("snapshot", "other_snapshot").alias("snapshot"))
        .groupBy("product_id", "other_product_id", "snapshot")
        .agg(F.count("*").alias("gained"))
    )
    so_far = (
        Window.partitionBy("product_id", "other_product_id")
        .orderBy("snapshot")
        .rowsBetween(Window.unboundedPreceding, Window.currentRow)
    )
    return (
        gained.crossJoin(F.broadcast(last))
        .where(F.col("snapshot") <= F.col("last"))
        .select(
            "product_id", "other_product_id", "snapshot", F.sum("gained").over(so_far).alias("customers_both")
        )
    )

"""How products sell: popularity, price behaviour, lifecycle."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.transforms.sales import average_money, is_purchase, order_measures, share

TREND_DAYS = 28
GROWTH_FACTOR = 1.2
DECLINE_FACTOR = 0.8


def product_performance(orders: DataFrame, config: LakehouseConfig) -> DataFrame:
    """The performance of every product that was ordered; one row per `product_id`.

    In: silver orders. "Now" is the date of the newest order of any status. Out:
    - `product_id`; `product_name`, `category` of its newest order (of several at the same time the greatest);
    - `orders`, `units` BIGINT, `revenue` DECIMAL(28,2) of purchases; `cancelled_orders`, `returned_orders`
      BIGINT; all >= 0;
    - `buyers` BIGINT: distinct customers with a purchase, 0 to orders;
    - `popularity_score` DOUBLE >= 0: `config.popularity_buyer_weight` * buyers +
      `config.popularity_unit_weight` * units. Source: this shop's weighting of reach and volume;
    - `min_price`, `max_price`, `average_price` DECIMAL(10,2) over orders of any status, the average half up
      and not weighted by quantity: each order is one observation of the price;
    - `price_variance` DOUBLE >= 0: population variance of those prices, (n * sum(p^2) - sum(p)^2) / n^2, its
      sums exact decimals;
    - `price_stability` DOUBLE 0 to 1: max(0, 1 - coefficient of variation), the coefficient being standard
      deviation / mean (K. Pearson, 1896); 1 for a price that never changed;
    - `returns_rate` DOUBLE 0 to 1: returned_orders / (orders + returned_orders), 0 if nothing was sold;
    - `first_order_date`, `last_order_date` DATE of all orders;
    - `recent_units`, `previous_units` BIGINT: units purchased in the 28 days up to now, and in the 28 days
      before;
    - `lifecycle_stage`, the first that applies: Introduction (first order within the 28 recent days), Growth
      (recent > 1.2 * previous), Decline (recent < 0.8 * previous, or no unit in either), Maturity. Source:
      the four stages of T. Levitt, Exploit the Product Life Cycle (1965); the thresholds are this shop's.
    """
    newest = orders.agg(F.max("order_date").alias("newest_date"))
    aged = orders.crossJoin(F.broadcast(newest)).withColumn("age", F.date_diff("newest_date", "order_date"))
    return (
        _per_product(aged)
        .join(_buyers(orders), "product_id", "left")
        .withColumn("buyers", F.coalesce("buyers", F.lit(0)))
        .select(
            "product_id",
            "newest.product_name",
            "newest.category",
            "orders",
            "buyers",
            "units",
            "revenue",
            _popularity(config).alias("popularity_score"),
            "min_price",
            "max_price",
            average_money(F.col("price_sum"), F.col("observations"))
            .cast("decimal(10,2)")
            .alias("average_price"),
            "price_variance",
            _price_stability().alias("price_stability"),
            "cancelled_orders",
            "returned_orders",
            share(F.col("returned_orders"), F.col("orders") + F.col("returned_orders")).alias("returns_rate"),
            "first_order_date",
            "last_order_date",
            "recent_units",
            "previous_units",
            _lifecycle_stage().alias("lifecycle_stage"),
        )
    )


_SUMMED = {
    "orders": "bigint",
    "units": "bigint",
    "revenue": "decimal(28,2)",
    "cancelled_orders": "bigint",
    "returned_orders": "bigint",
    "observations": "bigint",
    "price_sum": "decimal(20,2)",
    "price_square_sum": "decimal(31,4)",
    "recent_units": "bigint",
    "previous_units": "bigint",
}


def _buyers(orders: DataFrame) -> DataFrame:
    """Distinct customers with a purchase, by `product_id`.

    Computed separately, because there are nearly as many pairs of product and customer as orders: only their
    two columns are shuffled, while everything else is summed before the shuffle.
    """
    pairs = orders.where(is_purchase()).select("product_id", "customer_id").distinct()
    return pairs.groupBy("product_id").agg(F.count("*").alias("buyers"))


def _per_product(aged: DataFrame) -> DataFrame:
    """The sums of each product, first by its names, so that the newest name is found among few rows."""
    price = F.col("price").cast("decimal(10,2)")
    recent = F.col("age") < TREND_DAYS
    previous = F.col("age").between(TREND_DAYS, 2 * TREND_DAYS - 1)
    per_name = aged.groupBy("product_id", "product_name", "category").agg(
        *order_measures(),
        F.count("*").alias("observations"),
        F.sum(price).alias("price_sum"),
        F.sum(price * price).alias("price_square_sum"),
        F.sum(F.when(recent & is_purchase(), F.col("quantity")).otherwise(0)).alias("recent_units"),
        F.sum(F.when(previous & is_purchase(), F.col("quantity")).otherwise(0)).alias("previous_units"),
        F.min(price).alias("min_price"),
        F.max(price).alias("max_price"),
        F.min("order_date").alias("first_order_date"),
        F.max("order_date").alias("last_order_date"),
        F.max("age").alias("oldest"),
        F.max("order_timestamp").alias("newest_at"),
    )
    n, total, squares = F.col("observations"), F.col("price_sum"), F.col("price_square_sum")
    return (
        per_name.groupBy("product_id")
        .agg(
            *[F.sum(name).cast(type_).alias(name) for name, type_ in _SUMMED.items()],
            *[F.min(name).alias(name) for name in ("min_price", "first_order_date")],
            *[F.max(name).alias(name) for name in ("max_price", "last_order_date", "oldest")],
            F.max(F.struct("newest_at", "product_name", "category")).alias("newest"),
        )
        .withColumn("price_variance", (n * squares - total * total).cast("double") / (n * n))
    )


def _popularity(config: LakehouseConfig) -> Column:
    return config.popularity_buyer_weight * F.col("buyers") + config.popularity_unit_weight * F.col("units")


def _price_stability() -> Column:
    mean = F.col("price_sum").cast("double") / F.col("observations")
    return F.greatest(1 - share(F.sqrt("price_variance"), mean), F.lit(0.0))


def _lifecycle_stage() -> Column:
    recent, previous = F.col("recent_units"), F.col("previous_units")
    return (
        F.when(F.col("oldest") < TREND_DAYS, "Introduction")
        .when(recent > GROWTH_FACTOR * previous, "Growth")
        .when((recent < DECLINE_FACTOR * previous) | (recent + previous == 0), "Decline")
        .otherwise("Maturity")
    )

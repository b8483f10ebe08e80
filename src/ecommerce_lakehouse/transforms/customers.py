"""Customers: segments, churn risk and lifetime value.

"Now" is the date of the newest order of any status, never the clock, so a rerun gives the same rows.
Purchases are orders whose status earns revenue.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.transforms.sales import MONEY, average_money, is_purchase, order_measures, share

# R and F scores from..to -> segment; every pair of scores is in exactly one cell.
RFM_GRID: tuple[tuple[int, int, int, int, str], ...] = (
    (5, 5, 4, 5, "Champions"),
    (3, 4, 4, 5, "Loyal Customers"),
    (4, 5, 2, 3, "Potential Loyalists"),
    (5, 5, 1, 1, "New Customers"),
    (4, 4, 1, 1, "Promising"),
    (3, 3, 3, 3, "Need Attention"),
    (3, 3, 1, 2, "About To Sleep"),
    (1, 2, 5, 5, "Cannot Lose Them"),
    (1, 2, 3, 4, "At Risk"),
    (1, 2, 1, 2, "Hibernating"),
)
NO_PURCHASE = "Prospect"
QUINTILE_CUTS = (0.2, 0.4, 0.6, 0.8)
FREQUENT_RETURNER_SHARE = 0.3
BULK_UNITS_PER_ORDER = 3
FREQUENCY_DAYS = 30
PREDICTION_DAYS = 365


def customer_segments(orders: DataFrame, customers: DataFrame, config: LakehouseConfig) -> DataFrame:
    """The segments of every customer who has a profile or an order; one row per `customer_id`.

    In: silver orders, silver customers. Out:
    - `customer_id`; `country`, `loyalty_tier`, `signup_date` of the profile, NULL without one;
    - `total_orders`, `total_units` BIGINT, `lifetime_value` DECIMAL(28,2): purchases, 0 without any;
      `average_order_value` DECIMAL(18,2); `cancelled_orders`, `returned_orders` BIGINT;
    - `first_order_date`, `last_order_date` DATE of purchases, NULL without any;
    - `recency_days` INT >= 0: newest order date - last_order_date, NULL without purchases;
    - `recency_score`, `frequency_score`, `monetary_score` INT, 1 to 5, and 0 without purchases: the quintile,
      among customers with a purchase, of last_order_date, total_orders and lifetime_value, 5 the best.
      score = 1 + number of the 20, 40, 60 and 80 % quantiles (linear interpolation) below the value; equal
      values get equal scores. Source: A. M. Hughes, Strategic Database Marketing (1994), with the quantile
      bins of pandas.qcut;
    - `rfm_score` INT 0 to 15: their sum;
    - `rfm_segment`: the usual grid of recency and frequency scores (RFM_GRID), Prospect without purchases;
    - `behavior_segment`, the first that applies: No Purchase; Frequent Returner (returned / (purchases +
      returned) >= 0.3); One-Time Buyer (one purchase); Bulk Buyer (units per purchase >= 3); Repeat Buyer.
      Source: this shop's rule;
    - `lifecycle_stage`, the first that applies: Prospect (no purchase), New (first purchase at most
      `config.new_customer_days` ago), then by recency_days Churned (>= `config.churn_high_risk_days`),
      At Risk (>= `config.churn_medium_risk_days`), Active. Source: this shop's rule;
    - `value_tier`, relative to the other buyers: High (monetary_score 4, 5), Medium (2, 3), Low (1), None;
    - `customer_segment`: Premium where lifetime_value >= `config.premium_customer_threshold`, Standard
      where >= `config.standard_customer_threshold`, else Basic;
    - `frequency_segment`: Frequent where total_orders >= `config.frequent_customer_orders`, Regular where
      >= `config.regular_customer_orders`, else Occasional;
    - `inactive_days` INT >= 0: days since the last purchase; without one since signup, and without a profile
      since the first order of any status;
    - `churn_risk_score` DOUBLE 0 to 1: min(1, inactive_days / `config.churn_high_risk_days`);
      `churn_risk`: High where inactive_days >= `config.churn_high_risk_days`, Medium where >=
      `config.churn_medium_risk_days`, else Low. Source: this shop's rule, by recency only.
    """
    totals = customer_totals(orders)
    people = _everyone(totals, customers).crossJoin(F.broadcast(_cuts(totals)))
    scored = _with_inactivity(people, config).withColumns(
        {
            "recency_score": _quintile(F.unix_date("last_order_date"), "recency_cuts"),
            "frequency_score": _quintile(F.col("total_orders"), "frequency_cuts"),
            "monetary_score": _quintile(F.col("lifetime_value"), "monetary_cuts"),
        }
    )
    return scored.select(
        "customer_id",
        "country",
        "loyalty_tier",
        "signup_date",
        "total_orders",
        "total_units",
        "lifetime_value",
        average_money(F.col("lifetime_value"), F.col("total_orders")).alias("average_order_value"),
        "cancelled_orders",
        "returned_orders",
        "first_order_date",
        "last_order_date",
        F.date_diff("newest_date", "last_order_date").alias("recency_days"),
        "recency_score",
        "frequency_score",
        "monetary_score",
        (F.col("recency_score") + F.col("frequency_score") + F.col("monetary_score")).alias("rfm_score"),
        _rfm_segment().alias("rfm_segment"),
        _behavior_segment().alias("behavior_segment"),
        _lifecycle_stage(config).alias("lifecycle_stage"),
        _first_of(
            [(F.col("monetary_score") >= 4, "High"), (F.col("monetary_score") >= 2, "Medium")],
            F.when(F.col("monetary_score") == 1, "Low").otherwise("None"),
        ).alias("value_tier"),
        _first_of(
            [
                (F.col("lifetime_value") >= config.premium_customer_threshold, "Premium"),
                (F.col("lifetime_value") >= config.standard_customer_threshold, "Standard"),
            ],
            F.lit("Basic"),
        ).alias("customer_segment"),
        _first_of(
            [
                (F.col("total_orders") >= config.frequent_customer_orders, "Frequent"),
                (F.col("total_orders") >= config.regular_customer_orders, "Regular"),
            ],
            F.lit("Occasional"),
        ).alias("frequency_segment"),
        "inactive_days",
        "churn_risk_score",
        _by_inactivity(config, high="High", medium="Medium", low="Low").alias("churn_risk"),
    )


def customer_lifetime_value(orders: DataFrame, customers: DataFrame, config: LakehouseConfig) -> DataFrame:
    """Every customer's value to date and predicted value of the next 365 days; one row per `customer_id`.

    In: silver orders, silver customers. Out:
    - `customer_id`; `total_orders` BIGINT, `historical_value` DECIMAL(28,2): purchases to date, >= 0;
    - `average_order_value` DECIMAL(18,2): historical_value / total_orders, 0 without purchases;
    - `first_order_date`, `last_order_date` DATE of purchases, NULL without any;
    - `tenure_days` INT >= 0: newest order date - first_order_date, 0 without purchases;
    - `purchases_per_30_days` DOUBLE >= 0: total_orders * 30 / max(tenure_days, 30); otherwise one purchase
      yesterday would count as thirty a month;
    - `expected_lifespan_days` DOUBLE, 0 to 365: 365 * (1 - churn_risk_score), the risk as in
      customer_segments, and 0 without purchases;
    - `predicted_value` DECIMAL(18,2) >= 0, half up: average order value * purchases per day * expected
      lifespan, that is historical_value * expected_lifespan_days / max(tenure_days, 30). Source: the simple
      CLV = average order value x purchase frequency x customer lifespan of marketing textbooks; here the
      lifespan is limited to a year and weighted by the probability of staying;
    - `total_value` DECIMAL(28,2): historical_value + predicted_value.
    """
    newest = orders.agg(F.max("order_date").alias("newest_date"))
    people = _with_inactivity(
        _everyone(customer_totals(orders), customers).crossJoin(F.broadcast(newest)), config
    )
    high_risk_days = F.lit(config.churn_high_risk_days)
    observed_days = F.greatest(F.col("tenure_days"), F.lit(FREQUENCY_DAYS))
    staying_days = high_risk_days - F.least(F.col("inactive_days"), high_risk_days)
    predicted = (
        F.col("historical_value").cast(MONEY)
        * (PREDICTION_DAYS * staying_days).cast("decimal(9,0)")
        / (high_risk_days * observed_days).cast("decimal(10,0)")
    )
    return (
        people.withColumnRenamed("lifetime_value", "historical_value")
        .withColumn("tenure_days", F.coalesce(F.date_diff("newest_date", "first_order_date"), F.lit(0)))
        .withColumn("predicted_value", F.round(predicted, 2).cast(MONEY))
        .select(
            "customer_id",
            "total_orders",
            "historical_value",
            average_money(F.col("historical_value"), F.col("total_orders")).alias("average_order_value"),
            "first_order_date",
            "last_order_date",
            "tenure_days",
            (F.col("total_orders") * float(FREQUENCY_DAYS) / observed_days).alias("purchases_per_30_days"),
            F.when(F.col("total_orders") > 0, PREDICTION_DAYS * staying_days / high_risk_days.cast("double"))
            .otherwise(0.0)
            .alias("expected_lifespan_days"),
            "predicted_value",
            (F.col("historical_value") + F.col("predicted_value")).cast("decimal(28,2)").alias("total_value"),
        )
    )


def customer_totals(orders: DataFrame) -> DataFrame:
    """What each customer ordered; one row per `customer_id` with an order of any status.

    In: silver orders. Out: `total_orders`, `total_units` BIGINT, `lifetime_value` DECIMAL(28,2) of purchases;
    `cancelled_orders`, `returned_orders` BIGINT; `first_order_date`, `last_order_date` DATE of purchases,
    NULL without any; `first_event_date`, `last_event_date` DATE of all orders.
    """
    purchased_on = F.when(is_purchase(), F.col("order_date"))
    return (
        orders.groupBy("customer_id")
        .agg(
            *order_measures(),
            F.min(purchased_on).alias("first_order_date"),
            F.max(purchased_on).alias("last_order_date"),
            F.min("order_date").alias("first_event_date"),
            F.max("order_date").alias("last_event_date"),
        )
        .withColumnsRenamed({"orders": "total_orders", "units": "total_units", "revenue": "lifetime_value"})
    )


def _everyone(totals: DataFrame, customers: DataFrame) -> DataFrame:
    """All customers with an order or a profile, once each; zeros for those without orders."""
    profiles = customers.select("customer_id", "country", "loyalty_tier", "signup_date")
    amounts = ["total_orders", "total_units", "lifetime_value", "cancelled_orders", "returned_orders"]
    return totals.join(profiles, "customer_id", "full").fillna(0, amounts)


def _cuts(totals: DataFrame) -> DataFrame:
    """One row: the newest order date and the quintile cuts among customers with a purchase."""
    bought = F.col("total_orders") > 0

    def cuts(value: Column) -> Column:
        return F.percentile(F.when(bought, value), list(QUINTILE_CUTS))

    return totals.agg(
        F.max("last_event_date").alias("newest_date"),
        cuts(F.unix_date("last_order_date")).alias("recency_cuts"),
        cuts(F.col("total_orders")).alias("frequency_cuts"),
        cuts(F.col("lifetime_value")).alias("monetary_cuts"),
    )


def _quintile(value: Column, cuts: str) -> Column:
    below = F.size(F.filter(F.col(cuts), lambda cut: cut < value.cast("double")))
    return F.when(F.col("total_orders") > 0, 1 + below).otherwise(0)


def _with_inactivity(people: DataFrame, config: LakehouseConfig) -> DataFrame:
    """Adds `inactive_days` and `churn_risk_score`. In: customer totals, `signup_date`, `newest_date`."""
    since = F.coalesce("last_order_date", "signup_date", "first_event_date")
    # A signup can be newer than the newest order; without any orders, nobody counts as inactive.
    days = F.greatest(F.coalesce(F.date_diff("newest_date", since), F.lit(0)), F.lit(0))
    return people.withColumn("inactive_days", days).withColumn(
        "churn_risk_score",
        F.least(share(F.col("inactive_days"), F.lit(config.churn_high_risk_days)), F.lit(1.0)),
    )


def _rfm_segment() -> Column:
    cells = [
        (F.col("recency_score").between(r_from, r_to) & F.col("frequency_score").between(f_from, f_to), name)
        for r_from, r_to, f_from, f_to, name in RFM_GRID
    ]
    return _first_of(cells, F.lit(NO_PURCHASE))


def _behavior_segment() -> Column:
    kept_or_returned = F.col("total_orders") + F.col("returned_orders")
    return _first_of(
        [
            (F.col("total_orders") == 0, "No Purchase"),
            (
                share(F.col("returned_orders"), kept_or_returned) >= FREQUENT_RETURNER_SHARE,
                "Frequent Returner",
            ),
            (F.col("total_orders") == 1, "One-Time Buyer"),
            (F.col("total_units") >= BULK_UNITS_PER_ORDER * F.col("total_orders"), "Bulk Buyer"),
        ],
        F.lit("Repeat Buyer"),
    )


def _lifecycle_stage(config: LakehouseConfig) -> Column:
    return _first_of(
        [
            (F.col("total_orders") == 0, NO_PURCHASE),
            (F.date_diff("newest_date", "first_order_date") <= config.new_customer_days, "New"),
        ],
        _by_inactivity(config, high="Churned", medium="At Risk", low="Active"),
    )


def _by_inactivity(config: LakehouseConfig, *, high: str, medium: str, low: str) -> Column:
    return _first_of(
        [
            (F.col("inactive_days") >= config.churn_high_risk_days, high),
            (F.col("inactive_days") >= config.churn_medium_risk_days, medium),
        ],
        F.lit(low),
    )


def _first_of(cases: list[tuple[Column, str]], otherwise: Column) -> Column:
    """The name of the first condition that holds."""
    result = otherwise
    for condition, name in reversed(cases):
        result = F.when(condition, name).otherwise(result)
    return result

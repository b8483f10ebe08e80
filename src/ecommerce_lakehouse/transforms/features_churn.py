"""The risk of losing a customer: `churn_risk`."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.transforms.features_grid import (
    Measures,
    SnapshotGrid,
    as_of,
    changes,
    days_since,
    events_at,
    last_snapshot,
    ratio,
    snapshots,
)
from ecommerce_lakehouse.transforms.features_purchases import purchases

RECENCY_WEIGHT = 0.7
DECLINE_WEIGHT = 0.3


def churn_risk(
    orders: DataFrame, activity: DataFrame, grid: SnapshotGrid, medium_risk_days: int, high_risk_days: int
) -> DataFrame:
    """How long a customer has been inactive, whether activity declines, and the resulting risk.

    In: orders and customer activity as known. An activity is a session or a purchase (an order that earns
    revenue). Out: one row per `customer_id` and closed snapshot `as_of`, starting after the customer's first
    activity, from the activities before `as_of` as they were known then; the newest record is that of both
    sources. If all activities were withdrawn, for example by a cancellation, the days are NULL and the risk
    is the highest:

    - `days_since_last_order`, `days_since_last_session` DOUBLE > 0, NULL without one;
      `days_since_last_activity` DOUBLE > 0: the smaller; `tenure_days` DOUBLE: since the first activity;
    - `orders_28d`, `sessions_28d`, `orders_previous_28d`, `sessions_previous_28d` BIGINT: in the 28 days
      before `as_of`, and in the 28 days before those;
    - `activity_trend` DOUBLE in [-1, 1]: (a - b) / (a + b) of the activities a in the last 28 days and b in
      the 28 before; -1 if a is 0, whatever b is; 1 for a new customer, for whom b is 0. Source: this project;
      the form is the normalised difference, which is symmetric and bounded;
    - `churn_risk_score` DOUBLE in (0, 1]: 0.7 x min(days_since_last_activity / `high_risk_days`, 1) + 0.3 x
      (1 - activity_trend) / 2. Source: this project. Recency has the greatest weight, because recency and
      frequency say what a purchase history reveals about whether a customer is active (Schmittlein,
      Morrison and Colombo, "Counting Your Customers", Management Science 33, 1987);
    - `churn_risk_band`: `high` if days_since_last_activity >= `high_risk_days`, `medium` if it is >=
      `medium_risk_days`, else `low`.
    """
    events = ("customer_id", "at", "occurred", "snapshot", "until")
    bought = events_at(purchases(orders), "order_timestamp", grid).select(*events, F.lit(1).alias("is_order"))
    visits = events_at(activity, "session_timestamp", grid).select(*events, F.lit(0).alias("is_order"))
    measures = Measures(
        sums={"orders": F.col("is_order"), "sessions": 1 - F.col("is_order")},
        minima={"first_at": F.col("at")},
        maxima={
            "last_at": F.col("at"),
            "last_order_at": F.when(F.col("is_order") == 1, F.col("at")),
            "last_session_at": F.when(F.col("is_order") == 0, F.col("at")),
        },
        trailing=("orders", "sessions"),
        windows=2,
    )
    last = last_snapshot(grid, (orders, "order_timestamp"), (activity, "session_timestamp"))
    activities = bought.unionAll(visits).repartition("customer_id")
    changed = changes(activities, ["customer_id"], measures, last, grid)
    recent = F.col("orders_28d") + F.col("sessions_28d")
    before = F.col("orders_previous_28d") + F.col("sessions_previous_28d")
    silence = F.col("days_since_last_activity")
    return (
        snapshots(changed, "customer_id", measures, last, grid)
        .withColumns(
            {
                "days_since_last_activity": days_since("last_at"),
                "activity_trend": F.coalesce(ratio(recent - before, recent + before), F.lit(-1.0)),
            }
        )
        .select(
            "customer_id",
            as_of(),
            days_since("last_order_at").alias("days_since_last_order"),
            days_since("last_session_at").alias("days_since_last_session"),
            "days_since_last_activity",
            days_since("first_at").alias("tenure_days"),
            "orders_28d",
            "sessions_28d",
            "orders_previous_28d",
            "sessions_previous_28d",
            "activity_trend",
            (
                # F.least ignores NULL.
                F.lit(RECENCY_WEIGHT) * F.least(silence / F.lit(float(high_risk_days)), F.lit(1.0))
                + F.lit(DECLINE_WEIGHT) * (1 - F.col("activity_trend")) / 2
            ).alias("churn_risk_score"),
            F.when(silence.isNull() | (silence >= high_risk_days), "high")
            .when(silence >= medium_risk_days, "medium")
            .otherwise("low")
            .alias("churn_risk_band"),
        )
    )

"""Features of how customers use the shop: `customer_engagement`, `device_preference`."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.domain.entities import DEVICE_TYPES
from ecommerce_lakehouse.transforms.features_grid import (
    DAY,
    TRAILING_DAYS,
    Measures,
    SnapshotGrid,
    as_of,
    changes,
    events_at,
    last_snapshot,
    ratio,
    snapshots,
)

# (measure, weight, amount in 28 days that scores one half). The halves are those of one visit a week.
ENGAGEMENT_TERMS = (
    ("sessions", 0.4, 4.0),
    ("page_views", 0.3, 20.0),
    ("cart_adds", 0.2, 2.0),
    ("session_seconds", 0.1, 1200.0),
)
HIGH_ENGAGEMENT = 0.5
MEDIUM_ENGAGEMENT = 0.25


def customer_engagement(activity: DataFrame, grid: SnapshotGrid) -> DataFrame:
    """How much a customer uses the shop, in the 28 days before `as_of` and since the first session.

    In: customer activity as known. Out: one row per `customer_id` and closed snapshot `as_of`, starting after
    the customer's first session; from the sessions before `as_of`, as they were known then:

    - `sessions`, `page_views`, `cart_adds`, `session_seconds` BIGINT >= 0 and the same with `_28d`;
    - `engagement_score_28d` DOUBLE in [0, 1): the weighted mean of x / (x + h) over the four `_28d` counts
      x, with weights and half-scores h of `ENGAGEMENT_TERMS`. Each further visit adds less, so no single
      measure dominates; 0 without a session, 0.5 for one typical session a week. Source: this project; the
      term is the Michaelis-Menten saturation curve (Michaelis and Menten, 1913);
    - `engagement_score` DOUBLE in (0, 1): the same over the customer's mean counts per 28 days since the
      first session: counts x 28 / days since then, at least 28 days;
    - `engagement_segment_28d`, `engagement_segment`: by score, `high` (>= 0.5), `medium` (>= 0.25), `low`
      (> 0), `inactive` (0).

    A score depends only on the customer's own events, never on other customers'.
    """
    names = [name for name, _, _ in ENGAGEMENT_TERMS]
    sessions = events_at(activity, "session_timestamp", grid).repartition("customer_id")
    measures = Measures(
        sums={
            "sessions": F.lit(1),
            "page_views": F.col("page_views"),
            "cart_adds": F.col("cart_adds"),
            "session_seconds": F.col("session_duration_seconds"),
        },
        minima={"first_at": F.col("at")},
        trailing=tuple(names),
    )
    last = last_snapshot(grid, (activity, "session_timestamp"))
    changed = changes(sessions, ["customer_id"], measures, last, grid)
    observed = F.greatest(F.col("snapshot") - F.col("first_at"), F.lit(TRAILING_DAYS * DAY)).cast("double")
    recent = _engagement_score({name: F.col(f"{name}_28d").cast("double") for name in names})
    usual = _engagement_score(
        {name: F.col(name).cast("double") * F.lit(float(TRAILING_DAYS * DAY)) / observed for name in names}
    )
    return (
        snapshots(changed, "customer_id", measures, last, grid)
        .withColumns({"engagement_score_28d": recent, "engagement_score": usual})
        .select(
            "customer_id",
            as_of(),
            *names,
            *[f"{name}_28d" for name in names],
            "engagement_score_28d",
            _engagement_segment("engagement_score_28d").alias("engagement_segment_28d"),
            "engagement_score",
            _engagement_segment("engagement_score").alias("engagement_segment"),
        )
    )


def device_preference(activity: DataFrame, grid: SnapshotGrid) -> DataFrame:
    """Which devices a customer uses.

    In: customer activity as known, `device_type` one of `DEVICE_TYPES`. Out: one row per `customer_id` and
    closed snapshot `as_of`, starting after the customer's first session; from the sessions before `as_of`, as
    they were known then:

    - `sessions` BIGINT >= 0; if it is 0 the shares and devices are NULL;
    - `mobile_share`, `desktop_share`, `tablet_share` DOUBLE in [0, 1]: sessions on the device / sessions;
      they sum to 1;
    - `preferred_device` STRING: the device with most sessions; if several, the first in `DEVICE_TYPES`;
      `preferred_device_share` DOUBLE in [1/3, 1]: its share;
    - `devices_used` INT in 1..3: devices with a session; `is_multi_device` BOOLEAN: more than one;
    - `preferred_device_28d`, `devices_used_28d` (0..3): the same over the 28 days before `as_of`; the device
      is NULL without a session.

    Source of the measures: this project; plain counts and shares.
    """
    sessions = events_at(activity, "session_timestamp", grid).repartition("customer_id")
    measures = Measures(
        sums={"sessions": F.lit(1)}
        | {device: (F.col("device_type") == device).cast("int") for device in DEVICE_TYPES},
        trailing=DEVICE_TYPES,
    )
    last = last_snapshot(grid, (activity, "session_timestamp"))
    changed = changes(sessions, ["customer_id"], measures, last, grid)
    recent = [f"{device}_28d" for device in DEVICE_TYPES]
    return snapshots(changed, "customer_id", measures, last, grid).select(
        "customer_id",
        as_of(),
        "sessions",
        *[ratio(device, "sessions").alias(f"{device}_share") for device in DEVICE_TYPES],
        _most_used(list(DEVICE_TYPES)).alias("preferred_device"),
        ratio(F.greatest(*DEVICE_TYPES), "sessions").alias("preferred_device_share"),
        _used(list(DEVICE_TYPES)).alias("devices_used"),
        (_used(list(DEVICE_TYPES)) > 1).alias("is_multi_device"),
        _most_used(recent).alias("preferred_device_28d"),
        _used(recent).alias("devices_used_28d"),
    )


def _engagement_score(counts: dict[str, Column]) -> Column:
    score = F.lit(0.0)
    for name, weight, half in ENGAGEMENT_TERMS:
        score = score + F.lit(weight) * counts[name] / (counts[name] + F.lit(half))
    return score


def _engagement_segment(score: str) -> Column:
    return (
        F.when(F.col(score) >= HIGH_ENGAGEMENT, "high")
        .when(F.col(score) >= MEDIUM_ENGAGEMENT, "medium")
        .when(F.col(score) > 0, "low")
        .otherwise("inactive")
    )


def _most_used(counts: list[str]) -> Column:
    """The device with the greatest count, the first if several have it; NULL if all are 0."""
    most = F.greatest(*counts)
    return F.coalesce(
        *[
            F.when((F.col(count) > 0) & (F.col(count) == most), F.lit(device))
            for device, count in zip(DEVICE_TYPES, counts, strict=True)
        ]
    )


def _used(counts: list[str]) -> Column:
    used = F.lit(0)
    for count in counts:
        used = used + (F.col(count) > 0).cast("int")
    return used

"""Adds batches of synthetic raw data to the volume: `generate_sample_data`."""

from __future__ import annotations

from datetime import datetime

from pyspark.sql import SparkSession

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.generation.batches import Progress, Source, add_batches
from ecommerce_lakehouse.generation.manifest import Manifest
from ecommerce_lakehouse.generation.records import DATASETS, lines_of

SAMPLE = Source(datasets=DATASETS, lines_of=lines_of)


def generate_sample_data(
    spark: SparkSession,
    config: LakehouseConfig,
    *,
    seed: int | None = None,
    orders: int | None = None,
    customer_activity: int | None = None,
    customers: int | None = None,
    issue_rate: float | None = None,
    batches: int = 1,
    on_progress: Progress | None = None,
    now: datetime | None = None,
) -> list[Manifest]:
    """Add `batches` batches of raw data to the volume of `config` and return their manifests.

    The first batch of a volume covers `config.rows_generated.days` days from 2024-01-01; each later one
    adds the next day, with a day's share of orders and sessions, a few new customers and newer profiles of
    known ones. Some orders are revised on the day after they were placed, in further lines: updated,
    corrected, repeated, or late. `orders`, `customer_activity` and `customers` are the other lines of the
    first batch; they, `issue_rate` (0 to 1) and `seed` default to those of the volume's first batch, or
    without one to the settings and 42.

    The files depend only on the parameters, the batch number and the settings `max_price` and `max_quantity`:
    two volumes with the same ones are equal byte for byte. A batch exists with its manifest or not at all; an
    interrupted call's batch is completed or removed first. `on_progress` gets a line per dataset.

    Raises GenerationError, in one line, for an environment whose data is delivered, a value out of range,
    parameters that differ from the volume's first batch, a batch that would reach beyond `now` (default: the
    clock), or a concurrent call.
    """
    given = {
        "seed": seed,
        "orders": orders,
        "customer_activity": customer_activity,
        "customers": customers,
        "issue_rate": issue_rate,
    }
    return add_batches(SAMPLE, spark, config, given, batches, on_progress, now)

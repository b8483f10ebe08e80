"""Adds batches of synthetic raw data to the volume: `generate_sample_data`."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from pydantic import ValidationError
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.generation.issues import KINDS, UNEXPECTED_COLUMN, expected_outcome
from ecommerce_lakehouse.generation.manifest import (
    ORDER_UPDATES,
    DatasetManifest,
    GenerationError,
    Manifest,
    Parameters,
    read_manifests,
    refuse_delivered,
)
from ecommerce_lakehouse.generation.plan import BatchPlan
from ecommerce_lakehouse.generation.records import DATASETS, lines_of
from ecommerce_lakehouse.generation.volume import BatchFolder

DEFAULT_SEED = 42


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
    on_progress: Callable[[str], None] | None = None,
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
    refuse_delivered(config)
    if batches < 1:
        raise GenerationError(f"batches must be at least 1, not {batches}.")
    given = {
        "seed": seed,
        "orders": orders,
        "customer_activity": customer_activity,
        "customers": customers,
        "issue_rate": issue_rate,
    }
    folder = BatchFolder(config)
    with folder.exclusive():
        folder.recover()
        done = read_manifests(folder.manifests)
        parameters = _parameters(
            config, {name: value for name, value in given.items() if value is not None}, done
        )
        start = done[-1].batch + 1 if done else 0
        plans = [BatchPlan(parameters, batch) for batch in range(start, start + batches)]
        _refuse_future(plans, now or datetime.now(UTC))
        return [_generate(spark, config, folder, plan, on_progress or _silent) for plan in plans]


def _parameters(config: LakehouseConfig, given: dict[str, int | float], done: list[Manifest]) -> Parameters:
    rows = config.rows_generated
    if done:
        first = done[0].parameters
        for name, value in given.items():
            if value != getattr(first, name):
                raise GenerationError(
                    f"{name} is {getattr(first, name)}, not {value}, in the data of {config.volume_path}. "
                    f"Leave it out to add a batch, or remove the generated data to start again."
                )
        return first
    defaults = {
        "seed": DEFAULT_SEED,
        "orders": rows.orders,
        "customer_activity": rows.customer_activity,
        "customers": rows.customers,
        "days": rows.days,
        "issue_rate": config.issue_rate,
    }
    try:
        return Parameters.model_validate(defaults | given)
    except ValidationError as error:
        problems = (f"{item['loc'][0]}: {item['msg']}, not {item['input']}" for item in error.errors())
        raise GenerationError("; ".join(problems)) from None


def _refuse_future(plans: list[BatchPlan], now: datetime) -> None:
    for plan in plans:
        if plan.ends_at > now:
            raise GenerationError(
                f"Batch {plan.batch} would reach {plan.ends_at:%Y-%m-%d}, which is in the future; "
                f"nothing was generated. Add fewer batches, or remove the generated data to start again."
            )


def _generate(
    spark: SparkSession,
    config: LakehouseConfig,
    folder: BatchFolder,
    plan: BatchPlan,
    on_progress: Callable[[str], None],
) -> Manifest:
    datasets = {}
    # One dataset is planned while another is written; for small ones, both take equally long. Planning stays
    # in this thread, because dbldatagen's parser is not thread-safe.
    with ThreadPoolExecutor(max_workers=len(DATASETS)) as pool:
        writing = {}
        for entity in DATASETS:
            lines = lines_of(spark, config, plan, entity)
            writing[entity] = pool.submit(_write, lines, folder, plan, entity)
        for entity, written in writing.items():
            datasets[entity] = written.result()
            on_progress(f"batch {plan.batch}: {entity}, {datasets[entity].rows:,} lines")
    manifest = Manifest(
        batch=plan.batch,
        parameters=plan.parameters,
        starts_at=plan.starts_at,
        ends_at=plan.ends_at,
        datasets=datasets,
    )
    folder.publish(manifest)
    return manifest


def _write(lines: DataFrame, folder: BatchFolder, plan: BatchPlan, entity: str) -> DatasetManifest:
    """Stage one dataset in one Spark job, which also counts its issues."""
    counts = Observation(f"{entity}_{plan.batch}")
    issue = F.col("_issue")
    valid = issue.isNull() | (issue == UNEXPECTED_COLUMN)
    is_line = F.col("value").isNotNull()
    observed = lines.observe(
        counts,
        F.count("value").alias("rows"),
        F.count_if(is_line & F.col("_update") & valid).alias("updates"),
        *[F.count_if(issue == kind).alias(kind) for kind in KINDS],
    )
    # Filtered after counting: Spark would move a filter below all columns and repeat their expressions in it.
    observed.where(is_line).select("value").write.mode("overwrite").options(
        compression="none", lineSep="\n"
    ).text(str(folder.staged(plan.batch, entity)))
    count = counts.get
    issues = {kind: int(count[kind] or 0) for kind in KINDS}
    rows = int(count["rows"])
    return DatasetManifest(
        rows=rows,
        files=folder.name_files(plan.batch, entity),
        issues=issues,
        expected=expected_outcome(
            "orders" if entity == ORDER_UPDATES else entity, rows, issues, int(count["updates"] or 0)
        ),
    )


def _silent(_: str) -> None:
    pass

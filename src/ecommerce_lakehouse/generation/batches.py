"""Adds batches of synthetic raw data to the volume, whatever it is about: `add_batches` of a `Source`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import ValidationError
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.generation.issues import KINDS, UNEXPECTED_COLUMN, expected_outcome
from ecommerce_lakehouse.generation.manifest import (
    DatasetManifest,
    GenerationError,
    Manifest,
    Parameters,
    read_manifests,
    refuse_delivered,
)
from ecommerce_lakehouse.generation.plan import BatchPlan
from ecommerce_lakehouse.generation.volume import BatchFolder

DEFAULT_SEED = 42
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Source:
    """What a generator writes: `datasets` by name, in order, with the entity whose rules judge their lines.

    `lines_of` gives the lines of one of them in a batch, as `records.lines_of` does. `part` is the folder of
    the source's own manifests; without one they are those of the volume, the sample data's.
    """

    datasets: Mapping[str, str]
    lines_of: Callable[[SparkSession, LakehouseConfig, BatchPlan, str], DataFrame]
    part: str = ""


def add_batches(
    source: Source,
    spark: SparkSession,
    config: LakehouseConfig,
    given: Mapping[str, int | float | None],
    batches: int,
    on_progress: Progress | None,
    now: datetime | None,
) -> list[Manifest]:
    """Add `batches` batches of a source and return their manifests; `generate_sample_data` says the rest.

    `given` are parameters by name, None if not given. Without a batch of the source itself they default to
    those of the volume's sample data, which all sources are about.
    """
    refuse_delivered(config)
    if batches < 1:
        raise GenerationError(f"batches must be at least 1, not {batches}.")
    folder = BatchFolder(config, source.part)
    with folder.exclusive():
        folder.recover()
        done = read_manifests(folder.manifests)
        parameters = _parameters(
            config,
            {name: value for name, value in given.items() if value is not None},
            done or read_manifests(config.manifests_path),
        )
        start = done[-1].batch + 1 if done else 0
        plans = [BatchPlan(parameters, batch) for batch in range(start, start + batches)]
        _refuse_future(plans, now or datetime.now(UTC))
        return [_generate(source, spark, config, folder, plan, on_progress or _silent) for plan in plans]


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
    source: Source,
    spark: SparkSession,
    config: LakehouseConfig,
    folder: BatchFolder,
    plan: BatchPlan,
    on_progress: Progress,
) -> Manifest:
    datasets = {}
    # One dataset is planned while another is written; for small ones, both take equally long. Planning stays
    # in this thread, because dbldatagen's parser is not thread-safe.
    with ThreadPoolExecutor(max_workers=len(source.datasets)) as pool:
        writing = {}
        for name, entity in source.datasets.items():
            lines = source.lines_of(spark, config, plan, name)
            writing[name] = pool.submit(_write, lines, folder, plan, name, entity)
        for name, written in writing.items():
            datasets[name] = written.result()
            on_progress(f"batch {plan.batch}: {name}, {datasets[name].rows:,} lines")
    manifest = Manifest(
        batch=plan.batch,
        parameters=plan.parameters,
        starts_at=plan.starts_at,
        ends_at=plan.ends_at,
        datasets=datasets,
    )
    folder.publish(manifest)
    return manifest


def _write(lines: DataFrame, folder: BatchFolder, plan: BatchPlan, name: str, entity: str) -> DatasetManifest:
    """Stage one dataset in one Spark job, which also counts its issues."""
    counts = Observation(f"{name}_{plan.batch}")
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
    ).text(str(folder.staged(plan.batch, name)))
    count = counts.get
    issues = {kind: int(count[kind] or 0) for kind in KINDS}
    rows = int(count["rows"])
    return DatasetManifest(
        rows=rows,
        files=folder.name_files(plan.batch, name),
        issues=issues,
        expected=expected_outcome(entity, rows, issues, int(count["updates"] or 0)),
    )


def _silent(_: str) -> None:
    pass

"""One measured step in a process of its own: started by compare.py, not by hand.

Starts Spark, writes and reads a tiny Delta table so that every class is loaded that both contenders need,
and only then takes the time. LAKEHOUSE_HOME is the contender's data folder.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil  # type: ignore[import-untyped,unused-ignore]
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.config import LakehouseConfig, get_config
from ecommerce_lakehouse.generation import generate_sample_data
from ecommerce_lakehouse.quality import datasets
from ecommerce_lakehouse.quality.quarantine import BROKEN_RULES, JUDGED_BY
from lakerun.bundles.load import load_bundle
from lakerun.bundles.model import PipelineSpec
from lakerun.pipelines.definitions import load_definitions
from lakerun.pipelines.update import Selection, run_update
from lakerun.spark.session import get_session
from lakerun.tables.storage import Storage

PROJECT = Path(__file__).resolve().parents[1]
PIPELINE = "medallion_dlt_pipeline"
# The tables that show where every line went, and the check that reads them.
QUALITY_TABLES = re.compile(r"^(quarantine|quality)_|_duplicates$|^gold_data_quality_check$")
ENVIRONMENT = "local"
# A later batch of the generator is a day: of a hundred days it is 1 %.
DAYS = 100
CUSTOMERS_PER_ORDER = 0.1  # as in the default settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", choices=("plain", "engine", "bare", "generate"))
    parser.add_argument("--orders", type=int, default=0, help="for generate: orders in the first batch")
    parser.add_argument("--result", type=Path, required=True, help="JSON file to write")
    arguments = parser.parse_args()

    storage = Storage.default()
    spark = get_session()
    _warm_up(spark, storage.home)
    selection = _without_quarantine(spark) if arguments.work == "bare" else Selection()
    ready_at, clock, cpu = time.time(), time.monotonic(), _cpu_seconds()
    if arguments.work == "generate":
        _generate(spark, get_config(ENVIRONMENT), arguments.orders)
    elif arguments.work in ("engine", "bare"):
        _engine(storage, selection)
    else:
        from benchmarks import plain

        plain.run(spark, get_config(ENVIRONMENT), storage.home)
    result = {
        "ready_at": ready_at,
        "seconds": time.monotonic() - clock,
        "cpu_seconds": _cpu_seconds() - cpu,
    }
    arguments.result.write_text(json.dumps(result), encoding="utf-8")
    spark.stop()


def _warm_up(spark: SparkSession, home: Path) -> None:
    table = str(home / "scratch" / "warm_up")
    spark.range(10).write.format("delta").mode("overwrite").save(table)
    assert spark.read.format("delta").load(table).count() == 10


def _cpu_seconds() -> float:
    """Processor seconds of this process and its JVM so far."""
    process = psutil.Process()
    times = [item.cpu_times() for item in (process, *process.children(recursive=True))]
    return float(sum(item.user + item.system for item in times))


def _engine(storage: Storage, selection: Selection) -> None:
    spec = _pipeline()
    with storage.exclusive("benchmark"):
        result = run_update(spec, storage=storage, selection=selection)
    for dataset in result.datasets:  # the log shows where the time went
        print(f"{dataset.seconds:8.2f} s  {dataset.status:10} {dataset.rows_written:>10,}  {dataset.name}")
    if result.state != "COMPLETED":
        sys.exit(f"The update ended as {result.state}: {result.error}")


def _pipeline() -> PipelineSpec:
    config = get_config(ENVIRONMENT)
    variables = {
        "environment": ENVIRONMENT,
        "catalog": config.catalog,
        "schema": config.schema,
        "volume": config.volume,
    }
    spec = load_bundle(PROJECT, None, variables).find(PIPELINE)
    assert isinstance(spec, PipelineSpec)
    return spec


def _without_quarantine(spark: SparkSession) -> Selection:
    """The pipeline's tables without quarantine, duplicates, checks and reconciliation.

    From now on a line that breaks a rule is dropped where it is parsed, instead of being kept with the names
    of its broken rules.
    """
    datasets.with_broken_rules = _without_broken_lines
    spec = _pipeline()
    definitions = load_definitions(spec.source_files, spark, spec.root_path)
    tables = [item.name.split(".")[-1] for item in definitions.datasets.values() if item.kind != "VIEW"]
    return Selection(refresh=tuple(name for name in tables if not QUALITY_TABLES.search(name)))


def _without_broken_lines(rows: DataFrame, rules: Mapping[str, str]) -> DataFrame:
    held = rows.where(" AND ".join(f"({constraint})" for constraint in rules.values()))
    return held.withColumns(
        {
            BROKEN_RULES: F.array().cast("array<string>"),
            JUDGED_BY: F.lit(0).cast("bigint"),
            "raw_line": F.lit(None).cast("binary"),
        }
    )


def _generate(spark: SparkSession, config: LakehouseConfig, orders: int) -> None:
    """Two batches: what the first run finds, and 1 % more."""
    rows = config.rows_generated.model_copy(update={"days": DAYS})
    generate_sample_data(
        spark,
        config.model_copy(update={"rows_generated": rows}),
        orders=orders,
        customers=max(1, round(orders * CUSTOMERS_PER_ORDER)),
        customer_activity=1,  # no table of this pipeline reads it
        batches=2,
    )


if __name__ == "__main__":
    main()

"""Compacts, vacuums and analyses the tables of a schema: `maintain_tables`, and `main` for a wheel task.

Databricks refuses these commands on streaming tables and materialized views: their pipeline and predictive
optimization maintain them. A table's type decides. On a laptop all are plain Delta tables.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from pyspark.errors import PySparkException
from pyspark.sql import Row, SparkSession

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.config.arguments import (
    add_config_arguments,
    config_from,
    spark_session,
    usage_errors,
)
from ecommerce_lakehouse.errors import first_line
from ecommerce_lakehouse.observability.arrow_rows import arrow_rows
from ecommerce_lakehouse.observability.health_sql import EVENTS
from ecommerce_lakehouse.observability.lakehouse import StoredTable, lakehouse_of
from ecommerce_lakehouse.observability.text_table import text_table

LOG_TABLE = "maintenance_log"
LOG_SCHEMA = (
    "started_at timestamp, table_name string, kind string, status string, layout string, "
    "files_before bigint, files_after bigint, bytes_before bigint, bytes_after bigint, "
    "files_deleted bigint, analyzed boolean, seconds double, reason string"
)
MAINTAINED = ("MANAGED", "EXTERNAL", "MANAGED_SHALLOW_CLONE", "EXTERNAL_SHALLOW_CLONE")
PIPELINE_OWNED = ("STREAMING_TABLE", "MATERIALIZED_VIEW")
# Databricks' conditions for a table that belongs to a pipeline after all.
REFUSALS = ("STREAMING_TABLE_OPERATION_NOT_ALLOWED", "MATERIALIZED_VIEW_OPERATION_NOT_ALLOWED")
AT_ONCE = 4  # a small table mostly waits for the driver


@dataclass(frozen=True)
class Outcome:
    """How the maintenance of one table ended. `layout` is OPTIMIZE's, empty if it had nothing to do.

    `files_*` and `bytes_*` are those of the newest version; `files_deleted` is how many older ones VACUUM
    removed. `reason` says why a table was skipped or failed, or what could not be done.
    """

    table_name: str
    kind: str
    status: Literal["DONE", "SKIPPED", "FAILED"]
    layout: str = ""
    files_before: int | None = None
    files_after: int | None = None
    bytes_before: int | None = None
    bytes_after: int | None = None
    files_deleted: int | None = None
    analyzed: bool = False
    seconds: float = 0.0
    reason: str = ""


def maintain_tables(spark: SparkSession, config: LakehouseConfig) -> list[Outcome]:
    """Maintain every table of the environment's schema; outcomes by table name.

    Each gets OPTIMIZE by its own layout (its clustering columns, else the columns that its property
    `pipelines.autoOptimize.zOrderCols` names, else compaction), VACUUM with the environment's retention, and
    ANALYZE if this Spark supports it. A table that fails does not stop the others. Appends the outcomes to
    the schema's table `maintenance_log`.
    """
    started = datetime.now(UTC)
    lakehouse = lakehouse_of(config)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        # In this thread's context, which decides how Spark finds a table by its name.
        running = [
            pool.submit(copy_context().run, _maintain, spark, config, table)
            for table in lakehouse.tables()
            if table.name != EVENTS  # not a table, but a query over some
        ]
        outcomes = [each.result() for each in running]
    if outcomes:
        rows = [{"started_at": started} | asdict(outcome) for outcome in outcomes]
        lakehouse.append(arrow_rows(rows, LOG_SCHEMA), LOG_TABLE)
    return outcomes


def main(argv: Sequence[str] | None = None) -> None:
    """Maintain an environment's tables, print a line for each, and exit with 1 if one failed.

    `argv` defaults to the process's arguments. Raises SystemExit with code 2, after one line on standard
    error, for a wrong argument or setting. Uses the active Spark session, or starts one.
    """
    parser = argparse.ArgumentParser(
        prog="maintain_tables",
        description="OPTIMIZE, VACUUM and ANALYZE every table of the schema where Databricks allows it.",
        allow_abbrev=False,
    )
    add_config_arguments(parser)
    with usage_errors(parser):
        config = config_from(parser.parse_args(argv))
        spark = spark_session("maintenance_job")
    outcomes = maintain_tables(spark, config)
    print(_report(outcomes))
    failed = [outcome.table_name for outcome in outcomes if outcome.status == "FAILED"]
    if failed:
        print(f"{len(failed)} of {len(outcomes)} tables failed: {', '.join(failed)}")
        raise SystemExit(1)
    done = [outcome for outcome in outcomes if outcome.status == "DONE"]
    print(
        f"{len(done)} of {len(outcomes)} tables maintained in {config.catalog}.{config.schema}, "
        f"{sum(bool(outcome.layout) for outcome in done)} of them rewritten"
    )


def _maintain(spark: SparkSession, config: LakehouseConfig, table: StoredTable) -> Outcome:
    start = time.monotonic()
    outcome = Outcome(table.name, table.kind, "SKIPPED")
    if table.kind in PIPELINE_OWNED:
        return replace(outcome, reason="its pipeline and predictive optimization maintain it")
    if table.kind not in MAINTAINED:
        return replace(outcome, reason=f"nothing to maintain in a {table.kind}")
    try:
        outcome = _commands(spark, config, table)
    except PySparkException as error:
        condition = error.getCondition() or ""
        if condition.startswith(REFUSALS):
            outcome = replace(outcome, reason=f"Databricks refuses it: {condition}")
        else:
            outcome = replace(outcome, status="FAILED", reason=first_line(error))
    except Exception as error:  # no failure of one table may stop the others
        outcome = replace(outcome, status="FAILED", reason=first_line(error))
    return replace(outcome, seconds=round(time.monotonic() - start, 3))


def _commands(spark: SparkSession, config: LakehouseConfig, table: StoredTable) -> Outcome:
    before = _detail(spark, table)
    layout = _layout(before)
    if _has_something_to_optimize(spark, table, before):
        spark.sql(f"OPTIMIZE {table.reference}" + (f" {layout}" if layout.startswith("ZORDER") else ""))
    else:
        layout = ""
    spark.sql(f"VACUUM {table.reference} RETAIN {config.vacuum_retention_hours} HOURS")
    analyzed, reason = _analyze(spark, table)
    after = _detail(spark, table)
    return Outcome(
        table_name=table.name,
        kind=table.kind,
        status="DONE",
        layout=layout,
        files_before=before["numFiles"],
        files_after=after["numFiles"],
        bytes_before=before["sizeInBytes"],
        bytes_after=after["sizeInBytes"],
        files_deleted=_files_deleted(spark, table),
        analyzed=analyzed,
        reason=reason,
    )


def _detail(spark: SparkSession, table: StoredTable) -> Row:
    return spark.sql(f"DESCRIBE DETAIL {table.reference}").collect()[0]


def _layout(detail: Row) -> str:
    """A table's one layout: a clustered table refuses ZORDER, and partition columns cannot be Z-ordered."""
    if detail["clusteringColumns"]:
        return f"CLUSTER BY ({', '.join(detail['clusteringColumns'])})"
    declared = (detail["properties"] or {}).get("pipelines.autoOptimize.zOrderCols", "")
    columns = [name.strip() for name in declared.split(",") if name.strip()]
    columns = [name for name in columns if name not in detail["partitionColumns"]]
    return f"ZORDER BY ({', '.join(f'`{name}`' for name in columns)})" if columns else "COMPACT"


def _has_something_to_optimize(spark: SparkSession, table: StoredTable, detail: Row) -> bool:
    """Z-ordering rewrites the whole table, so it runs only if there is new data since the last time."""
    if detail["numFiles"] < 2:
        return False
    for commit in spark.sql(f"DESCRIBE HISTORY {table.reference} LIMIT 20").collect():
        if commit["operation"] == "OPTIMIZE":
            return False
        if not commit["operation"].startswith("VACUUM"):
            return True
    return True


def _analyze(spark: SparkSession, table: StoredTable) -> tuple[bool, str]:
    try:
        spark.sql(f"ANALYZE TABLE {table.reference} COMPUTE STATISTICS")
    except PySparkException as error:
        if error.getCondition() != "NOT_SUPPORTED_COMMAND_FOR_V2_TABLE":
            raise
        return False, "open-source Spark does not analyze Delta tables"
    return True, ""


def _files_deleted(spark: SparkSession, table: StoredTable) -> int | None:
    """How many files the VACUUM that has just ended deleted; None if Delta keeps no record of it."""
    newest = spark.sql(f"DESCRIBE HISTORY {table.reference} LIMIT 1").collect()[0]
    metrics: dict[str, Any] = newest["operationMetrics"] or {}
    return int(metrics["numDeletedFiles"]) if newest["operation"] == "VACUUM END" else None


def _report(outcomes: Sequence[Outcome]) -> str:
    columns = ("Table", "Status", "Layout", "Files", "Bytes", "Deleted", "Seconds", "Note")
    rows = [
        (
            outcome.table_name,
            outcome.status,
            outcome.layout,
            _change(outcome.files_before, outcome.files_after),
            _change(outcome.bytes_before, outcome.bytes_after),
            "" if outcome.files_deleted is None else f"{outcome.files_deleted:,}",
            f"{outcome.seconds:.1f}",
            outcome.reason,
        )
        for outcome in outcomes
    ]
    return text_table(columns, rows, right=("Files", "Bytes", "Deleted", "Seconds"))


def _change(before: int | None, after: int | None) -> str:
    if before is None or after is None:
        return ""
    return f"{before:,}" if before == after else f"{before:,} -> {after:,}"


if __name__ == "__main__":
    main()

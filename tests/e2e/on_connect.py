"""The shop's code on a Spark Connect session, in a process of its own: `python -m tests.e2e.on_connect`.

Serverless compute is Spark Connect, which marks the process that uses it. This one is given a data folder,
which it may change and whose tables the classic session has made, and a folder for what the code gives here,
for `test_connect.py` to compare. Nothing of the runtime helps to find tables: Spark's own catalog names them.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import reduce
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.activation.connection import LOCK
from ecommerce_lakehouse.activation.customerio.client import Client
from ecommerce_lakehouse.activation.sync.declarations import load_syncs
from ecommerce_lakehouse.activation.sync.run import run_sync
from ecommerce_lakehouse.activation.sync.status import statuses
from ecommerce_lakehouse.activation.sync.stream import stream_sync
from ecommerce_lakehouse.activation.sync.tables import SCHEMAS, SyncTables
from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.generation import job as generation
from ecommerce_lakehouse.observability import events_view, health, maintenance
from ecommerce_lakehouse.observability.activation_checks import activation_checks
from ecommerce_lakehouse.observability.health_sql import LOG_COLUMNS
from ecommerce_lakehouse.observability.lakehouse import UnityCatalog
from ecommerce_lakehouse.observability.metrics_export import reading
from ecommerce_lakehouse.quality import replay_job
from ecommerce_lakehouse.quality.rule_tests import run_rule_tests
from ecommerce_lakehouse.quality.rules import datasets_with_rules, rules_for
from lakerun.pipelines.definitions import AutoCdc, Definitions, load_definitions
from lakerun.pipelines.expectations import Expectation, of_function
from lakerun.spark.session import session_settings
from tests.customerio_server import CustomerIOServer
from tests.unit.customerio import settings

CATALOG, SCHEMA = "spark_catalog", "data_eng"
PLACE = ["--environment", "local", "--catalog", CATALOG]
MAINTAINED = ("gold_daily_sales", "silver_orders")
"""Plain tables, as far as Unity Catalog says; the others are a pipeline's."""
PIPELINES = ("medallion", "ml_features", "order_analytics", "activation")
SOURCES = Path(__file__).parents[2] / "src" / "pipelines"
VERDICT = "expectation "


def main(home: Path, out: Path, datasets: str, *sizes: str) -> None:
    """Write the rows of `datasets`, names with commas or `all`, and what everything else gives."""
    os.environ |= {"LAKEHOUSE_HOME": str(home), "CATALOG_NAME": CATALOG, "PIPELINE_ENV": "local"}
    spark = _session()
    _name_tables(spark, home)
    config = get_config()
    found: dict[str, Any] = {"schemas": {}, "kinds": {}, "cdc": {}}
    for pipeline in PIPELINES:
        definitions = load_definitions(sorted((SOURCES / pipeline).glob("*.py")), spark)
        found["kinds"] |= {_short(name): item.kind for name, item in definitions.datasets.items()}
        flows = definitions.flows.values()
        found["cdc"] |= {_short(flow.target): flow.cdc.scd_type for flow in flows if flow.cdc}
        found["schemas"] |= _write_rows(spark, definitions, out, datasets.split(","))
    rules = {name: rules_for(name, config) for name in datasets_with_rules(config)}
    found["rules"] = [asdict(result) for result in run_rule_tests(spark, rules)]
    os.environ["LAKEHOUSE_HOME"] = str(out / "generated")
    found["generated"] = _printed(generation.main, sizes) + _printed(generation.activation_main, [])
    os.environ["LAKEHOUSE_HOME"] = str(home)
    found |= _on_databricks(spark)
    found |= _synced(spark, out)
    (out / "found.json").write_text(json.dumps(found, default=str), encoding="utf-8")
    spark.stop()


def _session() -> SparkSession:
    # With this variable the server listens on a free port.
    os.environ["SPARK_TESTING"] = "1"
    builder = SparkSession.builder.remote("local[1]")
    settings = session_settings()
    del settings["spark.master"]
    for key, value in settings.items():
        builder = builder.config(key, value)
    with warnings.catch_warnings():  # one for each setting that is the server's, and that it has
        warnings.simplefilter("ignore", UserWarning)
        return builder.getOrCreate()


def _name_tables(spark: SparkSession, home: Path) -> None:
    """Spark's catalog and Unity Catalog's schema know the tables; the volume has the catalog's name."""
    (home / "volumes" / CATALOG).symlink_to(home / "volumes" / "local")
    spark.sql(f"CREATE DATABASE {SCHEMA}")
    spark.sql("CREATE DATABASE information_schema")
    tables, columns = [(SCHEMA, "pipeline_events", "VIEW")], []
    for folder in sorted((home / "tables" / "local" / SCHEMA).iterdir()):
        name = folder.name
        spark.sql(f"CREATE TABLE {SCHEMA}.{name} USING delta LOCATION '{folder}'")
        tables.append((SCHEMA, name, "MANAGED" if name in MAINTAINED else "MATERIALIZED_VIEW"))
        if name.startswith("event_log_"):
            columns += [(SCHEMA, name, column) for column in LOG_COLUMNS]
    for view, rows, last in (("tables", tables, "table_type"), ("columns", columns, "column_name")):
        frame = spark.createDataFrame(rows, f"table_schema string, table_name string, {last} string")
        frame.write.saveAsTable(f"information_schema.{view}")


def _write_rows(
    spark: SparkSession, definitions: Definitions, out: Path, chosen: list[str]
) -> dict[str, dict[str, str]]:
    """Every dataset's columns with their types; of those that are chosen also a file with their rows.

    It has the rows that the query gives now, and a column for each expectation's verdict.
    """
    kinds = {name: dataset.kind for name, dataset in definitions.datasets.items()}
    schemas = {}
    flows = sorted(definitions.flows.values(), key=lambda flow: kinds[flow.target] != "VIEW")
    for flow in (flow for flow in flows if flow.query):
        rows: DataFrame = flow.query()
        name = _short(flow.target)
        holds = {
            each: F.coalesce(F.expr(each.constraint).cast("boolean"), F.lit(False))
            for each in of_function(flow.query)
        }
        if kinds[flow.target] == "VIEW":
            dropping = [verdict for each, verdict in holds.items() if each.action == "DROP"]
            reduce(DataFrame.where, dropping, rows).createOrReplaceTempView(name)
        judged = rows.select("*", *[verdict.alias(VERDICT + each.name) for each, verdict in holds.items()])
        schemas[name] = {
            field.name: field.dataType.simpleString()
            for field in judged.schema
            if not field.name.startswith(VERDICT)
        }
        if chosen == ["all"] or name in chosen:
            pq.write_table(_now(judged, name).toArrow(), out / f"{name}.parquet")
    for flow in flows:
        if flow.cdc and flow.cdc.scd_type == 1 and (out / f"{flow.cdc.source}.parquet").exists():
            newest = _newest(spark, flow.cdc, of_function(definitions.flows[flow.cdc.source].query))
            pq.write_table(newest.toArrow(), out / f"{_short(flow.target)}.parquet")
    return schemas


def _short(name: str) -> str:
    return name.split(".")[-1]


def _newest(spark: SparkSession, changes: AutoCdc, expectations: Sequence[Expectation]) -> DataFrame:
    """What auto CDC keeps: the greatest by the sequence, of the rows that the expectations let pass."""
    dropping = [f"`{VERDICT}{each.name}`" for each in expectations if each.action == "DROP"]
    rows = spark.table(f"rows_{changes.source}").where(" AND ".join(dropping))
    left_out = [name for name in rows.columns if name.startswith(VERDICT)]
    columns = rows.drop(*changes.except_column_list, *left_out).columns
    newest = F.max_by(F.struct(*columns), changes.sequence_by).alias("newest")
    return rows.groupBy(*changes.keys).agg(newest).select("newest.*")


def _now(rows: DataFrame, name: str) -> DataFrame:
    """The rows, or those that a stream gives by now."""
    if not rows.isStreaming:
        return rows
    query = rows.writeStream.format("memory").queryName(f"rows_{name}").trigger(availableNow=True).start()
    query.awaitTermination()
    return rows.sparkSession.table(f"rows_{name}")


def _on_databricks(spark: SparkSession) -> dict[str, Any]:
    """The jobs that ask Unity Catalog, by its own statements."""
    os.environ["DATABRICKS_RUNTIME_VERSION"] = "client.4"
    source = UnityCatalog(get_config()).source()
    tables = source.tables()
    extents = reading.updates_in(source, tables)
    return {
        "events": _printed(events_view.main, PLACE),
        "health": json.loads(_printed(health.main, [*PLACE, "--report", "--json"])),
        "updates": [asdict(extent) for extent in extents],
        "metrics": [asdict(metrics) for metrics in reading.metrics_for(source, "l", extents)],
        "days": reading.business_days(source, "l", tables),
        "replayed": _printed(replay_job.main, PLACE),
        "maintained": _printed(maintenance.main, PLACE),
        "log": [row.asDict() for row in spark.table(f"{SCHEMA}.maintenance_log").collect()],
    }


def _synced(spark: SparkSession, out: Path) -> dict[str, Any]:
    """What arrives at Customer.io after each change of a table, by runs, then by streams; the status then."""
    lakehouse = UnityCatalog(get_config())
    people = lakehouse.reference("people")
    (out / "people.yml").write_text(
        "table: people\nkey: id\ncall: identify\ntraits: [name]\ndeletes: {max_percent: 50}\n"
    )
    (sync,) = load_syncs(out).values()
    spark.sql(
        f"CREATE TABLE {people} (id STRING, name STRING) USING delta "
        "TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')"
    )
    tables = SyncTables(spark, lakehouse)
    for table in tables.create():
        spark.sql(f"INSERT INTO information_schema.tables VALUES ('{SCHEMA}', '{table}', 'MANAGED')")
    arrived: list[list[Any]] = []
    with CustomerIOServer() as server:
        chosen = settings(server)

        def connect(observe: Callable[[Any], None]) -> Client:
            return Client(chosen, observe=observe)

        def stream() -> None:
            stream_sync(spark, tables, sync, connect, str(out / "checkpoint")).awaitTermination()

        def run() -> None:
            with lakehouse.exclusive(LOCK):
                run_sync(spark, tables, sync, connect)

        for change, send in (
            ("INSERT INTO {} VALUES ('c1', 'Ann'), ('c2', 'Bob'), ('c3', 'Cem'), (NULL, 'Dee')", run),
            ("UPDATE {} SET name = 'Eve' WHERE id = 'c2'", run),
            ("DELETE FROM {} WHERE id IS NULL", stream),
            ("UPDATE {} SET name = 'Fay' WHERE id = 'c3'", stream),
            ("DELETE FROM {} WHERE id = 'c1'", stream),
        ):
            spark.sql(change.format(people))
            send()
            arrived.append(
                sorted([each["userId"], each.get("event") or each["traits"]] for each in server.messages)
            )
            server.messages = []
    now = datetime.now(UTC)
    period = (now - timedelta(days=2), now - timedelta(days=1), now)
    checks = activation_checks(lakehouse, list(SCHEMAS), get_config(), period)
    return {
        "arrived": arrived,
        "statuses": statuses(lakehouse, [sync.name]),
        "checks": {check.name: check.figure for check in checks},
    }


def _printed(run: Any, arguments: Sequence[str]) -> str:
    with redirect_stdout(StringIO()) as text:
        run(arguments)
    return text.getvalue()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])

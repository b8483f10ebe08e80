"""How long planning a sync of a million rows takes: first all, then with 1 % changed. Nothing is sent.

`uv run python -m benchmarks.activation_planning [--rows 1000000]` prints the seconds of three plans each: of
the first full sync, of 1 % changed where the table has a change data feed, and where it has none.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

SYNC = "table: people\nkey: id\ncall: identify\ntraits: [name, city, spent, orders, last_seen, tags]\n"
ROWS = """
    SELECT concat('c', id) AS id, concat('Name ', id % 1000) AS name, concat('City ', id % 97) AS city,
      CAST(id % 10000 / 7 AS DECIMAL(10, 2)) AS spent, CAST(id % 50 AS INT) AS orders,
      timestamp_seconds(1700000000 + id) AS last_seen, array('a', concat('t', id % 5)) AS tags
    FROM range({rows})
"""
REPEATS = 3


def main() -> None:
    """Plan, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    rows, home = arguments.rows, arguments.home
    if home is None:
        # Spark starts with settings for the data that there are, so the table is made by another process.
        home = Path(tempfile.mkdtemp(prefix="planning-"))
        os.environ["LAKEHOUSE_HOME"] = str(home)
        command = [
            sys.executable,
            "-m",
            "benchmarks.activation_planning",
            "--rows",
            str(rows),
            "--home",
            str(home),
        ]
        try:
            subprocess.run(command, check=True)
            subprocess.run(command, check=True)
        finally:
            shutil.rmtree(home, ignore_errors=True)
        return

    from ecommerce_lakehouse.activation.sync.declarations import load_syncs
    from ecommerce_lakehouse.activation.sync.diff import DUE
    from ecommerce_lakehouse.activation.sync.plan import make_plan
    from ecommerce_lakehouse.activation.sync.tables import SCHEMAS, STATE, SyncTables
    from ecommerce_lakehouse.config import get_config
    from ecommerce_lakehouse.observability.lakehouse import lakehouse_of
    from lakerun.spark.session import get_session
    from lakerun.spark.task_tables import lakehouse_tables
    from lakerun.tables.storage import Storage

    (home / "people.yml").write_text(SYNC)
    (sync,) = load_syncs(home).values()
    spark = get_session()
    with lakehouse_tables(Storage.default()):
        lakehouse = lakehouse_of(get_config("local"))
        tables = SyncTables(spark, lakehouse)
        people = lakehouse.reference("people")
        if tables.version("people") is None:
            spark.sql(
                f"CREATE TABLE {people} USING DELTA TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true') AS "
                + ROWS.format(rows=rows)
            )
            return

        def timed(what: str) -> float:
            seconds = []
            for _ in range(REPEATS):
                started = time.perf_counter()
                planned = make_plan(spark, tables, sync)
                seconds.append(time.perf_counter() - started)
            plan = planned.plan
            figures = f"{plan.insert:,} new, {plan.update:,} changed, {plan.unchanged:,} unchanged"
            each = ", ".join(f"{value:.2f}" for value in seconds)
            print(f"{what}: {median(seconds):.2f} s ({each}); {figures}, {plan.bytes:,} bytes", flush=True)
            return median(seconds)

        first = timed("first full sync")
        # As a run leaves it, without sending a million messages.
        planned = make_plan(spark, tables, sync)
        assert planned.rows is not None
        state = lakehouse.reference(STATE)
        spark.sql(f"CREATE TABLE {state} ({SCHEMAS[STATE]}) USING DELTA PARTITIONED BY (sync)")
        accepted = planned.rows.where(planned.rows.operation.isin(*DUE)).selectExpr(
            f"'{sync.name}' AS sync",
            "key",
            "person",
            "fingerprint",
            "deliveries + 1 AS deliveries",
            "false AS deleted",
            "CAST(NULL AS STRING) AS rejected",
            "'run' AS run_id",
            "current_timestamp() AS changed_at",
        )
        accepted.write.format("delta").mode("append").saveAsTable(state)
        tables.record(
            sync.name,
            "run",
            "COMPLETED",
            accepted=rows,
            seconds=60.0,
            declaration=planned.plan.declaration,
            versions=json.dumps(planned.plan.versions),
        )
        spark.sql(f"UPDATE {people} SET spent = spent + 1 WHERE CAST(substr(id, 2) AS INT) % 100 = 7")
        fed = timed("1 % changed, with a change data feed")
        tables.record(
            sync.name, "other", "COMPLETED", accepted=1, seconds=1.0, declaration="other", versions="{}"
        )
        compared = timed("1 % changed, all rows compared")
        print(f"of the first: {fed / first:.2f} with a change data feed, {compared / first:.2f} without")


if __name__ == "__main__":
    main()

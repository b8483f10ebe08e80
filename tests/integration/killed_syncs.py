"""Sends until nothing is due, to be killed: `python -m tests.integration.killed_syncs FOLDER URL`."""

from __future__ import annotations

import sys
from pathlib import Path

from ecommerce_lakehouse.activation.customerio.client import Client
from ecommerce_lakehouse.activation.customerio.settings import Retries, Settings
from ecommerce_lakehouse.activation.sync import run
from ecommerce_lakehouse.activation.sync.declarations import load_syncs
from ecommerce_lakehouse.activation.sync.tables import SyncTables
from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.observability.lakehouse import lakehouse_of
from lakerun.spark.session import get_session
from lakerun.spark.task_tables import lakehouse_tables
from lakerun.tables.storage import Storage
from tests.customerio_server import KEY

RUNS = 20


def main(folder: Path, url: str) -> None:
    """Send the sync of the folder, with receipts every quarter of a second."""
    run.FLUSH_SECONDS = 0.25
    quick = Retries(attempts=3, wait_initial=0.01, wait_max=0.1, wait_jitter=0.01, retry_after_max=0.2)
    settings = Settings.of(KEY, base_url=url, retries=quick, timeout=0.5, concurrency=2, breaker_failures=50)
    spark = get_session()
    (sync,) = load_syncs(folder).values()
    with lakehouse_tables(Storage.default()):
        tables = SyncTables(spark, lakehouse_of(get_config("local")))
        for _ in range(RUNS):
            result = run.run_sync(spark, tables, sync, lambda observe: Client(settings, observe=observe))
            print(f"{result.accepted} accepted, {result.due} due", flush=True)
            if not result.due:
                return
    raise SystemExit(f"still due after {RUNS} runs")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

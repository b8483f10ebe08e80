"""The metrics export as a command, for a Databricks Python wheel task and the laptop: `main`."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.config.arguments import add_config_arguments, config_from, usage_errors

if TYPE_CHECKING:
    from ecommerce_lakehouse.observability.metrics_export.export import Exported

NOT_CONFIGURED = "no PostgreSQL configured; nothing exported"


def main(argv: Sequence[str] | None = None) -> None:
    """Export an environment's metrics to PostgreSQL and print the result, in one line at the end.

    `argv` defaults to the process's arguments. A failed export is only a warning; the next one catches up.
    Raises SystemExit with code 2, after one line on standard error, only for a wrong argument or setting.
    """
    parser = argparse.ArgumentParser(
        prog="export_metrics",
        description="Copy metrics of pipelines and of the business to PostgreSQL; never fails a job.",
        allow_abbrev=False,
    )
    add_config_arguments(parser)
    with usage_errors(parser):
        config = config_from(parser.parse_args(argv))
    try:
        print(exported_line(config), flush=True)
    except Exception as error:
        print(f"WARNING: metrics not exported: {one_line(error)}; the next export catches up", flush=True)


def exported_line(config: LakehouseConfig) -> str:
    """Export, and say in one line what was written; retries are reported on standard error as they happen.

    Raises ExportError as export_metrics does.
    """
    if config.postgres_host is None:
        return NOT_CONFIGURED
    # Imported only now: without a database nothing waits for the driver.
    from ecommerce_lakehouse.observability.metrics_export.export import export_metrics

    done = export_metrics(config, on_retry=lambda line: print(line, file=sys.stderr, flush=True))
    return summary(config, done)


def summary(config: LakehouseConfig, done: Exported) -> str:
    """What an export wrote, and where, in one line."""
    place = f"{config.postgres_host}, schema {config.postgres_schema} of {config.postgres_database}"
    if not done.updates + done.days:
        return f"metrics are up to date on {place}"
    updates = f"{done.updates:,} update{'' if done.updates == 1 else 's'}"
    days = f"{done.days:,} day{'' if done.days == 1 else 's'} of business metrics"
    return f"exported {updates} and {days} in {done.seconds:.1f} s to {place}"


def one_line(error: Exception) -> str:
    """An ExportError's message; any other error's type and place, because its text may hold anything."""
    from ecommerce_lakehouse.observability.metrics_export.failures import ExportError

    if isinstance(error, ExportError):
        return str(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"unexpected {type(error).__name__} in {Path(frame.filename).name}, line {frame.lineno}"


if __name__ == "__main__":
    main()

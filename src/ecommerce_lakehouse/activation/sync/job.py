"""Sends what is due to Customer.io, as a Python wheel task: `main`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ecommerce_lakehouse.config.arguments import (
    add_config_arguments,
    config_from,
    spark_session,
    usage_errors,
)
from ecommerce_lakehouse.errors import ShopError
from ecommerce_lakehouse.observability.lakehouse import lakehouse_of

if TYPE_CHECKING:
    from ecommerce_lakehouse.activation.sync.run import Result

JOB = "customerio_sync"


def main(argv: Sequence[str] | None = None) -> None:
    """Plan and send every sync, or those that are named, and print a line for each; or only create tables.

    `argv` defaults to the process's arguments. Raises SystemExit, after one line on standard error: with code
    2 for a wrong argument or setting, 3 if another run is sending, and 1 if something is still due.
    """
    parser = argparse.ArgumentParser(
        prog="sync_customerio",
        description="Send what changed in the lakehouse to Customer.io, each change once.",
        allow_abbrev=False,
    )
    add_config_arguments(parser)
    parser.add_argument("--region", default="", help="us or eu; by default the environment's, else the key's")
    parser.add_argument("--syncs", default="", metavar="NAME,...", help="by default all")
    parser.add_argument(
        "--create-tables", action="store_true", help="only create the tables that dashboards and alerts read"
    )
    parser.add_argument("--allow-deletes", action="store_true", help="delete however many rows are gone")
    with usage_errors(parser):
        arguments = parser.parse_args(argv)
        config = config_from(arguments)
        if arguments.region:
            config = config.model_validate(config.model_dump() | {"customerio_region": arguments.region})
        from ecommerce_lakehouse.activation.sync.activation import Activation

        names = [name.strip() for name in arguments.syncs.split(",") if name.strip()]
        activation = Activation(spark_session(JOB), lakehouse_of(config), config, names)
    if arguments.create_tables:
        print(f"Created: {', '.join(activation.create_tables()) or 'nothing, all tables are there'}.")
        return
    due = 0
    try:
        for result in activation.run(allow_deletes=arguments.allow_deletes):
            print(line_of(result))
            due += result.due
    except Exception as error:
        code = getattr(error, "exit_code", None)
        if not isinstance(error, ShopError) and code is None:
            raise
        parser.exit(code or 1, f"{parser.prog}: {error}\n")
    if due:
        parser.exit(1, f"{parser.prog}: {due:,} messages are still due; the next run sends them.\n")


def line_of(result: Result) -> str:
    """What became of a sync, in a line."""
    parts = [
        f"{result.inserts:,} inserted, {result.updates:,} updated, {result.deletes:,} deleted",
        f"{result.plan.unchanged:,} unchanged",
    ]
    if result.rejected or result.refused:
        parts.append(f"{result.rejected + result.refused:,} rejected")
    if result.due:
        parts.append(f"{result.due:,} still due ({result.error})")
    return f"{result.sync}: {', '.join(parts)}"


if __name__ == "__main__":
    main()

"""Gives the readers' group the tables that are for it, as a Python wheel task: `main`.

A bundle cannot grant privileges on tables, which exist only after the first update of their pipeline. The
group for personal data needs nothing here: it has SELECT on the whole schema, from the bundle.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pyspark.errors import PySparkException

from ecommerce_lakehouse.config.arguments import add_config_arguments, config_from, usage_errors
from ecommerce_lakehouse.errors import first_line
from ecommerce_lakehouse.governance.audience import audience_of
from ecommerce_lakehouse.observability.lakehouse import Lakehouse, StoredTable, lakehouse_of

# Of Unity Catalog's table types; the others are tables in a GRANT.
SECURABLES = {"VIEW": "VIEW", "MATERIALIZED_VIEW": "MATERIALIZED VIEW"}


def main(argv: Sequence[str] | None = None) -> None:
    """Grant and revoke SELECT on each table of an environment's schema, and print the statements.

    Running it again changes nothing. Where no catalog keeps privileges nothing is granted, and it says so.
    `argv` defaults to the process's arguments. Raises SystemExit with code 2, after one line on standard
    error, for a wrong argument or setting, and with 1 if a statement failed.
    """
    parser = argparse.ArgumentParser(
        prog="grant_tables",
        description="Grant the readers' group SELECT on the tables that are for it, and on no others.",
        allow_abbrev=False,
    )
    add_config_arguments(parser)
    parser.add_argument("--readers-group", required=True, type=_principal, metavar="GROUP")
    with usage_errors(parser):
        arguments = parser.parse_args(argv)
        config = config_from(arguments)
    lakehouse = lakehouse_of(config)
    place = f"{config.catalog}.{config.schema}"
    if not lakehouse.keeps_grants:
        print(f"Nothing was granted in {place}: no catalog keeps privileges here, all tables can be read.")
        return
    failures = grant(lakehouse, arguments.readers_group)
    if failures:
        print(f"{failures} statements failed in {place}.")
        raise SystemExit(1)


def grant(lakehouse: Lakehouse, readers: str) -> int:
    """Execute the statements for every table, printing each; returns how many failed."""
    failures = 0
    for statement in statements(lakehouse.tables(), readers):
        try:
            lakehouse.rows(statement)
            print(statement)
        except PySparkException as error:
            failures += 1
            print(f"{statement}: FAILED, {first_line(error)}")
    return failures


def statements(tables: Sequence[StoredTable], readers: str) -> list[str]:
    """One statement per table: GRANT for one that is for readers, REVOKE for any other."""
    group = f"`{readers.replace('`', '``')}`"
    found = []
    for table in tables:
        securable = f"{SECURABLES.get(table.kind, 'TABLE')} {table.reference}"
        if audience_of(table.name) == "readers":
            found.append(f"GRANT SELECT ON {securable} TO {group}")
        else:
            found.append(f"REVOKE SELECT ON {securable} FROM {group}")
    return found


def _principal(value: str) -> str:
    if not value.strip():
        raise argparse.ArgumentTypeError("it is empty")
    return value


if __name__ == "__main__":
    main()

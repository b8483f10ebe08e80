"""Erases people as a Python wheel task on Databricks: `main`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ecommerce_lakehouse.config.arguments import (
    add_config_arguments,
    config_from,
    spark_session,
    usage_errors,
)
from ecommerce_lakehouse.observability.lakehouse import lakehouse_of
from ecommerce_lakehouse.privacy import erasure, forgetting
from ecommerce_lakehouse.privacy.unity import UnityPlace


def main(argv: Sequence[str] | None = None) -> None:
    """Erase customers from an environment's schema and volume and from Customer.io, and print what went.

    `argv` defaults to the process's arguments; an empty value counts as not given. Raises SystemExit with
    code 2, after one line on standard error, for a wrong argument or setting; with 1 if an id is unknown, if
    somebody is still found, or if Customer.io was not told. On a laptop `lakehouse privacy erase` does more.
    """
    parser = argparse.ArgumentParser(
        prog="erase_customers",
        description="Erase customers from every table and from the volume, and prove it.",
        allow_abbrev=False,
    )
    add_config_arguments(parser)
    parser.add_argument("--customer", action="append", default=[], metavar="ID", help="repeatable")
    parser.add_argument("--dry-run", action="store_true", help="print what there is; remove nothing")
    parser.add_argument("--lakehouse-only", action="store_true", help="leave Customer.io out")
    arguments = parser.parse_args(argv)
    with usage_errors(parser):
        config = config_from(arguments)
        ids = erasure.clean_ids([each for each in arguments.customer if each])
        if not config.on_databricks and config.tables_root is not None:
            parser.exit(2, f"{parser.prog}: on a laptop use 'lakehouse privacy erase --customer ID'.\n")
        spark = spark_session("erase_customers")
        lakehouse = lakehouse_of(config)
        place = UnityPlace(config, lakehouse, spark)
        user = str(spark.sql("SELECT current_user()").head()[0])  # type: ignore[index]
        forgets = None if arguments.lakehouse_only else forgetting.configured(config, lakehouse)
        if arguments.dry_run:
            outcome = erasure.preview(config, place, ids, print)
        else:
            outcome = erasure.erase(config, place, ids, by=user, forgets=forgets, tell=print)
    for item in outcome.removed:
        print(f"{item.what}: {item.rows:,} rows ({item.kind})")
    print(f"{len(outcome.unknown)} of {len(ids)} ids are unknown.")
    unsent = outcome.not_sent or ("" if forgets or arguments.lakehouse_only else forgetting.NOTHING_SENT)
    print(unsent or outcome.sent or "Customer.io was left out.")
    if outcome.proof:
        print(f"{len(outcome.proof.scan.findings)} findings; proof: {outcome.proof_file}")
    clean = arguments.dry_run or (outcome.proof is not None and outcome.proof.scan.clean and not unsent)
    if not clean or outcome.unknown:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

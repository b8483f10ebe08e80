"""Erases people as a Python wheel task: `main`."""

from __future__ import annotations

import argparse
import csv
import getpass
from collections.abc import Iterator, Sequence

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.config.arguments import (
    add_config_arguments,
    config_from,
    spark_session,
    usage_errors,
)
from ecommerce_lakehouse.errors import BUSY
from ecommerce_lakehouse.observability.lakehouse import Lakehouse, lakehouse_of
from ecommerce_lakehouse.privacy import erasure, forgetting
from ecommerce_lakehouse.privacy.place import Place, installed_place
from ecommerce_lakehouse.privacy.unity import UnityPlace

JOB = "erase_customers"
TRUTHS = {"": False, "false": False, "true": True}


def main(argv: Sequence[str] | None = None) -> None:
    """Erase customers from an environment's schema and volume and from Customer.io, and print what went.

    On a laptop it does what `lakehouse privacy erase` does, in the run that it is a task of. `argv` defaults
    to the process's arguments; an empty value counts as not given. Raises SystemExit with code 2, after one
    line on standard error, for a wrong argument or setting; with 3 if another run is using the data folder;
    with 1 if an id is unknown, if somebody is still found, or if Customer.io was not told.
    """
    parser = argparse.ArgumentParser(
        prog=JOB,
        description="Erase customers from every table and from the volume, and prove it.",
        allow_abbrev=False,
    )
    add_config_arguments(parser)
    parser.add_argument("--customer", action="append", default=[], metavar="ID", help="repeatable")
    parser.add_argument(
        "--customers", type=_ids, default=[], metavar="ID,...", help="as in CSV: quote an id that has a comma"
    )
    for flag, help_text in (
        ("--dry-run", "print what there is; remove nothing"),
        ("--lakehouse-only", "leave Customer.io out"),
    ):
        parser.add_argument(flag, type=_truth, nargs="?", const=True, default=False, help=help_text)
    arguments = parser.parse_args(argv)
    with usage_errors(parser):
        config = config_from(arguments)
        ids = erasure.clean_ids([each for each in (*arguments.customer, *arguments.customers) if each])
        lakehouse = lakehouse_of(config)
        place, user = _place(config, lakehouse)
        left_out = arguments.lakehouse_only or arguments.dry_run
        forgets = None if left_out else forgetting.configured(config, lakehouse)
        try:
            with place.exclusive():
                if arguments.dry_run:
                    outcome = erasure.preview(config, place, ids, print)
                else:
                    outcome = erasure.erase(config, place, ids, by=user, forgets=forgets, tell=print)
        except Exception as error:
            if getattr(error, "exit_code", None) != BUSY:
                raise
            parser.exit(BUSY, f"{parser.prog}: {error}\n")
    for item in outcome.removed:
        print(f"{item.what}: {item.rows:,} rows ({item.kind})")
    if outcome.sent or left_out:
        print(outcome.sent or "Customer.io was left out.")
    if outcome.proof:
        print(f"{len(outcome.proof.scan.findings)} findings; proof: {outcome.proof_file}")
    if arguments.dry_run:
        print("Nothing was removed.")
    if wrong := _what_is_wrong(outcome, len(ids), told=forgets is not None or left_out):
        parser.exit(1, f"{parser.prog}: {wrong}\n")


def _what_is_wrong(outcome: erasure.Outcome, asked: int, *, told: bool) -> str:
    found = []
    if outcome.unknown:
        found.append(f"{len(outcome.unknown)} of {asked} ids are unknown.")
    if outcome.proof and not outcome.proof.scan.clean:
        found.append(f"{len(outcome.proof.scan.findings)} findings are left; the proof has them.")
    if outcome.not_sent or not told:
        found.append(outcome.not_sent or forgetting.NOTHING_SENT)
    return " ".join(found)


def _place(config: LakehouseConfig, lakehouse: Lakehouse) -> tuple[Place, str]:
    """Where the lakehouse is, and who asks."""
    found = installed_place(config)
    if found is not None:
        return found, getpass.getuser()
    spark = spark_session(JOB)
    user = str(spark.sql("SELECT current_user()").head()[0])  # type: ignore[index]
    return UnityPlace(config, lakehouse, spark), user


def _ids(text: str) -> list[str]:
    def each() -> Iterator[str]:
        for row in csv.reader(text.splitlines(), skipinitialspace=True, strict=True):
            yield from row

    try:
        return list(each())
    except csv.Error as error:
        raise argparse.ArgumentTypeError(f"is not a line of CSV: {error}") from None


def _truth(text: str) -> bool:
    try:
        return TRUTHS[text.strip().lower()]
    except KeyError:
        raise argparse.ArgumentTypeError(f"'{text}' is neither true nor false") from None


if __name__ == "__main__":
    main()

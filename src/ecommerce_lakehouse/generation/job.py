"""Synthetic data as commands, for Databricks Python wheel tasks and the laptop: `main`, `activation_main`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.config.arguments import (
    add_config_arguments,
    config_from,
    spark_session,
    usage_errors,
)
from ecommerce_lakehouse.generation.activation import generate_activation_data
from ecommerce_lakehouse.generation.manifest import Manifest, skipped
from ecommerce_lakehouse.generation.sample import generate_sample_data

EXAMPLES = """examples:
  generate_sample_data --environment local
  generate_sample_data --orders 100 --customer-activity 200 --customers 20 --seed 7
  generate_sample_data --batches 3          three more days of arrivals
  generate_sample_data --issue-rate 0       no intentional issues
"""
ACTIVATION_EXAMPLES = """examples:
  generate_activation_data --environment local     about the customers of the sample data
  generate_activation_data --batches 3             three more days of changes
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Add batches of synthetic data to the volume of an environment and print a line per dataset.

    Where the environment's data is delivered, it says so and writes nothing; the tasks after it run.
    `argv` defaults to the process's arguments; an empty value counts as not given, because jobs pass one for
    a parameter that is not set. Raises SystemExit with code 2, after one line on standard error, for a wrong
    argument, setting or parameter. Uses the active Spark session, or starts one.
    """
    _add(_parser(), generate_sample_data, argv, "orders", "customer_activity")


def activation_main(argv: Sequence[str] | None = None) -> None:
    """Add batches of consents, devices and households to the volume; the rest is as in `main`."""
    _add(_activation_parser(), generate_activation_data, argv)


def _add(
    parser: argparse.ArgumentParser,
    generate: Callable[..., list[Manifest]],
    argv: Sequence[str] | None,
    *own: str,
) -> None:
    """Generate with the arguments that both commands have, and with its `own`."""
    arguments = parser.parse_args(argv)
    with usage_errors(parser):
        config = config_from(arguments)
        if skipped(config):
            return
        manifests = generate(
            spark_session(parser.prog),
            config,
            **{name: getattr(arguments, name) for name in ("seed", "customers", "issue_rate", *own)},
            batches=1 if arguments.batches is None else arguments.batches,
            on_progress=lambda line: print(line, flush=True),
        )
    print(_summary(config, manifests))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="generate_sample_data",
        description="Add synthetic orders, customer sessions and customer profiles to the volume.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_config_arguments(parser)
    parser.add_argument("--orders", type=_whole, help="lines of orders in the first batch")
    # Databricks also passes a job's parameters, under their own names, to a wheel task with named parameters.
    parser.add_argument(
        "--customer-activity", "--customer_activity", type=_whole, help="lines of sessions in the first batch"
    )
    _add_common(parser)
    return parser


def _activation_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="generate_activation_data",
        description="Add synthetic consents, push devices, households and their members to the volume.",
        epilog=ACTIVATION_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_config_arguments(parser)
    _add_common(parser)
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=_whole, help="seed of all random values; default 42")
    parser.add_argument("--customers", type=_whole, help="lines of customer profiles in the first batch")
    parser.add_argument(
        "--issue-rate", "--issue_rate", type=_share, help="share of lines with an intentional issue, 0 to 1"
    )
    parser.add_argument("--batches", type=_whole, help="batches to add; default 1")


def _summary(config: LakehouseConfig, manifests: list[Manifest]) -> str:
    datasets = [dataset for manifest in manifests for dataset in manifest.datasets.values()]
    lines = sum(dataset.rows for dataset in datasets)
    issues = sum(sum(dataset.issues.values()) for dataset in datasets)
    return f"{lines:,} lines, {issues:,} with an intentional issue, added to {config.volume_path}"


def _whole(value: str) -> int | None:
    try:
        return int(value) if value else None
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{value}' is not a whole number") from None


def _share(value: str) -> float | None:
    try:
        return float(value) if value else None
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{value}' is not a number") from None


if __name__ == "__main__":
    main()

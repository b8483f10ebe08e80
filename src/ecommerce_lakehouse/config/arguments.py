"""Shared by the wheel's entry points: arguments that choose the settings, one-line errors, Spark."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import ValidationError

from ecommerce_lakehouse.config.resolve import ENVIRONMENTS, get_config
from ecommerce_lakehouse.config.settings import ConfigError, LakehouseConfig
from ecommerce_lakehouse.errors import USAGE, ShopError, first_line

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PLACES = ("catalog", "schema", "volume")


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--environment`, `--catalog`, `--schema` and `--volume`; an empty value counts as not given."""
    parser.add_argument(
        "--environment", type=_text, metavar="|".join(ENVIRONMENTS), help="default: PIPELINE_ENV, else dev"
    )
    for place in PLACES:
        parser.add_argument(f"--{place}", type=_text, help=f"overrides the environment's {place}")


def config_from(arguments: argparse.Namespace) -> LakehouseConfig:
    """The settings that parsed arguments choose; a wrong one raises ConfigError, in one line."""
    config = get_config(arguments.environment)
    places = {name: getattr(arguments, name) for name in PLACES}
    overrides = {name: value for name, value in places.items() if value is not None}
    try:
        return LakehouseConfig.model_validate(config.model_dump() | overrides)
    except ValidationError as error:
        problems = (f"{item['loc'][0]}: {item['msg']} (given: {item['input']!r})" for item in error.errors())
        raise ConfigError("; ".join(problems)) from None


@contextmanager
def usage_errors(parser: argparse.ArgumentParser) -> Iterator[None]:
    """End the process on a ShopError: its line on standard error, exit code 2."""
    try:
        yield
    except ShopError as error:
        parser.exit(USAGE, f"{parser.prog}: {error}\n")


def spark_session(job: str) -> SparkSession:
    """The active Spark session, else a new one; if none starts, a ShopError that names the `job` to run."""
    from pyspark.errors import PySparkRuntimeError
    from pyspark.sql import SparkSession

    try:
        return SparkSession.getActiveSession() or SparkSession.builder.getOrCreate()
    except PySparkRuntimeError as error:
        raise ShopError(
            f"Spark did not start: {first_line(error)} Try 'lakehouse run {job}', which brings Java."
        ) from None


def _text(value: str) -> str | None:
    return value or None

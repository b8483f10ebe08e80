"""Command-line arguments that choose an environment's settings, shared by the wheel's entry points."""

from __future__ import annotations

import argparse

from pydantic import ValidationError

from ecommerce_lakehouse.config.resolve import ENVIRONMENTS, get_config
from ecommerce_lakehouse.config.settings import ConfigError, LakehouseConfig

PLACES = ("catalog", "schema", "volume")


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--environment`, `--catalog`, `--schema` and `--volume`; an empty value counts as not given."""
    parser.add_argument(
        "--environment", type=_text, metavar="|".join(ENVIRONMENTS), help="default: PIPELINE_ENV, else dev"
    )
    for place in PLACES:
        parser.add_argument(f"--{place}", type=_text, help=f"overrides the environment's {place}")


def config_from(arguments: argparse.Namespace) -> LakehouseConfig:
    """The settings that parsed arguments ask for; ConfigError, in one line, for a wrong one."""
    config = get_config(arguments.environment)
    places = {name: getattr(arguments, name) for name in PLACES}
    overrides = {name: value for name, value in places.items() if value is not None}
    try:
        return LakehouseConfig.model_validate(config.model_dump() | overrides)
    except ValidationError as error:
        problems = (f"{item['loc'][0]}: {item['msg']} (given: {item['input']!r})" for item in error.errors())
        raise ConfigError("; ".join(problems)) from None


def _text(value: str) -> str | None:
    return value or None

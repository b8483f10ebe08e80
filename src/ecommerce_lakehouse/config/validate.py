"""Checks settings files before anything uses them: `problems_of` lists every problem at once."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from pydantic import ValidationError

from ecommerce_lakehouse.config.resolve import (
    DEFAULT_ENVIRONMENT,
    ENVIRONMENTS,
    OVERRIDES,
    Problem,
    problems_in,
    setting,
)
from ecommerce_lakehouse.config.settings import LakehouseConfig, settings_file


def problems_of(environment: str) -> list[Problem]:
    """Everything that is wrong with an environment's settings, overrides included."""
    file = settings_file(environment)
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        return [Problem(file.name, "file", f"cannot be read: {error.strerror}")]
    except ValueError as error:
        return [Problem(file.name, "file", f"is not JSON: {error}")]
    if not isinstance(values, dict):
        return [Problem(file.name, "file", "must hold one JSON object")]
    overridden = {field: key for key, field in OVERRIDES.items() if setting(key)}
    values |= {field: setting(key) for field, key in overridden.items()}
    try:
        LakehouseConfig.model_validate(values | {"environment": environment})
    except ValidationError as error:
        return problems_in(error, file.name, overridden)
    return []


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m ecommerce_lakehouse.config --validate [--env NAME | --all]`; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m ecommerce_lakehouse.config", description="Check the settings of environments."
    )
    parser.add_argument("--validate", action="store_true", required=True, help="list what is wrong")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--env", choices=ENVIRONMENTS, default=DEFAULT_ENVIRONMENT, help="default: dev")
    which.add_argument("--all", action="store_true", help="every environment")
    arguments = parser.parse_args(argv)
    chosen = ENVIRONMENTS if arguments.all else (arguments.env,)
    problems = [problem for name in chosen for problem in problems_of(name)]
    for problem in problems:
        print(problem)
    if not problems:
        print(f"valid: {', '.join(settings_file(name).name for name in chosen)}")
    return 1 if problems else 0

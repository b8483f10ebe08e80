"""Options that the shop's commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from lakerun.cli.project import JsonOption

LOCAL = "local"


def complete_environment(incomplete: str) -> list[str]:
    """Environments whose name starts with what was typed."""
    from ecommerce_lakehouse.config import ENVIRONMENTS

    return [name for name in ENVIRONMENTS if name.startswith(incomplete)]


EnvironmentOption = Annotated[
    str,
    typer.Option(
        "--env",
        metavar="NAME",
        help="Environment whose settings apply: {environments}",
        autocompletion=complete_environment,
    ),
]

__all__ = ["LOCAL", "EnvironmentOption", "JsonOption"]

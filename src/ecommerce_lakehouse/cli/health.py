"""`lakehouse health`: check the lakehouse's health, without a JVM."""

from __future__ import annotations

from typing import Annotated

import typer

from ecommerce_lakehouse.cli.options import LOCAL, EnvironmentOption, JsonOption

NAME = "health"
EXAMPLES = "Examples:\n\nlakehouse health\n\nlakehouse health --days 30 --all\n\nlakehouse health --json"
STYLES = {"ok": "green", "failed": "red", "no data": "yellow"}


def command(
    days: Annotated[
        int | None,
        typer.Option("--days", min=1, max=365, help="Length of the period; by default the environment's."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Show a line for each dataset that is ok.")] = False,
    env: EnvironmentOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Check success rate, expectations, freshness, latency and cost; exit code 1 if one misses its target.

    The webhook that ALERT_WEBHOOK_URL names is notified when a check starts to fail and when it recovers.
    """
    from rich.markup import escape

    from ecommerce_lakehouse.config import get_config
    from ecommerce_lakehouse.observability import health
    from lakerun.cli.app import OK
    from lakerun.cli.output import console, new_table, print_json
    from lakerun.errors import FAILED

    config = get_config(env)
    found = health.current_health(config, days)
    if as_json:
        print_json(health.as_json(found))
    else:
        table = new_table(*health.COLUMNS, right=health.NUMBERS)
        for verdict, cells in health.rows(found, every):
            table.add_row(*map(escape, cells), style=STYLES[verdict])
        out = console()
        out.print(table)
        out.print(escape(health.summary(found)))
    if line := health.alert(found, config):
        typer.echo(line, err=True)
    raise typer.Exit(OK if found.healthy else FAILED)

"""`lakehouse metrics export`: write pipeline and business metrics to PostgreSQL, without a JVM."""

from __future__ import annotations

import typer

from ecommerce_lakehouse.cli.options import LOCAL, EnvironmentOption, JsonOption
from lakerun.cli.app import CommandGroup

NAME = "metrics"
EXAMPLES = (
    "Examples:\n\nPOSTGRES_HOST=localhost POSTGRES_PASSWORD=... lakehouse metrics export\n\n"
    "lakehouse metrics export --json"
)

app = typer.Typer(
    name=NAME,
    cls=CommandGroup,
    help="Metrics of the pipelines and of the business.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _group() -> None:
    """Without a callback, typer would turn the only command into the group itself."""


@app.command("export", epilog=EXAMPLES)
def export(env: EnvironmentOption = LOCAL, as_json: JsonOption = False) -> None:
    """Bring the PostgreSQL database of an environment up to date; exit code 1 if that fails."""
    from dataclasses import asdict

    from ecommerce_lakehouse.config import get_config
    from ecommerce_lakehouse.observability.metrics_export import job
    from lakerun.cli.app import fail
    from lakerun.cli.output import print_json
    from lakerun.errors import FAILED

    config = get_config(env)
    if config.postgres_host is None:
        if as_json:
            print_json({"configured": False})
        else:
            typer.echo(f"{job.NOT_CONFIGURED}; POSTGRES_HOST names a server")
        return
    from ecommerce_lakehouse.observability.metrics_export.export import export_metrics
    from ecommerce_lakehouse.observability.metrics_export.failures import ExportError

    try:
        done = export_metrics(config, on_retry=lambda line: typer.echo(line, err=True))
    except ExportError as error:
        raise typer.Exit(fail(f"metrics not exported: {error}", FAILED)) from None
    if as_json:
        print_json({"configured": True} | asdict(done))
    else:
        typer.echo(job.summary(config, done))

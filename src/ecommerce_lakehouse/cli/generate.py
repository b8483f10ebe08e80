"""`lakehouse generate`: new raw data for the pipelines."""

from __future__ import annotations

from typing import Annotated

import typer

from ecommerce_lakehouse.cli.options import LOCAL, EnvironmentOption, JsonOption

NAME = "generate"
app = typer.Typer(name=NAME, help="Write new raw data into the volume.", no_args_is_help=True)
EXAMPLES = (
    "Examples:\n\nlakehouse generate orders\n\n"
    "lakehouse generate orders --interval 1 --end 1 --batch-size 50\n\n"
    "lakehouse generate orders --interval 0.5 --end 60 --issue-rate 0.05"
)


@app.command("orders", epilog=EXAMPLES)
def orders(
    env: EnvironmentOption = LOCAL,
    interval: Annotated[float, typer.Option(help="Minutes between batches.")] = 1.0,
    end: Annotated[
        float, typer.Option(help="Minutes after which to stop; one batch is always written.")
    ] = 0.0,
    batch_size: Annotated[int, typer.Option(help="Orders in a batch.")] = 100,
    issue_rate: Annotated[
        float, typer.Option(help="Share of new orders with an intentional issue, 0 to 1.")
    ] = 0.0,
    update_rate: Annotated[
        float,
        typer.Option(help="Share of orders that the next batch updates, with late and repeated records."),
    ] = 0.02,
    seed: Annotated[int, typer.Option(help="Seed of all random values.")] = 42,
    as_json: JsonOption = False,
) -> None:
    """Write batches of orders as JSON files into orders/landing; order_analytics_pipeline reads them."""
    from ecommerce_lakehouse.config import get_config
    from ecommerce_lakehouse.generation.manifest import refuse_delivered
    from ecommerce_lakehouse.generation.order_batches import OrderGenerator, landing_folder, simulate
    from lakerun.cli.output import print_json

    config = get_config(env)
    refuse_delivered(config)
    written = []
    generator = OrderGenerator(
        seed=seed,
        customers=config.rows_generated.customers,
        issue_rate=issue_rate,
        update_rate=update_rate,
    )
    for batch in simulate(
        generator,
        landing_folder(config),
        interval_minutes=interval,
        end_minutes=end,
        batch_size=batch_size,
    ):
        written.append(
            {
                "file": str(batch.path),
                "orders": batch.orders,
                "revisions": batch.revisions,
                "issues": dict(batch.issues),
            }
        )
        if not as_json:
            typer.echo(str(batch))
    if as_json:
        print_json(written)

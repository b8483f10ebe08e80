"""`lakehouse activate`: what the lakehouse knows, sent to Customer.io."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecommerce_lakehouse.cli.options import LOCAL, EnvironmentOption, JsonOption

if TYPE_CHECKING:
    from ecommerce_lakehouse.activation.sync.activation import Activation
    from ecommerce_lakehouse.activation.sync.plan import SyncPlan
    from ecommerce_lakehouse.activation.sync.run import Result
    from ecommerce_lakehouse.config import LakehouseConfig

NAME = "activate"
app = typer.Typer(
    name=NAME,
    help="Send customers, orders and their changes to Customer.io, each once.",
    no_args_is_help=True,
)
PLAN_EXAMPLES = (
    "Examples:\n\nlakehouse activate plan\n\nlakehouse activate plan customers --json\n\n"
    "lakehouse activate plan --out monday.json"
)
RUN_EXAMPLES = (
    "Examples:\n\nCUSTOMERIO_KEY=... lakehouse activate run\n\nlakehouse activate run customers\n\n"
    "lakehouse activate run --plan monday.json"
)
REPLAY_EXAMPLES = "Examples:\n\nlakehouse activate replay\n\nlakehouse activate replay customers"
STATUS_EXAMPLES = "Examples:\n\nlakehouse activate status\n\nlakehouse activate status customers --json"


def complete_sync(incomplete: str) -> list[str]:
    """Syncs whose name starts with what was typed."""
    from ecommerce_lakehouse.activation.sync.declarations import FOLDER

    return sorted(file.stem for file in FOLDER.glob("*.yml") if file.stem.startswith(incomplete))


SyncsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[SYNC]...", help="By default every sync.", autocompletion=complete_sync),
]


@app.command("plan", epilog=PLAN_EXAMPLES)
def plan(
    syncs: SyncsArgument = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Save it, for 'activate run --plan'.")
    ] = None,
    env: EnvironmentOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Show what would be sent, with a sample; nothing is sent. Of personal data one character is shown."""
    from ecommerce_lakehouse.activation.sync.plan import plan_file
    from lakerun.cli.output import print_json

    with _activation(env, syncs) as (activation, config):
        found = list(activation.plan())
    if out is not None:
        plan_file(config, found).save(out)
    if as_json:
        print_json([each.model_dump(mode="json") for each in found])
        return
    _show_plans(found)
    if out is not None:
        typer.echo(f"Saved as {out}: 'lakehouse activate run --plan {out}' sends it.")


@app.command("run", epilog=RUN_EXAMPLES)
def run(
    syncs: SyncsArgument = None,
    plan: Annotated[
        Path | None,
        typer.Option("--plan", metavar="FILE", help="Only what this plan says, if it still holds."),
    ] = None,
    allow_deletes: Annotated[
        bool, typer.Option("--allow-deletes", help="Delete however many rows are gone.")
    ] = False,
    env: EnvironmentOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Send what is due. Exit code 1 if something is still due, 3 if another run is sending.

    The key comes from CUSTOMERIO_KEY, and says the region.
    """
    from ecommerce_lakehouse.activation.sync.plan import PlanFile

    saved = PlanFile.load(plan) if plan else None
    _send(env, syncs, as_json, saved=saved, allow_deletes=allow_deletes)


@app.command("replay", epilog=REPLAY_EXAMPLES)
def replay(syncs: SyncsArgument = None, env: EnvironmentOption = LOCAL, as_json: JsonOption = False) -> None:
    """Send again what Customer.io rejected, as it is now; 'activate status' shows the reasons."""
    _send(env, syncs, as_json, replay=True)


@app.command("status", epilog=STATUS_EXAMPLES)
def status(syncs: SyncsArgument = None, env: EnvironmentOption = LOCAL, as_json: JsonOption = False) -> None:
    """Show each sync's last run, what Customer.io has, and what it rejected. Starts no JVM."""
    from ecommerce_lakehouse.activation.sync.activation import chosen
    from ecommerce_lakehouse.activation.sync.status import statuses
    from ecommerce_lakehouse.config import get_config
    from ecommerce_lakehouse.observability.lakehouse import lakehouse_of
    from lakerun.cli.output import console, new_table, print_json

    config = get_config(env)
    found = statuses(lakehouse_of(config), [sync.name for sync in chosen(syncs or [])])
    if as_json:
        print_json(found)
        return
    numbers = ("Has", "Accepted", "Rejected", "Due")
    table = new_table("Sync", "Last run", "Ended", *numbers, "Rejected because", right=numbers)
    for item in found:
        last = item["last_run"]
        table.add_row(
            item["sync"],
            f"{last['at']:%Y-%m-%d %H:%M:%S}" if last else "never",
            last["event"].lower() if last else "",
            f"{item['delivered']:,}",
            f"{last['accepted'] or 0:,}" if last else "",
            f"{item['rejected']:,}",
            f"{last['due'] or 0:,}" if last else "",
            "\n".join(f"{reason} ({count:,})" for reason, count in item["reasons"].items()),
        )
    console().print(table)


def _send(env: str, syncs: list[str] | None, as_json: bool, **options: Any) -> None:
    from ecommerce_lakehouse.activation.sync.job import line_of
    from lakerun.cli.output import print_json
    from lakerun.errors import FAILED

    results: list[Result] = []
    with _activation(env, syncs) as (activation, _):
        for result in activation.run(**options, progress=_progress):
            results.append(result)
            if not as_json:
                typer.echo(line_of(result))
    if as_json:
        print_json([_as_json(result) for result in results])
    if any(result.due for result in results):
        raise typer.Exit(FAILED)


@contextmanager
def _activation(env: str, syncs: list[str] | None) -> Iterator[tuple[Activation, LakehouseConfig]]:
    """The syncs on a local Spark session, in which tables have their names."""
    from ecommerce_lakehouse.activation.sync.activation import Activation, chosen
    from ecommerce_lakehouse.config import get_config
    from ecommerce_lakehouse.observability.lakehouse import lakehouse_of

    names = syncs or []
    chosen(names)  # says what is wrong before Spark starts
    config = get_config(env)
    from lakerun.spark.session import get_session
    from lakerun.spark.task_tables import lakehouse_tables
    from lakerun.tables.storage import Storage

    spark = get_session()
    with lakehouse_tables(Storage.default()):
        yield Activation(spark, lakehouse_of(config), config, names), config


def _progress(sync: str, done: int, of: int) -> None:
    import sys

    if sys.stderr.isatty():
        end = "\n" if done >= of else "\r"
        typer.echo(f"{sync}: {done:,} of {of:,}{end}", err=True, nl=False)


def _show_plans(plans: list[SyncPlan]) -> None:
    import json

    from lakerun.cli.output import console, new_table
    from lakerun.formats import size

    numbers = ("Insert", "Update", "Delete", "Unchanged", "Rejected", "Bytes", "Calls", "Seconds")
    table = new_table("Sync", "Table", *numbers, right=numbers)
    for each in plans:
        table.add_row(
            each.sync,
            each.table,
            f"{each.insert:,}",
            f"{each.update:,}",
            f"{each.delete:,}" + (f" ({each.held:,} held)" if each.held else ""),
            f"{each.unchanged:,}",
            f"{each.rejected + each.refused:,}",
            size(each.bytes),
            f"{each.calls:,}",
            f"{each.seconds:,.1f}",
        )
    out = console()
    out.print(table)
    for each in plans:
        for reason, count in each.reasons.items():
            typer.echo(f"{each.sync}: {count:,} cannot be sent: {reason}")
    for each in plans:
        for message in each.sample:
            typer.echo(f"{each.sync}: {json.dumps(message, ensure_ascii=False)}")


def _as_json(result: Result) -> dict[str, Any]:
    return {
        "sync": result.sync,
        "run_id": result.run_id,
        "inserts": result.inserts,
        "updates": result.updates,
        "deletes": result.deletes,
        "unchanged": result.plan.unchanged,
        "rejected": result.rejected + result.refused,
        "reasons": result.reasons,
        "due": result.due,
        "error": result.error,
        "sent_bytes": result.sent_bytes,
        "seconds": result.seconds,
    }

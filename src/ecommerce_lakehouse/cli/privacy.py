"""`lakehouse privacy`: erase people from the lakehouse and from Customer.io, and prove it."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecommerce_lakehouse.cli.options import LOCAL, EnvironmentOption, JsonOption

if TYPE_CHECKING:
    from ecommerce_lakehouse.cli.erasure.laptop import DataFolder
    from ecommerce_lakehouse.config import LakehouseConfig
    from ecommerce_lakehouse.privacy.erasure import Outcome
    from ecommerce_lakehouse.privacy.place import Tell

NAME = "privacy"
app = typer.Typer(name=NAME, help="Erase people, and prove that they are gone.", no_args_is_help=True)
ERASE_EXAMPLES = (
    "Examples:\n\n"
    "lakehouse privacy erase --customer C000042 --dry-run\n\n"
    "lakehouse privacy erase --customer C000042 --customer C000043 --yes\n\n"
    "lakehouse privacy erase --customer C000042 --lakehouse-only --yes --json"
)
SCAN_EXAMPLES = "Examples:\n\nlakehouse privacy scan --customer C000042"
VERIFY_EXAMPLES = (
    "Examples:\n\nlakehouse privacy verify .lakehouse/volumes/local/data_eng/data/privacy/proofs/*.json"
)
RETAIN_EXAMPLES = "Examples:\n\nlakehouse privacy retain --dry-run\n\nlakehouse privacy retain"
CustomerOption = Annotated[
    list[str] | None, typer.Option("--customer", metavar="ID", help="A customer's id; repeatable.")
]


@app.command("erase", epilog=ERASE_EXAMPLES)
def erase(
    customers: CustomerOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what there is; remove nothing.")] = False,
    lakehouse_only: Annotated[bool, typer.Option("--lakehouse-only", help="Leave Customer.io out.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    env: EnvironmentOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Erase customers from every table and file, and from Customer.io; then scan every file for them.

    Exit code 0 means that nothing of them is left and Customer.io knows. 1: something is left, an id is
    unknown, or Customer.io was not told. 3: another run is using the data folder.
    """
    from ecommerce_lakehouse.config import get_config
    from ecommerce_lakehouse.observability.lakehouse import lakehouse_of
    from ecommerce_lakehouse.privacy import erasure, forgetting
    from lakerun.cli.app import OK
    from lakerun.errors import FAILED

    config = get_config(env)
    ids = erasure.clean_ids(customers or [])
    place = _place(config)
    forgets = None if lakehouse_only or dry_run else forgetting.configured(config, lakehouse_of(config))
    with place.exclusive():
        if dry_run:
            outcome = erasure.preview(config, place, ids, _tell(as_json))
        else:
            if not yes:
                typer.confirm(f"Erase {len(ids)} of the customers from the lakehouse for good?", abort=True)
            outcome = erasure.erase(
                config, place, ids, by=getpass.getuser(), forgets=forgets, tell=_tell(as_json)
            )
    unsent = outcome.not_sent or (
        forgetting.NOTHING_SENT if forgets is None and not lakehouse_only and not dry_run else ""
    )
    _show(outcome, unsent, dry_run, as_json)
    done = dry_run or (outcome.proof is not None and outcome.proof.scan.clean and not unsent)
    raise typer.Exit(OK if done and not outcome.unknown else FAILED)


@app.command("scan", epilog=SCAN_EXAMPLES)
def scan(
    customers: CustomerOption = None, env: EnvironmentOption = LOCAL, as_json: JsonOption = False
) -> None:
    """Look for customers in every file, decoded; exit code 1 if one is found. Nothing changes."""
    from ecommerce_lakehouse.config import get_config
    from ecommerce_lakehouse.privacy.erasure import clean_ids
    from lakerun.cli.app import OK
    from lakerun.cli.output import print_json
    from lakerun.errors import FAILED

    config = get_config(env)
    ids, place, tell = clean_ids(customers or []), _place(config), _tell(as_json)
    with place.exclusive():
        found = place.scan(place.search(ids, tell).people, tell)
    if as_json:
        print_json(found.model_dump())
    else:
        _findings(found)
    raise typer.Exit(OK if found.clean else FAILED)


@app.command("verify", epilog=VERIFY_EXAMPLES)
def verify(
    proofs: Annotated[list[Path], typer.Argument(help="Proofs, as erase wrote them.")],
    env: EnvironmentOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Check the signatures of proofs: whether they are what this lakehouse's secret signed."""
    from ecommerce_lakehouse.config import get_config
    from ecommerce_lakehouse.config.erased import privacy_secret
    from ecommerce_lakehouse.privacy.proof import read_proof
    from lakerun.cli.output import print_json

    secret = privacy_secret(get_config(env))
    found = []
    for file in proofs:
        proof = read_proof(file)
        proof.check(secret)
        found.append(
            {
                "request": proof.request,
                "at": proof.at,
                "files": len(proof.scan.files),
                "clean": proof.scan.clean,
            }
        )
    if as_json:
        print_json(found)
        return
    for item in found:
        verdict = "nobody found" if item["clean"] else "somebody found"
        typer.echo(f"{item['request']}: signed {item['at']}, {item['files']:,} files, {verdict}")


@app.command("retain", epilog=RETAIN_EXAMPLES)
def retain(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what is too old; remove nothing.")] = False,
    env: EnvironmentOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Remove rows of logs that are older than their table's retention, from every version."""
    from datetime import UTC, datetime

    from ecommerce_lakehouse.config import get_config
    from lakerun.cli.output import print_json
    from lakerun.formats import plural

    place = _place(get_config(env))
    with place.exclusive():
        removed = place.retain(datetime.now(UTC), dry_run=dry_run)
    if as_json:
        print_json([vars(item) for item in removed])
        return
    for item in removed:
        typer.echo(f"{item.what}: {plural(item.all_rows, 'row')}")
    typer.echo("Nothing is too old." if not removed else "Nothing was removed." if dry_run else "Removed.")


def _place(config: LakehouseConfig) -> DataFolder:
    from ecommerce_lakehouse.cli.erasure.laptop import DataFolder
    from lakerun.tables.storage import Storage

    return DataFolder(config, Storage.default())


def _tell(quiet: bool) -> Tell:
    return (lambda line: None) if quiet else (lambda line: typer.echo(line, err=True))


def _show(outcome: Outcome, unsent: str, dry_run: bool, as_json: bool) -> None:
    from lakerun.cli.output import console, new_table, print_json
    from lakerun.formats import plural

    proof = outcome.proof
    if as_json:
        print_json(
            {
                "request": outcome.request,
                "unknown": list(outcome.unknown),
                "erased_before": outcome.before,
                "removed": [vars(item) for item in outcome.removed],
                "findings": [item.model_dump() for item in proof.scan.findings] if proof else [],
                "files_scanned": len(proof.scan.files) if proof else 0,
                "proof": str(outcome.proof_file) if outcome.proof_file else None,
                "signature": proof.signature if proof else None,
                "customerio": outcome.sent or None,
                "not_sent": unsent or None,
            }
        )
        return
    for each in outcome.unknown:
        typer.echo(f"There is no customer '{each}' in the lakehouse, and none was erased.")
    for each, at in outcome.before.items():
        typer.echo(f"Customer '{each}' was erased before, at {at}.")
    if outcome.removed:
        table = new_table("From", "Kind", "Rows", "In all versions", right=("Rows", "In all versions"))
        for item in outcome.removed:
            every = f"{item.all_rows:,}" if item.all_rows else ""
            table.add_row(item.what, item.kind, f"{item.rows:,}" if item.rows else "", every)
        console().print(table)
    if dry_run:
        typer.echo("Nothing was removed.")
    elif proof:
        _findings(proof.scan)
        typer.echo(f"Proof: {outcome.proof_file}")
        if outcome.sent:
            typer.echo(outcome.sent)
        if any(item.kind == "to compute again" for item in outcome.removed):
            again = plural(sum(item.kind == "to compute again" for item in outcome.removed), "table")
            typer.echo(f"Run the pipelines: {again} will be computed again without them.")
    if unsent:
        typer.echo(unsent, err=True)


def _findings(scan: Any) -> None:
    from lakerun.formats import plural

    for item in scan.findings[:20]:
        typer.echo(
            f"Still there: {item.path}, {item.where or 'in it'} ({', '.join(item.kinds) or 'not readable'})"
        )
    verdict = "nobody found" if scan.clean else plural(len(scan.findings), "finding")
    typer.echo(f"{len(scan.files):,} files and {scan.size:,} bytes scanned, decoded: {verdict}.")

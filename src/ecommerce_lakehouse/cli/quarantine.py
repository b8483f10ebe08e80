"""`lakehouse quarantine`: refused rows with their reasons, corrections, and their replay."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecommerce_lakehouse.cli.options import LOCAL, EnvironmentOption, JsonOption

if TYPE_CHECKING:
    from ecommerce_lakehouse.config import LakehouseConfig
    from ecommerce_lakehouse.quality.replay import Corrections, QuarantinedRow

NAME = "quarantine"
app = typer.Typer(
    name=NAME, help="See which rows were refused and why, correct and replay them.", no_args_is_help=True
)
SHOW_EXAMPLES = (
    "Examples:\n\nlakehouse quarantine show orders\n\nlakehouse quarantine show orders --rule valid_price"
)
FIX_EXAMPLES = (
    "Examples:\n\n"
    "lakehouse quarantine fix orders --where \"status = 'lost'\" --set \"status = 'pending'\"\n\n"
    'lakehouse quarantine fix orders 3f0c9a51b2d4e677 --line \'{"order_id": "O-1", ...}\''
)
REPLAY_EXAMPLES = "Examples:\n\nlakehouse quarantine replay\n\nlakehouse run medallion_dlt_pipeline"
TargetArgument = Annotated[str, typer.Argument(help="Whose quarantine: orders, customers, ...")]


@app.command("list")
def list_(env: EnvironmentOption = LOCAL, as_json: JsonOption = False) -> None:
    """Count the refused rows of every quarantine by rule, and what became of them."""
    from ecommerce_lakehouse.config import get_config
    from ecommerce_lakehouse.quality.replay import REPLAYABLE
    from lakerun.cli.output import console, new_table, print_json

    config = get_config(env)
    found = []
    for target in REPLAYABLE:
        counted = _query(config, target, "SELECT count(*) AS rows FROM {table}")
        if counted is None:
            continue
        rules = _query(
            config,
            target,
            "SELECT rule, count(*) AS rows FROM (SELECT explode(broken_rules) AS rule FROM {table}) AS b "
            "GROUP BY rule ORDER BY rows DESC, rule",
        )
        corrections = _corrections(config, target).all()
        found.append(
            {
                "quarantine": target,
                "rows": counted[0]["rows"],
                "broken_rules": {row["rule"]: row["rows"] for row in rules or []},
                "waiting": sum(item.replay is None for item in corrections),
                "replayed": sum(item.replay is not None for item in corrections),
            }
        )
    if as_json:
        print_json(found)
        return
    table = new_table(
        "Quarantine", "Rows", "Broken rules", "Fixed", "Replayed", right=("Rows", "Fixed", "Replayed")
    )
    for item in found:
        rules_text = "\n".join(f"{rule} {rows:,}" for rule, rows in item["broken_rules"].items())
        table.add_row(
            item["quarantine"], f"{item['rows']:,}", rules_text, str(item["waiting"]), str(item["replayed"])
        )
    console().print(table)


@app.command("show", epilog=SHOW_EXAMPLES)
def show(
    target: TargetArgument,
    row: Annotated[str | None, typer.Argument(help="One row, by its id.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only rows that break this rule.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Rows at most.")] = 20,
    env: EnvironmentOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Show refused rows with their ids, reasons, raw lines and corrections."""
    from ecommerce_lakehouse.config import get_config
    from lakerun.cli.output import console, new_table, print_json

    config = get_config(env)
    corrections = _corrections(config, target)
    fixed = {item.row_id: item for item in corrections.all()}
    where = f"array_contains(broken_rules, '{rule}')" if rule else "true"
    found: list[dict[str, Any]] = [
        {
            "row": each.row_id,
            "broken_rules": list(each.broken_rules),
            "state": _state(fixed.get(each.row_id)),
            "source_file": each.source_file.rpartition("/")[2],
            "raw_text": each.raw_text,
            "corrected": fixed[each.row_id].corrected if each.row_id in fixed else None,
        }
        for each in _rows(config, target, where, [row] if row else [])
    ]
    if as_json:
        print_json(found[:limit])
        return
    table = new_table("Row", "State", "Broken rules", "File", "Line")
    for item in found[:limit]:
        line = item["raw_text"] + (f"\n-> {item['corrected']}" if item["corrected"] else "")
        table.add_row(item["row"], item["state"], "\n".join(item["broken_rules"]), item["source_file"], line)
    console().print(table)
    if len(found) > limit:
        console().print(f"{limit} of {len(found):,} rows; --limit shows more.")


@app.command("fix", epilog=FIX_EXAMPLES)
def fix(
    target: TargetArgument,
    rows: Annotated[
        list[str] | None, typer.Argument(help="Rows by their ids; else those of --where.")
    ] = None,
    line: Annotated[str | None, typer.Option(help="The whole corrected line of one row.")] = None,
    values: Annotated[
        list[str] | None, typer.Option("--set", help="field = SQL expression over the row; repeatable.")
    ] = None,
    where: Annotated[str, typer.Option(help="Which rows, in SQL over their fields as text.")] = "",
    reason: Annotated[str, typer.Option(help="Why, for the audit trail.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the new lines; record nothing.")] = False,
    env: EnvironmentOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Correct refused rows, by hand or by SQL; 'quarantine replay' then sends them back."""
    from ecommerce_lakehouse.config import get_config
    from lakerun.cli.output import print_json
    from lakerun.formats import plural

    ids = rows or []
    if (line is None) == (not values):
        raise typer.BadParameter("Give either --line, or --set once or more.")
    if line is not None and len(ids) != 1:
        raise typer.BadParameter("--line is for one row: give its id.")
    if not ids and not where:
        raise typer.BadParameter("Say which rows: their ids, or --where. For all rows: --where true.")
    config = get_config(env)
    corrections = _corrections(config, target)
    lines = _new_lines(config, target, ids, line, values or [], where or "true")
    if not dry_run:
        corrections.fix(lines, by=getpass.getuser(), reason=reason)
    if as_json:
        print_json([{"row": row.row_id, "corrected": new} for row, new in lines.items()])
        return
    for row, new in list(lines.items())[:10]:
        typer.echo(f"{row.row_id}  {new}")
    done = "would be corrected" if dry_run else "corrected; 'lakehouse quarantine replay' sends them back"
    typer.echo(f"{plural(len(lines), 'row')} {done}.")


@app.command("replay", epilog=REPLAY_EXAMPLES)
def replay(
    target: Annotated[str | None, typer.Argument(help="Whose quarantine; by default every one.")] = None,
    env: EnvironmentOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Send corrected rows back, each once; the pipeline's next run ingests them."""
    from ecommerce_lakehouse.config import get_config
    from ecommerce_lakehouse.quality.replay import REPLAYABLE
    from lakerun.cli.output import print_json
    from lakerun.formats import plural

    config = get_config(env)
    written: list[dict[str, Any]] = []
    for name in [target] if target else REPLAYABLE:
        corrections = _corrections(config, name)
        for done in corrections.replay(by=getpass.getuser()):
            file = str(corrections.arrival(done))
            written.append(
                {"quarantine": name, "replay": done.replay_id, "rows": len(done.rows), "file": file}
            )
    if as_json:
        print_json(written)
        return
    for item in written:
        typer.echo(f"{item['quarantine']}: {plural(item['rows'], 'row')} in {item['file']}")
    typer.echo("Run the pipeline to ingest them." if written else "There is nothing to replay.")


def _corrections(config: LakehouseConfig, target: str) -> Corrections:
    from ecommerce_lakehouse.quality.replay import REPLAYABLE, Corrections
    from lakerun.errors import UnknownNameError

    if target not in REPLAYABLE:
        raise UnknownNameError("quarantine", target, REPLAYABLE)
    return Corrections(config, target)


def _new_lines(
    config: LakehouseConfig, target: str, ids: list[str], line: str | None, values: list[str], where: str
) -> dict[QuarantinedRow, str]:
    from ecommerce_lakehouse.quality.replay import REPLAYABLE, ReplayError, corrected_lines, correcting_query

    if line is not None:
        return dict.fromkeys(_rows(config, target, where, ids), line)
    sets = {}
    for pair in values:
        field, separator, expression = pair.partition("=")
        if not separator or not expression.strip():
            raise ReplayError(f"'{pair}' sets nothing: write --set \"field = expression\".")
        sets[field.strip()] = expression.strip()
    table = config.get_table_name("quarantine", target)
    found = _query(config, target, correcting_query(table, REPLAYABLE[target], sets, where)) or []
    lines = corrected_lines(found, sets)
    return {row: new for row, new in lines.items() if not ids or row.row_id in _known(ids, lines)}


def _rows(config: LakehouseConfig, target: str, where: str, ids: list[str]) -> list[QuarantinedRow]:
    from ecommerce_lakehouse.quality.replay import REPLAYABLE, QuarantinedRow, correcting_query

    table = config.get_table_name("quarantine", target)
    found = _query(config, target, correcting_query(table, REPLAYABLE[target], where=where)) or []
    rows = dict.fromkeys(QuarantinedRow.model_validate(row) for row in found)
    return [row for row in rows if not ids or row.row_id in _known(ids, rows)]


def _known(ids: list[str], rows: Any) -> list[str]:
    from lakerun.errors import UnknownNameError

    known = {row.row_id for row in rows}
    for given in ids:
        if given not in known:
            raise UnknownNameError("quarantined row", given, sorted(known)[:20])
    return ids


def _query(config: LakehouseConfig, target: str, sql: str) -> list[dict[str, Any]] | None:
    """The rows of a query in which `{table}` is the quarantine table; None if it does not exist yet."""
    from ecommerce_lakehouse.cli.laptop import Laptop
    from lakerun.tables.delta_table import Table
    from lakerun.tables.storage import Storage, TableName

    table = config.get_table_name("quarantine", target)
    if not Table.named(Storage.default(), TableName(*table.split("."))).exists:
        return None
    return Laptop(config).rows(sql.replace("{table}", table))


def _state(correction: Any) -> str:
    if correction is None:
        return "open"
    return "fixed" if correction.replay is None else "replayed"

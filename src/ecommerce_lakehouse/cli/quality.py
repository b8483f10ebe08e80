"""`lakehouse quality`: list the rules of every dataset, and test the rules themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecommerce_lakehouse.cli.options import LOCAL, EnvironmentOption, JsonOption

if TYPE_CHECKING:
    from ecommerce_lakehouse.config import LakehouseConfig
    from ecommerce_lakehouse.quality.rule import RuleSet

app = typer.Typer(
    name="quality",
    help="Show the rules of every dataset, and test the rules themselves.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
LIST_EXAMPLES = "Examples:\n\nlakehouse quality list\n\nlakehouse quality list silver_orders --json"
TEST_EXAMPLES = "Examples:\n\nlakehouse quality test\n\nlakehouse quality test --env prod --json"


def complete_dataset(incomplete: str) -> list[str]:
    """Datasets with rules whose name starts with what was typed."""
    from ecommerce_lakehouse.config import get_config
    from ecommerce_lakehouse.quality.rules import datasets_with_rules

    return [name for name in datasets_with_rules(get_config(LOCAL)) if name.startswith(incomplete)]


DatasetArgument = Annotated[
    str | None,
    typer.Argument(help="Only this dataset's; by default every dataset's.", autocompletion=complete_dataset),
]


@app.command("list", epilog=LIST_EXAMPLES)
def list_rules(
    dataset: DatasetArgument = None, env: EnvironmentOption = LOCAL, as_json: JsonOption = False
) -> None:
    """List the rules: what must hold, what happens otherwise, why, and who owns them."""
    from rich.markup import escape

    from ecommerce_lakehouse.config import get_config
    from lakerun.cli.output import console, new_table, print_json

    found = [
        row for name, rules in _rule_sets(dataset, get_config(env)).items() for row in _described(name, rules)
    ]
    if as_json:
        print_json(found)
        return
    columns = ("dataset", "rule", "severity", "requirement", "tolerance", "reason", "owner")
    table = new_table(*(name.capitalize() for name in columns))
    for row in found:
        table.add_row(*(escape(row[name] or "") for name in columns))
    console().print(table)


@app.command("test", epilog=TEST_EXAMPLES)
def try_out(
    dataset: DatasetArgument = None, env: EnvironmentOption = LOCAL, as_json: JsonOption = False
) -> None:
    """Test every rule on rows built to pass it and to break it; fail if a rule is never broken."""
    from dataclasses import asdict

    from ecommerce_lakehouse.config import get_config
    from ecommerce_lakehouse.quality.rule_tests import run_rule_tests
    from lakerun.cli.output import console, new_table, print_json
    from lakerun.cli.quiet import output_to
    from lakerun.errors import FAILED
    from lakerun.formats import plural
    from lakerun.spark.session import get_session
    from lakerun.tables.storage import Storage

    rule_sets = _rule_sets(dataset, get_config(env))
    out = console()  # made before the output is redirected
    log = Storage.default().log_path("quality")
    with output_to(log):
        tested = run_rule_tests(get_session(log), rule_sets)
    bad = [item for item in tested if item.problem]
    if as_json:
        print_json([asdict(item) | {"passed": not item.problem} for item in tested])
    else:
        if bad:
            table = new_table("Dataset", "Rule", "Problem", "Written at")
            for item in bad:
                table.add_row(item.dataset, item.rule, item.problem, _relative(item.location))
            out.print(table)
        verdict = f"{plural(len(bad), 'rule')} failed" if bad else "each is broken only by the rows meant to"
        tried = f"{plural(len(tested), 'rule')} of {plural(len(rule_sets), 'dataset')}"
        out.print(f"{tried}, {plural(sum(item.cases for item in tested), 'case')}: {verdict}.")
    if bad:
        raise typer.Exit(FAILED)


def _rule_sets(dataset: str | None, config: LakehouseConfig) -> dict[str, RuleSet]:
    from ecommerce_lakehouse.quality.rules import datasets_with_rules, rules_for
    from lakerun.errors import UnknownNameError

    names = datasets_with_rules(config)
    if dataset is not None and dataset not in names:
        raise UnknownNameError("dataset with rules", dataset, names)
    return {name: rules_for(name, config) for name in names if dataset in (None, name)}


def _described(dataset: str, rules: RuleSet) -> list[dict[str, Any]]:
    from ecommerce_lakehouse.quality.checks import describe
    from ecommerce_lakehouse.quality.rule import AnyRule

    everything: list[AnyRule] = [*rules.rules, *rules.checks]
    rows = []
    for rule in everything:
        kind, requirement = describe(rule)
        rows.append(
            {
                "dataset": dataset,
                "rule": rule.name,
                "kind": kind,
                "severity": rule.severity,
                "requirement": requirement,
                "tolerance": str(rule.tolerance) if rule.tolerance else None,
                "reason": rule.reason,
                "owner": rule.owner,
                "location": _relative(rule.location),
            }
        )
    return rows


def _relative(location: str) -> str:
    from lakerun.cli.project import project_root
    from lakerun.errors import LakerunError

    try:
        return location.removeprefix(f"{project_root()}/")
    except LakerunError:
        return location

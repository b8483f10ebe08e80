"""`lakehouse validate`: everything that is wrong in the project, before anything runs."""

from __future__ import annotations

import typer

from ecommerce_lakehouse.cli.project import LOCAL, EnvironmentOption, JsonOption

NAME = "validate"
EXAMPLES = "Examples:\n\nlakehouse validate\n\nlakehouse validate --env prod --json"


def command(env: EnvironmentOption = LOCAL, as_json: JsonOption = False) -> None:
    """Check the bundle, every pipeline, rule and dashboard; list all problems with file and line."""
    from dataclasses import asdict

    from rich.markup import escape

    from ecommerce_lakehouse.cli.app import FAILED, fail
    from ecommerce_lakehouse.cli.output import console, new_table, plural, print_json
    from ecommerce_lakehouse.cli.project import project_root
    from ecommerce_lakehouse.cli.quiet import output_to
    from ecommerce_lakehouse.config import get_config
    from ecommerce_lakehouse.engine.session import get_session
    from ecommerce_lakehouse.engine.storage import Storage
    from ecommerce_lakehouse.engine.validation import validate

    config, root = get_config(env), project_root()
    variables = {
        "environment": env,
        "catalog": config.catalog,
        "schema": config.schema,
        "volume": config.volume,
    }
    out = console()  # made before the output is redirected
    log = Storage.default().log_path("validate")
    with output_to(log):
        get_session(log)
        problems = validate(root, variables, config)
    if as_json:
        print_json([asdict(problem) for problem in problems])
    elif problems:
        table = new_table("Where", "Problem")
        for problem in problems:
            table.add_row(escape(problem.location), escape(problem.message))
        out.print(table)
    else:
        out.print("Nothing is wrong in the bundle, the pipelines, the rules and the dashboards.")
    if problems:
        raise typer.Exit(fail(f"{plural(len(problems), 'problem')} found.", FAILED))

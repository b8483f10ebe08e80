"""`lakerun validate`: all problems of the project, before anything runs."""

from __future__ import annotations

import typer

from lakerun.cli.project import EnvironmentOption, JsonOption

NAME = "validate"
EXAMPLES = "Examples:\n\n{program} validate\n\n{program} validate --json"


def command(env: EnvironmentOption = None, as_json: JsonOption = False) -> None:
    """Check the bundle, every pipeline, rule and dashboard; list all problems with file and line."""
    from dataclasses import asdict

    from rich.markup import escape

    from lakerun.cli.app import fail
    from lakerun.cli.output import console, new_table, print_json
    from lakerun.cli.project import environment_here, project_plugin, project_root
    from lakerun.cli.quiet import output_to
    from lakerun.errors import FAILED
    from lakerun.formats import plural
    from lakerun.pipelines.validation import validate
    from lakerun.spark.session import get_session
    from lakerun.tables.storage import Storage

    root, plugin, found = project_root(), project_plugin(), environment_here(env)
    name = env or (plugin.environments.default if plugin and plugin.environments else "")
    rules = plugin.validator(name) if plugin and plugin.validator else None
    out = console()  # made before the output is redirected
    log = Storage.default().log_path("validate")
    with output_to(log):
        get_session(log)
        checked = validate(root, found.variables if found else {}, rules)
    problems = checked.problems
    if as_json:
        print_json([asdict(problem) for problem in problems])
    elif problems:
        table = new_table("Where", "Problem")
        for problem in problems:
            table.add_row(escape(problem.location), escape(problem.message))
        out.print(table)
    else:
        counted = [plural(count, noun) for noun, count in checked.counts.items() if count]
        out.print(f"Nothing is wrong in the bundle: {', '.join(counted)}.")
        if names := _without_effect():
            out.print(f"Settings without effect on this machine: {escape(names)}.")
    if problems:
        raise typer.Exit(fail(f"{plural(len(problems), 'problem')} found.", FAILED))


def _without_effect() -> str:
    """The names of the settings without effect here, which are not problems."""
    from lakerun.bundles.model import JobSpec, PipelineSpec
    from lakerun.cli.project import load_project

    bundle = load_project()
    specs: list[PipelineSpec | JobSpec] = [*bundle.pipelines.values(), *bundle.jobs.values()]
    found = {finding.setting for spec in specs for finding in spec.without_effect}
    return ", ".join(sorted(found))

"""`lakerun list`: the bundle's jobs and pipelines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lakerun.cli.project import EnvironmentOption, JsonOption, TargetOption

if TYPE_CHECKING:
    from lakerun.bundles.load import Bundle

NAME = "list"
EXAMPLES = "Examples:\n\n{program} list\n\n{program} list --target prod --json"


def command(env: EnvironmentOption = None, target: TargetOption = None, as_json: JsonOption = False) -> None:
    """List the bundle's jobs and pipelines, as a target has them."""
    from rich.markup import escape

    from lakerun.cli.output import console, new_table, print_json
    from lakerun.cli.project import load_project

    bundle = load_project(env, target)
    jobs, pipelines = _jobs(bundle), _pipelines(bundle)
    if as_json:
        print_json({"bundle": bundle.name, "target": bundle.target, "jobs": jobs, "pipelines": pipelines})
        return
    table = new_table("Name", "Kind", "What it does", "Schedule")
    for job in jobs:
        what = job["description"] or f"tasks: {', '.join(job['tasks'])}"
        table.add_row(escape(job["name"]), "job", escape(what), escape(job["schedule"]))
    for pipeline in pipelines:
        what = pipeline["description"] or f"tables in {pipeline['catalog']}.{pipeline['schema']}"
        table.add_row(escape(pipeline["name"]), "pipeline", escape(what), "")
    out = console()
    out.print(table)
    out.print(f"[dim]bundle {bundle.name}, target {bundle.target}[/dim]")


def _jobs(bundle: Bundle) -> list[dict[str, Any]]:
    resources = bundle.resources.get("jobs", {})
    return [
        {
            "name": key,
            "description": resources.get(key, {}).get("description") or "",
            "parameters": job.parameters,
            "tasks": [task.key for task in job.tasks],
            "schedule": _schedule(job.schedule),
        }
        for key, job in bundle.jobs.items()
    ]


def _pipelines(bundle: Bundle) -> list[dict[str, Any]]:
    resources = bundle.resources.get("pipelines", {})
    return [
        {
            "name": key,
            "description": resources.get(key, {}).get("description") or "",
            "catalog": pipeline.catalog,
            "schema": pipeline.schema,
            "event_log": str(pipeline.event_log) if pipeline.event_log else None,
            "configuration": pipeline.configuration,
        }
        for key, pipeline in bundle.pipelines.items()
    ]


def _schedule(schedule: dict[str, Any] | None) -> str:
    if not schedule:
        return ""
    when = schedule.get("quartz_cron_expression", "")
    zone = schedule.get("timezone_id", "UTC")
    state = " (paused)" if schedule.get("pause_status") == "PAUSED" else ""
    return f"{when} {zone}{state}"

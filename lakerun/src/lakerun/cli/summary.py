"""The table at the end of a run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.markup import escape

from lakerun.cli.output import new_table
from lakerun.jobs.results import JobResult
from lakerun.pipelines.progress import short_name
from lakerun.pipelines.results import DatasetResult, ExpectationResult, SkipReason, UpdateResult

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

# The effect of a broken expectation on the row; a dropped row may be in the entity's quarantine table.
VERBS = {"ALLOW": "warned", "DROP": "dropped", "FAIL": "failed"}
STYLES = {"ALLOW": "yellow", "DROP": "yellow", "FAIL": "bold red"}


def print_summary(console: Console, result: UpdateResult | JobResult) -> None:
    """Print each update's datasets with rows, expectations and seconds, then the result of the run."""
    for update in updates_of(result):
        _print_update(console, update)
    name = result.job if isinstance(result, JobResult) else result.pipeline
    style = "green" if succeeded(result) else "bold red"
    console.print(f"{escape(name)} [{style}]{result.state}[/] in {result.seconds:.1f} s")


def updates_of(result: UpdateResult | JobResult) -> Iterator[UpdateResult]:
    """The updates of a run in order, those of nested jobs included."""
    if isinstance(result, UpdateResult):
        yield result
        return
    for task in result.tasks:
        if task.update:
            yield task.update
        if task.job:
            yield from updates_of(task.job)


def succeeded(result: UpdateResult | JobResult) -> bool:
    """Whether the run succeeded."""
    return result.state in ("COMPLETED", "SUCCESS", "SUCCESS_WITH_FAILURES")


def reason(result: UpdateResult | JobResult) -> str:
    """Why a run failed, in one line."""
    if isinstance(result, UpdateResult):
        return result.error or f"the update ended as {result.state}"
    failed = [task for task in result.tasks if task.state in ("FAILED", "TIMEDOUT", "CANCELED")]
    return (
        "; ".join(f"task '{task.key}': {task.error}" for task in failed)
        or result.error
        or f"the job ended as {result.state}"
    )


def _print_update(console: Console, update: UpdateResult) -> None:
    console.print(f"\n[bold]{escape(update.pipeline)}[/] {update.state} in {update.seconds:.1f} s")
    current = [dataset for dataset in update.datasets if dataset.skip_reason is SkipReason.UP_TO_DATE]
    shown = [dataset for dataset in update.datasets if dataset not in current]
    if shown:
        table = new_table(
            "Dataset", "Rows written", "Rows dropped", "Expectations", "Seconds",
            right=("Rows written", "Rows dropped", "Seconds"),
        )  # fmt: skip
        names = {short_name(dataset.name) for dataset in update.datasets}
        for dataset in shown:
            entity = short_name(dataset.name).partition("_")[2]
            _add_row(table, dataset, kept=f"quarantine_{entity}" in names)
        console.print(table)
    if current:
        current_names = ", ".join(short_name(dataset.name) for dataset in current)
        console.print(f"[dim]up to date: {escape(current_names)}[/]")


def _add_row(table: Table, dataset: DatasetResult, kept: bool) -> None:
    name = escape(short_name(dataset.name))
    if dataset.status != "COMPLETED":
        name += (
            f" [bold red]{dataset.status}[/]" if dataset.status == "FAILED" else f" [dim]{dataset.status}[/]"
        )
    lines = [_expectation(item, kept) for item in dataset.expectations if item.failed]
    held = sum(not item.failed for item in dataset.expectations)
    if held:
        lines.append(f"[dim]{held} held[/]")
    lines += [
        f"[dim]{escape(label.replace('_', ' '))} {count:,}[/]" for label, count in dataset.metrics.items()
    ]
    if dataset.note:
        lines.append(f"[dim]{escape(dataset.note)}[/]")
    dropped = f"{dataset.rows_dropped:,}" if dataset.rows_dropped else ""
    seconds = f"{dataset.seconds:.1f}"
    table.add_row(name, f"{dataset.rows_written:,}", dropped, "\n".join(lines), seconds)


def _expectation(item: ExpectationResult, kept: bool) -> str:
    verb = "quarantined" if kept and item.action == "DROP" else VERBS[item.action]
    return f"{escape(item.name)} [{STYLES[item.action]}]{verb} {item.failed:,}[/]"

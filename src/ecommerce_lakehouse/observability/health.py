"""The health check as a command, for a Databricks Python wheel task and the laptop: `main`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.config.arguments import add_config_arguments, config_from, usage_errors
from ecommerce_lakehouse.observability.activation_checks import activation_checks
from ecommerce_lakehouse.observability.health_checks import Check, Health, Verdict, amount, check_health
from ecommerce_lakehouse.observability.health_sql import EVENTS
from ecommerce_lakehouse.observability.lakehouse import SecretError, has_events, lakehouse_of, secret_of
from ecommerce_lakehouse.observability.text_table import text_table
from ecommerce_lakehouse.observability.webhook import notify_webhook

COLUMNS = ("Check", "Dataset", "Figure", "Target", "Verdict", "Trend", "Before", "Note")
NUMBERS = ("Figure", "Target", "Before")


def main(argv: Sequence[str] | None = None) -> None:
    """Check an environment's health, print every figure, and exit with 1 if one misses its target.

    `argv` defaults to the process's arguments. With `--report` the exit code is 0 whatever the verdicts, and
    no webhook is notified. Raises SystemExit with code 2, after one line on standard error, for a wrong
    argument or setting, or without an event log.
    """
    parser = argparse.ArgumentParser(
        prog="check_health",
        description="Success rate, expectation failures, freshness, latency and cost against their targets.",
        allow_abbrev=False,
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed; the default")
    parser.add_argument("--report", action="store_true", help="only report: exit with 0 in any case")
    parser.add_argument("--json", action="store_true", help="print JSON, and nothing else, on stdout")
    parser.add_argument("--all", action="store_true", help="show a line for each dataset that is ok")
    parser.add_argument("--days", type=_days, help="length of the period; default: the environment's")
    add_config_arguments(parser)
    arguments = parser.parse_args(argv)
    with usage_errors(parser):
        config = config_from(arguments)
        health = current_health(config, arguments.days)
    if not arguments.report and (line := alert(health, config)):
        print(line, file=sys.stderr)
    if arguments.json:
        print(json.dumps(as_json(health), indent=2))
    else:
        shown = [cells for _, cells in rows(health, arguments.all)]
        print(text_table(COLUMNS, shown, right=NUMBERS))
        print(summary(health))
    if not health.healthy and not arguments.report:
        raise SystemExit(1)


def current_health(config: LakehouseConfig, days: int | None = None) -> Health:
    """The health of an environment now.

    `days` is the length of the period, by default the environment's. Raises HealthError, in one line.
    """
    lakehouse = lakehouse_of(config)
    tables = lakehouse.tables()
    events = lakehouse.reference(EVENTS) if has_events(tables) else None
    found = check_health(lakehouse.rows, events, config, billed=lakehouse.billed, days=days)
    period = (found.now - timedelta(days=2 * found.days), found.now - timedelta(days=found.days), found.now)
    sent = activation_checks(lakehouse, {table.name for table in tables}, config, period)
    return replace(found, checks=(*found.checks, *sent))


def alert(health: Health, config: LakehouseConfig) -> str:
    """Notify the webhook, if there is one, of checks that have started to fail or have recovered.

    Returns one line that says what was sent, or why it was not; empty if there was nothing to send.
    """
    try:
        url = secret_of(lakehouse_of(config), "ALERT_WEBHOOK_URL", config.alert_webhook_key)
    except SecretError as error:
        return f"The webhook was not notified: {error}."
    if url is None:
        return ""
    outcome = notify_webhook(health, config, url)
    if outcome.unsent:
        changes = _changes(outcome.unsent)
        return f"The webhook was not notified of {changes}: {outcome.problem}. The next check tries again."
    return f"The webhook was notified of {_changes(outcome.sent)}." if outcome.sent else ""


def as_json(health: Health) -> dict[str, Any]:
    """A health check as JSON values."""
    return {
        "environment": health.environment,
        "healthy": health.healthy,
        "now": health.now.isoformat().replace("+00:00", "Z"),
        "days": health.days,
        "checks": [asdict(check) for check in health.checks],
    }


def rows(health: Health, every: bool = False) -> list[tuple[Verdict, tuple[str, ...]]]:
    """What the report shows: of each check its verdict and its cells under COLUMNS.

    Subjects of one check that are ok, or without data, share a line, which has the figure nearest to its
    target; `every` shows each by itself.
    """
    shown: list[tuple[Verdict, tuple[str, ...]]] = []
    folded: set[tuple[str, Verdict]] = set()
    for check in health.checks:
        kind = check.name, check.verdict
        same = [other for other in health.checks if (other.name, other.verdict) == kind]
        if every or check.verdict == "failed" or len(same) == 1:
            shown.append((check.verdict, cells(check)))
        elif kind not in folded:
            folded.add(kind)
            total = sum(other.name == check.name for other in health.checks)
            shown.append((check.verdict, _together(same, total)))
    return shown


def _together(checks: Sequence[Check], total: int) -> tuple[str, ...]:
    worst = max(checks, key=lambda check: (check.figure or 0.0) / check.target if check.target else 0.0)
    name, _, figure, target, verdict, _, before, _ = cells(worst)
    subject = f"all {total}" if len(checks) == total else f"{len(checks)} of {total}"
    notes = {check.note for check in checks}
    note = f"worst: {worst.subject}" if worst.figure is not None else notes.pop() if len(notes) == 1 else ""
    return name, subject, figure, target, verdict, "", before, note


def cells(check: Check) -> tuple[str, ...]:
    """A check's row under COLUMNS."""
    sign = ">" if check.passes_above else "<"
    return (
        check.name,
        check.subject,
        amount(check.figure, check.unit),
        f"{sign} {amount(check.target, check.unit)}",
        check.verdict,
        check.trend,
        amount(check.previous, check.unit),
        check.note,
    )


def summary(health: Health) -> str:
    """One line: healthy or not, and which checks failed."""
    failed = [check for check in health.checks if check.verdict == "failed"]
    period = f"the last {health.days} days of {health.environment}"
    if not failed:
        return f"healthy: {len(health.checks)} checks over {period}"
    names = ", ".join(f"{check.name} of {check.subject}" if check.subject else check.name for check in failed)
    return f"unhealthy: {len(failed)} of {len(health.checks)} checks over {period} failed: {names}"


def _changes(number: int) -> str:
    return f"{number} change{'' if number == 1 else 's'}"


def _days(value: str) -> int | None:
    if not value:
        return None
    if not value.isdigit() or not 1 <= int(value) <= 365:
        raise argparse.ArgumentTypeError(f"'{value}' is not a number of days from 1 to 365")
    return int(value)


if __name__ == "__main__":
    main()

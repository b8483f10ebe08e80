"""Corrects quarantined rows by SQL and sends them back, as a Python wheel task: `main`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ecommerce_lakehouse.config.arguments import (
    add_config_arguments,
    config_from,
    spark_session,
    usage_errors,
)
from ecommerce_lakehouse.quality.replay import (
    REPLAYABLE,
    Corrections,
    corrected_lines,
    correcting_query,
)


def main(argv: Sequence[str] | None = None) -> None:
    """Replay the waiting corrections of every quarantine, after correcting rows by `--field` and the like.

    `argv` defaults to the process's arguments; an empty value counts as not given. Raises SystemExit with
    code 2, after one line on standard error, for a wrong argument, setting or correction.
    """
    parser = argparse.ArgumentParser(
        prog="replay_quarantine", description="Send corrected rows of the quarantines back, each once."
    )
    add_config_arguments(parser)
    parser.add_argument("--quarantine", help=f"one of {', '.join(REPLAYABLE)}; default: every one")
    parser.add_argument("--field", help="field that a correction sets")
    parser.add_argument("--expression", help="SQL over the row's fields as text, for that field")
    parser.add_argument("--where", help="which rows, in SQL over their fields as text")
    parser.add_argument("--reason", help="why, for the audit trail")
    arguments = parser.parse_args(argv)
    correction = (arguments.field, arguments.expression, arguments.where)
    if any(correction) and not (all(correction) and arguments.quarantine):
        parser.exit(2, f"{parser.prog}: a correction needs quarantine, field, expression and where.\n")
    with usage_errors(parser):
        config = config_from(arguments)
        spark = spark_session("replay_quarantine")
        user = str(spark.sql("SELECT current_user()").head()[0])  # type: ignore[index]
        for target in [arguments.quarantine] if arguments.quarantine else REPLAYABLE:
            corrections = Corrections(config, target)
            if arguments.field:
                sets = {arguments.field: arguments.expression}
                table = config.get_table_name("quarantine", target)
                query = correcting_query(table, corrections.entity, sets, arguments.where)
                found = [row.asDict() for row in spark.sql(query).collect()]
                replayed = {item.row_id for item in corrections.all() if item.replay}
                lines = corrected_lines(found, sets)
                fresh = {row: line for row, line in lines.items() if row.row_id not in replayed}
                corrections.fix(fresh, by=user, reason=arguments.reason or "")
                print(f"{target}: {len(fresh):,} rows corrected, {len(lines) - len(fresh):,} replayed before")
            for done in corrections.replay(by=user):
                print(f"{target}: {len(done.rows):,} rows in {corrections.arrival(done).name}")


if __name__ == "__main__":
    main()

"""Updates the relation `pipeline_events`, as a Python wheel task: `main`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ecommerce_lakehouse.config.arguments import add_config_arguments, config_from, usage_errors
from ecommerce_lakehouse.observability.health_sql import EVENTS
from ecommerce_lakehouse.observability.lakehouse import lakehouse_of


def main(argv: Sequence[str] | None = None) -> None:
    """Make `pipeline_events` cover every event log of an environment's schema, and print their names.

    On Databricks this creates or replaces a view; without an event log it does nothing. `argv` defaults to
    the process's arguments. Raises SystemExit with code 2, after one line on standard error, for a wrong
    argument or setting.
    """
    parser = argparse.ArgumentParser(
        prog="create_events_view",
        description="Create the view over the event logs of all pipelines.",
        allow_abbrev=False,
    )
    add_config_arguments(parser)
    with usage_errors(parser):
        config = config_from(parser.parse_args(argv))
    logs = lakehouse_of(config).create_events()
    place = f"{config.catalog}.{config.schema}"
    print(f"{EVENTS} of {place}: {', '.join(logs)}" if logs else f"no event log in {place} yet")


if __name__ == "__main__":
    main()

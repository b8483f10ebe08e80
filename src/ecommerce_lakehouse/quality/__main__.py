"""`python -m ecommerce_lakehouse.quality --test`: the same as `lakehouse quality test`."""

from __future__ import annotations

import argparse

# A command is above all layers, wherever it is called from; pyproject.toml allows this one import.
from ecommerce_lakehouse.cli.main import command_line


def main() -> None:
    """Pass the arguments on to the command line, which ends the process."""
    parser = argparse.ArgumentParser(prog="python -m ecommerce_lakehouse.quality", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--test", action="store_true", help="test every rule")
    what.add_argument("--list", action="store_true", help="list every rule")
    parser.add_argument("--env", default="local", help="environment whose settings apply; default local")
    parser.add_argument("--json", action="store_true", help="print JSON, and nothing else, on stdout")
    given = parser.parse_args()
    command = ["quality", "test" if given.test else "list", "--env", given.env]
    command_line()([*command, "--json"] if given.json else command)


if __name__ == "__main__":
    main()

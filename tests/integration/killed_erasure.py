"""An erasure that a test can kill: `python -m tests.integration.killed_erasure DEATH ID...`.

Erases the customers from the data folder that `LAKEHOUSE_HOME` names. At the change of the file system with
the number DEATH, such as a rename, the process kills itself; 0 means never. At its end it prints how many
there were.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ecommerce_lakehouse.cli.erasure.laptop import DataFolder
from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.privacy.erasure import erase
from lakerun.tables.storage import Storage

CHANGES = ("rename", "replace", "unlink", "mkdir", "write_text", "write_bytes")


def main() -> None:
    death, *ids = sys.argv[1:]
    numbers = itertools.count(1)

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def change(*arguments: Any, **options: Any) -> Any:
            if next(numbers) == int(death):
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **options)

        return change

    for name in CHANGES:
        setattr(Path, name, counted(getattr(Path, name)))
    os.link = counted(os.link)
    config = get_config("local")
    place = DataFolder(config, Storage.default())
    with place.exclusive():
        outcome = erase(config, place, frozenset(ids), by="ops", forgets=None, tell=lambda line: None)
    assert outcome.proof is not None
    assert outcome.proof.scan.clean, outcome.proof.scan.findings
    print(next(numbers) - 1)


if __name__ == "__main__":
    main()

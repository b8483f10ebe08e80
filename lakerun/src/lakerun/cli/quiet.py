"""Keeps what libraries print away from the console: `output_to`."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from lakerun.redaction import RedactingFormatter, RedactingStream


@contextmanager
def output_to(log: Path) -> Iterator[None]:
    """Append what Python code prints or warns within to a log file, without the secrets that it has read.

    A console that was made before keeps writing to the terminal.
    """
    with log.open("a", encoding="utf-8", buffering=1) as file:
        handler = logging.StreamHandler(file)
        handler.setFormatter(RedactingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        root = logging.getLogger()
        level = root.level
        root.setLevel(logging.INFO)
        root.addHandler(handler)
        logging.getLogger("py4j").setLevel(logging.WARNING)
        try:
            shown = RedactingStream(file)
            with redirect_stdout(shown), redirect_stderr(shown), warnings.catch_warnings():
                warnings.simplefilter("default")
                yield
        finally:
            root.setLevel(level)
            root.removeHandler(handler)

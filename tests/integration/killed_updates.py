"""Updates that a test can kill: `python -m tests.integration.killed_updates HOME full|plain DEATH SPEC...`.

Updates the pipelines of these files one after the other and prints a line per event. At the call with the
number DEATH of auto CDC's second commit the process kills itself; 0 means never.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ecommerce_lakehouse.config import LakehouseConfig
from lakerun.bundles.model import PipelineSpec
from lakerun.pipelines import auto_cdc
from lakerun.pipelines.results import UpdateResult
from lakerun.pipelines.update import Selection, run_update
from lakerun.tables.storage import Storage


def update_all(
    specs: Sequence[PipelineSpec], home: Path, full_refresh: bool, on_event: Any = None
) -> list[UpdateResult]:
    """Update the pipelines, in micro-batches so small that every update has several."""
    options = LakehouseConfig.get_streaming_options
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKEHOUSE_HOME", str(home))
        patch.setattr(
            LakehouseConfig,
            "get_streaming_options",
            lambda config: options(config) | {"maxBytesPerTrigger": "20000"},
        )
        selection = Selection(full_refresh_all=full_refresh)
        return [
            run_update(
                spec, storage=Storage(home), selection=selection, on_event=on_event or (lambda event: None)
            )
            for spec in specs
        ]


def before_second_commits(call: Callable[[int], object]) -> Callable[..., None]:
    """A replacement of auto CDC's second commit of a batch, which first calls `call` with its number."""
    numbers, original = itertools.count(1), auto_cdc._rebuild

    def rebuild(*arguments: Any) -> None:
        call(next(numbers))
        original(*arguments)

    return rebuild


def main() -> None:
    home, kind, death, *files = sys.argv[1:]
    auto_cdc._rebuild = before_second_commits(
        lambda number: os.kill(os.getpid(), signal.SIGKILL) if number == int(death) else None
    )
    specs = [PipelineSpec.model_validate_json(Path(file).read_text(encoding="utf-8")) for file in files]
    update_all(
        specs, Path(home), kind == "full", lambda event: print(event.event_type, event.message, flush=True)
    )


if __name__ == "__main__":
    main()

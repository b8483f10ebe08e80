"""The cost of accounting for every line: the pipeline with and without quarantine and reconciliation.

Per size: a first run of the whole pipeline, and one without quarantine, duplicates, checks of whole datasets
and reconciliation, each in a fresh process on the same files. The second drops a line that breaks a rule, and
does not note which. The whole pipeline should take less than 30 % longer.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.compare import FAILED, _at_least, _Benchmark, _deliver, _machine, _say
from benchmarks.process import CommandFailedError, stop_on_termination

AIM = 0.30
MET, MISSED = 0, 1
KINDS = ("bare", "engine")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; 0 if the aim is met at every size, 1 if it is missed, 2 if a run failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__)
    parser.add_argument("--orders", type=_at_least(100), nargs="+", default=[10_000, 1_000_000], metavar="N")
    parser.add_argument("--repeat", type=_at_least(1), default=1, metavar="N", help="default 1")
    parser.add_argument("--work", metavar="FOLDER", help="where data and logs go; kept. Default: temporary")
    arguments = parser.parse_args(argv)
    stop_on_termination()
    folder = Path(arguments.work or tempfile.mkdtemp(prefix="lakehouse-overhead-")).absolute()
    _say(_machine())
    try:
        found = {
            orders: _measure(folder, orders, arguments.repeat) for orders in sorted(set(arguments.orders))
        }
    except CommandFailedError as error:
        _say(f"{error}\nData and logs are in {folder}")
        return FAILED
    if not arguments.work:
        shutil.rmtree(folder, ignore_errors=True)
    print(as_text(found))
    return MET if all(overhead(runs) < AIM for runs in found.values()) else MISSED


@dataclass(frozen=True)
class Run:
    """One run: wall seconds and processor seconds."""

    seconds: float
    cpu_seconds: float


Runs = dict[str, list[Run]]


def overhead(runs: Runs) -> float:
    """How much longer the whole pipeline takes than the bare one, as a share; medians of wall seconds."""
    return _median(runs["engine"], "seconds") / _median(runs["bare"], "seconds") - 1


def as_text(found: dict[int, Runs]) -> str:
    """A line per size: orders, seconds without and with the quality tables, CPU, and the verdict."""
    lines = [f"{'orders':>10}  {'without':>9}  {'with':>9}  {'added':>7}  {'CPU':>17}  aim: below {AIM:.0%}"]
    for orders, runs in found.items():
        times = [f"{_median(runs[kind], 'seconds'):.2f} s" for kind in KINDS]
        cpu = " to ".join(f"{_median(runs[kind], 'cpu_seconds'):.0f}" for kind in KINDS) + " s"
        verdict = "met" if overhead(runs) < AIM else "MISSED"
        added = f"{overhead(runs):+.1%}"
        lines.append(f"{orders:>10,}  {times[0]:>9}  {times[1]:>9}  {added:>7}  {cpu:>17}  {verdict}")
    return "\n".join(lines)


def _median(runs: list[Run], figure: str) -> float:
    return median(getattr(run, figure) for run in runs)


def _measure(folder: Path, orders: int, repeats: int) -> Runs:
    benchmark = _Benchmark(folder, [], {})
    source = benchmark._source(orders)
    runs: Runs = {kind: [] for kind in KINDS}
    for repeat in range(repeats):
        for kind in KINDS if repeat % 2 == 0 else KINDS[::-1]:  # the second finds a warmer machine
            home = folder / f"{orders}" / f"{kind}_{repeat}"
            shutil.rmtree(home, ignore_errors=True)
            _deliver(source, home, 0)
            _, result = benchmark._work(kind, home, "first_run")
            run = Run(result["seconds"], result["cpu_seconds"])
            runs[kind].append(run)
            _say(f"{orders:,} orders, {kind}: {run.seconds:.2f} s, {run.cpu_seconds:.1f} s of CPU")
            shutil.rmtree(home / "tables", ignore_errors=True)
    return runs


if __name__ == "__main__":
    sys.exit(main())

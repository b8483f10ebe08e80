"""Events a second of the client of Customer.io and of the vendor's, side by side in one run."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.activation_counter import Counter, counter

ROOT = Path(__file__).parents[1]
VENDOR = "customerio-cdp-analytics==1.1.0"
RATIO_AIM = 5.0
GROWTH_AIM = 20  # megabytes; a batch and its body are one
# By default it sends 100 messages a batch from one thread; these are what it may be told.
VENDOR_SETTINGS = [
    {"upload_size": 100, "thread": 1},
    {"upload_size": 2000, "thread": 1},
    {"upload_size": 2000, "thread": 2},
    {"upload_size": 2000, "thread": 4},
]
OURS = {"concurrency": 2, "validate": False}


@dataclass(frozen=True)
class Run:
    """One process that sent; `arrived` is what the server counted."""

    events: int
    arrived: int
    requests: int
    sent_bytes: int
    seconds: float
    cpu_seconds: float
    peak_megabytes: float

    @property
    def rate(self) -> float:
        return self.events / self.seconds


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000, help="events of each timed run")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each client, taking turns")
    parser.add_argument("--most", type=int, default=1_000_000, help="events of the largest run for memory")
    arguments = parser.parse_args(argv)
    if os.getloadavg()[0] > 0.5:
        _say("The machine is busy: the figures will be too small.")
    with counter() as server:
        best = max(
            VENDOR_SETTINGS, key=lambda settings: _run(server, "vendor", arguments.events // 2, settings).rate
        )
        _say(f"the vendor's best settings: {best}")
        contenders: dict[str, tuple[str, dict[str, Any]]] = {
            "vendor": ("vendor", best),
            "ours": ("ours", OURS),
            "ours, one batch at a time": ("ours", OURS | {"concurrency": 1}),
            "ours, with validation": ("ours", OURS | {"validate": True}),
        }
        runs: dict[str, list[Run]] = {name: [] for name in contenders}
        for _ in range(arguments.repeat):
            for name, (who, settings) in contenders.items():
                runs[name].append(_run(server, who, arguments.events, settings))
        sizes = [size for size in (10_000, 100_000, 1_000_000, 10_000_000) if size <= arguments.most]
        growing = [_run(server, "ours", size, OURS) for size in sizes]
    return _report(runs, growing)


def _run(server: Counter, who: str, events: int, settings: dict[str, Any]) -> Run:
    python = [sys.executable]
    if who == "vendor":
        python = [
            "uv",
            "run",
            "--quiet",
            "--no-project",
            "--python",
            sys.executable,
            "--with",
            VENDOR,
            "python",
        ]
    command = [*python, "-m", "benchmarks.activation_sender", who, str(server.port), str(events)]
    server.counted()
    done = subprocess.run(
        [*command, json.dumps(settings)],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{who} failed:\n{done.stderr}")
    taken = json.loads(done.stdout)
    arrived, size, requests = server.counted()
    run = Run(events, arrived - 1_000, requests, size, **taken)
    _say(f"{who} {settings}: {run.rate:,.0f} events/s, {run.peak_megabytes:.0f} MB")
    return run


def _report(runs: dict[str, list[Run]], growing: list[Run]) -> int:
    """Print the tables; 1 where an event did not arrive exactly once, or an aim is missed."""
    print("| Client | Events/s | CPU s per million | Bytes an event | Events a call | MB |")
    print("|---|---|---|---|---|---|")
    for name, found in runs.items():
        middle = sorted(found, key=lambda run: run.rate)[len(found) // 2]
        print(
            f"| {name} | {median(run.rate for run in found):,.0f} "
            f"| {median(run.cpu_seconds / run.events * 1e6 for run in found):.1f} "
            f"| {middle.sent_bytes / (middle.events + 1_000):.0f} "
            f"| {middle.events / middle.requests:,.0f} | {middle.peak_megabytes:.0f} |"
        )
    ratio = median(run.rate for run in runs["ours"]) / median(run.rate for run in runs["vendor"])
    growth = growing[-1].peak_megabytes - growing[0].peak_megabytes
    # Of the processor, which is the same on a busy machine.
    cpu = {name: median(run.cpu_seconds / run.events * 1e6 for run in found) for name, found in runs.items()}
    print(
        f"\nTimes the vendor's events/s: {ratio:.1f}; {_verdict(ratio >= RATIO_AIM)} (aim: {RATIO_AIM:.0f})"
    )
    print(f"Times the vendor's events in a CPU second: {cpu['vendor'] / cpu['ours']:.1f}")
    validation = cpu["ours, with validation"] - cpu["ours"]
    print(f"Validation: {validation:.1f} CPU microseconds an event, on top of {cpu['ours']:.1f}")
    print("\n| Events | Events/s | MB |\n|---|---|---|")
    for run in growing:
        print(f"| {run.events:,} | {run.rate:,.0f} | {run.peak_megabytes:.0f} |")
    print(f"\nThe largest run took {growth:.0f} MB more than the smallest; {_verdict(growth <= GROWTH_AIM)}")
    lost = [run for found in [*runs.values(), growing] for run in found if run.arrived != run.events]
    if lost:
        print(f"Not every event arrived exactly once: {lost}")
    return int(bool(lost) or ratio < RATIO_AIM or growth > GROWTH_AIM)


def _verdict(met: bool) -> str:
    return "met" if met else "MISSED"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())

"""Measures the main job, start-up included: in an empty data folder, and again incrementally."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.process import CommandFailedError, measure, stop_on_termination

PROJECT = Path(__file__).resolve().parents[1]
JOB = "e2e_pipeline_job"
SECONDS_AIM = 90.0
EXAMPLES = """examples:
  uv run python -m benchmarks.main_job
  uv run python -m benchmarks.main_job --runs 3 --json out.json
  uv run python -m benchmarks.main_job --job generate_sample_data --param orders=2000

exit codes: 0 the job succeeded, whether or not the aim was missed; 2 it failed
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print a line per run on stdout and progress on stderr; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.main_job",
        description=f"{__doc__} Aim: each under {SECONDS_AIM:g} s.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--job", default=JOB, help=f"job or pipeline to run; default {JOB}")
    parser.add_argument("--param", action="append", default=[], metavar="K=V", help="of the job; repeatable")
    parser.add_argument("--runs", type=int, default=2, help="first run included; default 2")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the measurements to this file")
    arguments = parser.parse_args(argv)
    stop_on_termination()

    uv = shutil.which("uv")
    lakehouse = [uv, "run", "lakehouse"] if uv else [sys.executable, "-m", "lakerun.cli.main"]
    parameters = [part for pair in arguments.param for part in ("--param", pair)]
    command = [*lakehouse, "run", arguments.job, *parameters]
    folder = Path(tempfile.mkdtemp(prefix="lakehouse-main-job-"))
    measurements = []
    for number in range(arguments.runs):
        kind = "empty data folder" if number == 0 else "incremental"
        _say(f"{arguments.job}, {kind}: running; log in {folder}")
        try:
            measured = measure(
                command,
                cwd=PROJECT,
                environment={"LAKEHOUSE_HOME": str(folder / "home")},
                log=folder / f"run_{number}.log",
            )
        except CommandFailedError as error:
            _say(str(error))
            return 2
        except KeyboardInterrupt:
            _say(f"Stopped. Log: {folder}")
            return 130
        met = measured.seconds < SECONDS_AIM
        aim = f"{'met' if met else 'MISSED'} (aim: < {SECONDS_AIM:g} s)" if arguments.job == JOB else "no aim"
        print(
            f"{arguments.job}, {kind}: {measured.seconds:.1f} s with start-up, "
            f"{measured.peak_bytes / 1e6:,.0f} MB, {aim}",
            flush=True,
        )
        measurements.append({"run": kind, "seconds": measured.seconds, "peak_bytes": measured.peak_bytes})
    if arguments.json:
        document = {"job": arguments.job, "seconds_aim": SECONDS_AIM, "measurements": measurements}
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    return 0


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""The engine against a plain hand-made script: the same tables, the same data, side by side.

Per size: a first run, then 1 % more data, then nothing new, each in a fresh process with the same Spark
settings; the seconds count from when Spark has started and written its first Delta table. After every step
all tables of the two must hold the same rows. The first run's ratio has an aim at 10,000 and at 1,000,000
orders; 1 % more has to take the engine less than a third of its first run, nothing new less than 5 s.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import psutil  # type: ignore[import-untyped,unused-ignore]

from benchmarks.process import CommandFailedError, Measured, measure, stop_on_termination
from benchmarks.report import CONTENDERS, STEPS, Contender, Measurement, Step, as_text, growth, lines
from benchmarks.rows import Fingerprint, differences, fingerprints
from ecommerce_lakehouse.config import get_config
from ecommerce_lakehouse.domain.entities import CUSTOMER_PROFILES, ORDERS
from ecommerce_lakehouse.generation.manifest import Manifest, read_manifests

PROJECT = Path(__file__).resolve().parents[1]
SAMPLED = (ORDERS, CUSTOMER_PROFILES)
BATCH_OF: dict[Step, int | None] = {"first run": 0, "1 % more": 1, "nothing new": None}
SAME, DIFFERENT, FAILED = 0, 1, 2
EXAMPLES = """examples:
  uv run python -m benchmarks.compare                              10 thousand and 1 million orders
  uv run python -m benchmarks.compare --orders 2000                a quick look, no aim for the ratio
  uv run python -m benchmarks.compare --repeat 2 --json out.json   medians; each goes first once in each step

exit codes: 0 the rows are the same, whether or not an aim was missed; 1 the rows differ; 2 a run failed
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table on stdout and progress on stderr; the exit code."""
    arguments = _arguments(argv)
    stop_on_termination()
    _say(_machine())
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > 0.5 * (os.cpu_count() or 1):
        _say(f"WARNING: the machine is busy (load {load:.1f}); these times will not be good for much.")
    folder = Path(arguments.work or tempfile.mkdtemp(prefix="lakehouse-benchmark-")).absolute()
    benchmark = _Benchmark(folder, [], {})
    try:
        for orders in arguments.orders:
            for repeat in range(arguments.repeat):
                benchmark.run(orders, repeat)
    except CommandFailedError as error:
        _say(str(error))
        _say(f"Data and logs are in {folder}")
        return FAILED
    except Exception:
        traceback.print_exc()
        _say(f"Data and logs are in {folder}")
        return FAILED
    except KeyboardInterrupt:
        _say(f"Stopped. Data and logs are in {folder}")
        return 130
    _print_result(benchmark, arguments)
    if benchmark.differences:
        _say(f"Data and logs are in {folder}")
        return DIFFERENT
    if not arguments.work:
        shutil.rmtree(folder, ignore_errors=True)
    return SAME


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--orders",
        type=_at_least(100),
        nargs="+",
        default=[10_000, 1_000_000],
        metavar="N",
        help="orders in the first run, one or more sizes; default 10000 1000000",
    )
    parser.add_argument("--repeat", type=_at_least(1), default=1, metavar="N", help="default 1")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every measurement to this file")
    parser.add_argument(
        "--work",
        metavar="FOLDER",
        help="where data and logs go; kept, and generated data used again. Default: a temporary folder",
    )
    arguments = parser.parse_args(argv)
    arguments.orders = sorted(set(arguments.orders))
    return arguments


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text.replace("_", "").replace(",", ""))
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is less than {least}")
        return value

    return number


@dataclass
class _Benchmark:
    folder: Path
    measurements: list[Measurement]
    differences: dict[str, list[str]]

    def run(self, orders: int, repeat: int) -> None:
        """All steps of one size by both contenders, in new data folders."""
        source = self._source(orders)
        homes = {name: self.folder / f"{orders}" / f"{name}_{repeat}" for name in CONTENDERS}
        for home in homes.values():
            shutil.rmtree(home, ignore_errors=True)
        for turn, step in enumerate(STEPS, start=repeat):
            # The second of the two finds files in the page cache and a warmer processor: take turns.
            for contender in CONTENDERS if turn % 2 == 0 else CONTENDERS[::-1]:
                self._step(orders, repeat, step, contender, source, homes[contender])
            self._compare(f"{orders:,} orders, {step}", homes)
        if not self.differences:
            for home in homes.values():
                shutil.rmtree(home / "tables", ignore_errors=True)

    def _source(self, orders: int) -> Path:
        """A data folder with generated batches 0 and 1."""
        source = self.folder / f"{orders}" / "source"
        if len(_manifests(source)) < 2:
            shutil.rmtree(source, ignore_errors=True)
            _say(f"{orders:,} orders: generating")
            result = self._work("generate", source, "generate", "--orders", str(orders))[0]
            _say(f"{orders:,} orders: generated in {result.seconds:.0f} s")
        for manifest in _manifests(source):
            rows = {entity.name: manifest.datasets[entity.name].rows for entity in SAMPLED}
            _say(f"{orders:,} orders: batch {manifest.batch} has {_counts(rows)}")
        return source

    def _step(
        self, orders: int, repeat: int, step: Step, contender: Contender, source: Path, home: Path
    ) -> None:
        batch = BATCH_OF[step]
        if batch is not None:
            _deliver(source, home, batch)
        label = f"{orders:,} orders, {step}, {contender}"
        _say(f"{label}: running")
        measured, result = self._work(contender, home, step.replace(" ", "_").replace("%", "percent"))
        measurement = Measurement(
            orders=orders,
            step=step,
            contender=contender,
            repeat=repeat,
            startup_seconds=result["ready_at"] - measured.started_at,
            seconds=result["seconds"],
            cpu_seconds=result["cpu_seconds"],
            peak_bytes=measured.peak_bytes,
        )
        self.measurements.append(measurement)
        _say(
            f"{label}: {measurement.seconds:.2f} s after {measurement.startup_seconds:.1f} s of start-up, "
            f"{measurement.cpu_seconds:.1f} s of CPU, {measurement.peak_bytes / 1e6:,.0f} MB"
        )

    def _work(self, work: str, home: Path, step: str, *more: str) -> tuple[Measured, dict[str, float]]:
        logs = home / "logs"
        result = logs / f"{step}.json"
        logs.mkdir(parents=True, exist_ok=True)
        result.unlink(missing_ok=True)
        measured = measure(
            [sys.executable, "-m", "benchmarks.worker", work, "--result", str(result), *more],
            cwd=PROJECT,
            environment={"LAKEHOUSE_HOME": str(home)},
            log=logs / f"{step}.log",
        )
        return measured, json.loads(result.read_text(encoding="utf-8"))

    def _compare(self, label: str, homes: dict[Contender, Path]) -> None:
        tables: dict[Contender, dict[str, Fingerprint]] = {
            name: fingerprints(home) for name, home in homes.items()
        }
        found = differences(tables["plain"], tables["engine"])
        if not tables["engine"]:
            found = ["there are no tables to compare"]
        if found:
            self.differences[label] = found
            _say("\n".join([f"{label}: THE ROWS DIFFER", *(f"  {line}" for line in found)]))
            return
        rows = sum(table.rows for table in tables["engine"].values())
        _say(f"{label}: the same {rows:,} rows in {len(tables['engine'])} tables")


def _deliver(source: Path, home: Path, batch: int) -> None:
    """Put a generated batch's files into a contender's volume, as links where the disk has them."""
    (manifest,) = [manifest for manifest in _manifests(source) if manifest.batch == batch]
    for entity in SAMPLED:
        origin, arrival = _arrivals(source, entity.name), _arrivals(home, entity.name)
        arrival.mkdir(parents=True, exist_ok=True)
        for name in manifest.datasets[entity.name].files:
            try:
                os.link(origin / name, arrival / name)
            except OSError:
                shutil.copy2(origin / name, arrival / name)


def _manifests(home: Path) -> list[Manifest]:
    return read_manifests(_volume(home) / "manifests")


def _arrivals(home: Path, entity: str) -> Path:
    return _volume(home) / f"{entity}_raw"


def _volume(home: Path) -> Path:
    config = get_config("local")
    return home / "volumes" / config.catalog / config.schema / config.volume


def _counts(rows: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in rows.items())


def _machine() -> str:
    memory = psutil.virtual_memory().total / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in ("pyspark", "delta-spark"))
    return f"{os.cpu_count()} cores, {memory:.0f} GB, Python {platform.python_version()}, {packages}"


def _print_result(benchmark: _Benchmark, arguments: argparse.Namespace) -> None:
    measurements = benchmark.measurements
    print(f"The engine against the plain script; {arguments.repeat} repeat(s), medians. {_machine()}")
    print()
    print(as_text(measurements))
    print()
    if benchmark.differences:
        print("THE ROWS DIFFER, so the times above compare nothing:")
        for label, found in benchmark.differences.items():
            print(f"  {label}: {'; '.join(found)}")
    else:
        print("Every table had the same rows in both after every step.")
    if arguments.json:
        document = {
            "machine": _machine(),
            "same_rows": not benchmark.differences,
            "differences": benchmark.differences,
            "measurements": [asdict(item) for item in measurements],
            "lines": [asdict(line) for line in lines(measurements)],
            "growth": [asdict(growth(measurements, contender)) for contender in CONTENDERS],
        }
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        _say(f"Measurements written to {arguments.json}")


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""Do the tests notice a change in the code? `uv run --with mutmut python -m benchmarks.mutants`.

Draws mutants of mutmut's operators from the modules in `TESTS`, more from longer modules, and runs each
module's tests against each of its mutants. All run in this process on one warm Spark session: a mutant exists
only in memory, and the modules that may have imported its module are imported again. Prints a line per mutant
and the difference for each that survived. Changes of capitals only are left out: SQL's names have none.
"""

from __future__ import annotations

import argparse
import difflib
import fnmatch
import importlib.abc
import importlib.machinery
import importlib.util
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

from lakerun.spark.memory import why_ended

ROOT = Path(__file__).parents[1]
SHOP, RUNTIME = ROOT / "src" / "ecommerce_lakehouse", ROOT / "lakerun" / "src" / "lakerun"
# By module, first match: the tests that should notice a change, the quickest first.
# Other modules have the tests of their name.
TESTS: dict[str, tuple[str, ...]] = {
    "quality/checks.py": ("unit/test_quality_checks.py",),
    "quality/datasets.py": (
        "integration/test_rules_are_attached.py",
        "integration/test_reconciliation.py",
        "unit/test_generated_docs.py",
    ),
    "quality/quarantine.py": ("unit/test_quarantine.py", "property/test_quarantine.py"),
    "quality/reconciliation.py": ("property/test_reconciliation.py",),
    "quality/rules_quality.py": ("property/test_reconciliation.py", "unit/test_quality_checks.py"),
    "quality/rule_tests.py": ("unit/test_rule_tests.py",),
    "quality/replay_job.py": ("integration/test_replay_job.py",),
    "quality/replay.py": ("unit/test_replay.py", "integration/test_replay.py"),
    "quality/*": (
        "unit/test_rules.py",
        "unit/test_rule_tests.py",
        "unit/test_quarantine.py",
        "unit/test_sales.py",
        "unit/test_customers.py",
        "unit/test_products.py",
        "unit/test_generated_docs.py",
        "property/test_features.py",
    ),
    "transforms/features_*.py": ("property/test_features.py", "unit/test_generated_docs.py"),
    "transforms/ingest.py": (
        "unit/test_ingest.py",
        "unit/test_quarantine.py",
        "property/test_quarantine.py",
    ),
    "transforms/sales.py": (
        "unit/test_sales.py",
        "property/test_sales.py",
        "integration/test_realtime_windows.py",
    ),
    "activation/customerio/app.py": ("unit/test_customerio_app.py",),
    "activation/customerio/packing.py": ("unit/test_customerio_packing.py",),
    "activation/customerio/rates.py": ("unit/test_customerio_rates.py",),
    "activation/customerio/settings.py": ("unit/test_customerio_settings.py",),
    "activation/customerio/breaker.py": ("unit/test_customerio_retries.py",),
    "activation/customerio/c*.py": ("unit/test_customerio_retries.py", "unit/test_customerio_client.py"),
    "activation/customerio/*.py": (
        "unit/test_customerio_models.py",
        "unit/test_customerio_registry.py",
        "unit/test_customerio_packing.py",
        "unit/test_customerio_client.py",
    ),
    "pipelines/auto_cdc.py": (
        "unit/test_evolving_schemas.py",
        "integration/test_applied_changes.py",
        "integration/test_change_order.py",
    ),
    "pipelines/change_flows.py": ("unit/test_change_flows.py", "integration/test_applied_changes.py"),
    "pipelines/cdc_rows.py": ("integration/test_cdc_rows.py", "integration/test_change_order.py"),
}
CDC = ("auto_cdc.py", "cdc_rows.py", "change_flows.py")
# What may hold functions of a mutated module.
SHOPS = ("ecommerce_lakehouse", "tests")
RUNTIMES = (
    "lakerun.pipelines",
    "lakerun.jobs",
    "lakerun.workspace",
    "lakerun.cli",
    "integration",
    "unit",
    "tests",
)


@dataclass(frozen=True)
class Mutant:
    """A changed module: its file, whole new text, and the changed lines."""

    file: Path
    text: str
    difference: str

    @property
    def is_runtime(self) -> bool:
        return self.file.is_relative_to(RUNTIME)

    @property
    def module(self) -> str:
        return ".".join(self.file.relative_to(ROOT).with_suffix("").parts).rpartition("src.")[2]

    @property
    def tests(self) -> tuple[str, ...]:
        name = short(self.file)
        own = (f"unit/test_{self.file.stem}.py", f"property/test_{self.file.stem}.py")
        names = next((names for pattern, names in TESTS.items() if fnmatch.fnmatch(name, pattern)), own)
        folder = ROOT / "lakerun" / "tests" if self.is_runtime else ROOT / "tests"
        return tuple(str(folder / name) for name in names if (folder / name).is_file())


def short(file: Path) -> str:
    """A file's path in its package."""
    return str(file.relative_to(RUNTIME if file.is_relative_to(RUNTIME) else SHOP))


def files() -> list[Path]:
    folders = (SHOP / "quality", SHOP / "transforms", SHOP / "activation" / "customerio")
    found = [file for folder in folders for file in sorted(folder.rglob("*.py")) if "__" not in file.name]
    return [*found, *(RUNTIME / "pipelines" / name for name in CDC)]


def sample(count: int, seed: int, only: str = "*") -> list[Mutant]:
    """`count` mutants of the files that match, from each in proportion to its number, and at least two."""
    from mutmut.mutation.file_mutation import create_mutations

    source = random.Random(seed)
    chosen = [file for file in files() if fnmatch.fnmatch(short(file), only)]
    by_file = {file: create_mutations(str(file), file.read_text(encoding="utf-8"))[:2] for file in chosen}
    total = sum(len(mutations) for _, mutations in by_file.values())
    found = []
    for file, (module, mutations) in by_file.items():
        wanted, known = max(2, round(count * len(mutations) / total)), {module.code.lower()}
        for mutation in source.sample(mutations, len(mutations)):
            if wanted and (mutant := _mutant(file, module, mutation)).text.lower() not in known:
                known.add(mutant.text.lower())
                found.append(mutant)
                wanted -= 1
    return found


def _mutant(file: Path, module: Any, mutation: Any) -> Mutant:
    from mutmut.mutation.file_mutation import deep_replace

    changed: Any = deep_replace(module, mutation.original_node, mutation.mutated_node)
    lines = difflib.unified_diff(module.code.splitlines(), changed.code.splitlines(), n=1, lineterm="")
    return Mutant(file, changed.code, "\n".join([*lines][2:]))


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a mutant's text in place of its file's."""

    def __init__(self, mutant: Mutant) -> None:
        super().__init__(mutant.module, str(mutant.file))
        self._text = mutant.text

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._text, self.path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self) -> None:
        self.mutant: Mutant | None = None

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        if self.mutant is None or fullname != self.mutant.module:
            return None
        return importlib.util.spec_from_file_location(fullname, self.mutant.file, loader=_Loader(self.mutant))


class _Reports:
    """Notes whether a test took too long, and which one failed."""

    def __init__(self) -> None:
        self.failed, self.late = "", False

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.failed = report.nodeid.rpartition("/")[2]
            self.late = "Timeout (>" in str(report.longrepr)


class Runner:
    """Runs tests in this process, again and again."""

    def __init__(self, seconds: int) -> None:
        from hypothesis import HealthCheck, Phase, settings
        from pyspark.sql import SparkSession

        self._seconds = seconds
        self._finder = _Finder()
        sys.meta_path.insert(0, self._finder)
        SparkSession.stop = lambda session: None  # type: ignore[method-assign]  # it stays warm
        # A failure need not become a small one.
        phases = (Phase.explicit, Phase.generate)
        settings.register_profile(
            "mutants", derandomize=True, database=None, phases=phases, suppress_health_check=list(HealthCheck)
        )
        settings.load_profile("mutants")

    def run(self, tests: Sequence[str], mutant: Mutant | None = None) -> tuple[str, str]:
        """What became of the mutant, and the test that noticed it."""
        import pytest

        for name in [*sys.modules]:
            if name.startswith(RUNTIMES if mutant and mutant.is_runtime else SHOPS) or name == "conftest":
                del sys.modules[name]
        self._finder.mutant = mutant
        reports = _Reports()
        options = [
            "-x",
            "-q",
            "-n",
            "0",
            "-p",
            "no:cacheprovider",
            f"--timeout={self._seconds if mutant else 0}",
        ]
        with Path(os.devnull).open("w") as nowhere:
            shown, sys.stdout = sys.stdout, nowhere
            try:
                code = pytest.main([*options, *tests], plugins=[reports])
            finally:
                sys.stdout = shown
                self._finder.mutant = None
        if code == pytest.ExitCode.OK:
            return "survived", ""
        return ("late" if reports.late else "killed"), reports.failed or f"exit code {int(code)}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the tests against mutants of the code.")
    parser.add_argument("--mutants", type=int, default=220, help="how many; default 220")
    parser.add_argument("--seed", type=int, default=1, help="which ones; default 1")
    parser.add_argument("--only", default="*", help="modules whose path matches, such as 'transforms/*'")
    parser.add_argument("--seconds", type=int, default=120, help="limit of one test; default 120")
    arguments = parser.parse_args()
    sys.dont_write_bytecode = True
    drawn = sample(arguments.mutants, arguments.seed, arguments.only)
    runner = Runner(arguments.seconds)
    counts: Counter[str] = Counter()
    usable: dict[tuple[str, ...], bool] = {}
    for number, mutant in enumerate(drawn, 1):
        clock = time.monotonic()
        if mutant.tests not in usable:
            outcome, test = runner.run(mutant.tests)
            usable[mutant.tests] = outcome == "survived"
            if not usable[mutant.tests]:
                print(f"Fails without a mutant: {test}", flush=True)
        if not usable[mutant.tests]:
            counts["not tried"] += 1
            continue
        outcome, test = runner.run(mutant.tests, mutant)
        if outcome != "survived" and (ended := why_ended(wait=True)):
            sys.exit(f"{number}/{len(drawn)} {short(mutant.file)}: not judged. {ended}")
        counts[outcome] += 1
        seconds = f"({time.monotonic() - clock:.1f} s)"
        print(f"{number}/{len(drawn)} {short(mutant.file)}: {outcome} {test} {seconds}", flush=True)
        if outcome == "survived":
            print(mutant.difference, flush=True)
    print(f"{len(drawn)} mutants: {', '.join(f'{n} {what}' for what, n in sorted(counts.items()))}")


if __name__ == "__main__":
    main()

"""What a pipeline's source files may be: `check_source_files` refuses the others."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from lakerun.errors import GraphError

# A notebook's source format has cells in other languages as comments, which would be skipped silently.
MAGIC_CELL = re.compile(r"# MAGIC\s+%([\w-]+)")
INSTALLERS, TEXT = ("pip", "restart_python"), ("md", "md-sandbox")


def check_source_files(files: Iterable[Path]) -> None:
    """Refuse files that are not Python, and notebook cells that would not run: GraphError with the place.

    Needs neither Spark nor the pipeline's packages, so that the answer comes at once.
    """
    for file in files:
        _check(file)


def _check(file: Path) -> None:
    if file.suffix == ".ipynb":
        raise GraphError(
            "Jupyter notebooks are not supported in pipelines here: export this one as a source file.",
            location=file.name,
        )
    lines = file.read_text(encoding="utf-8").splitlines() or [""]
    if file.suffix == ".sql" or lines[0].startswith("-- Databricks notebook source"):
        raise GraphError("SQL source files are not supported in pipelines here.", location=file.name)
    if lines[0].startswith("// Databricks notebook source"):
        raise GraphError("Scala notebooks are not supported in pipelines here.", location=file.name)
    if lines[0].strip() != "# Databricks notebook source":
        return
    kind = ""
    for number, line in enumerate(lines, 1):
        location = f"{file.name}:{number}"
        if line.startswith("# COMMAND ----------"):
            kind = ""
        elif found := MAGIC_CELL.match(line):
            kind = found[1]
            if kind not in (*INSTALLERS, *TEXT):
                raise GraphError(f"%{kind} cells are not supported in pipelines here.", location=location)
        elif kind in INSTALLERS and line.removeprefix("# MAGIC").strip().partition("#")[0]:
            raise GraphError(
                f"Code below %{kind} is not supported in pipelines here: move it to its own cell.",
                location=location,
            )

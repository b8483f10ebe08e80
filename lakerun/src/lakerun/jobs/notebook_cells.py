"""Notebooks as Databricks exports them, cell by cell: `notebook_file`, `read_notebook`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakerun.errors import LakerunError

HEADERS = {"# Databricks notebook source": "python", "-- Databricks notebook source": "sql"}
COMMENTS = {"python": "#", "sql": "--"}
# Magics of their own line only; the lines below are code.
LINES = ("pip", "conda", "restart_python", "load_ext", "autoreload", "matplotlib")
SUFFIXES = (".py", ".ipynb", ".sql")
MAGIC = re.compile(r"\s*%([\w-]+)[ \t]*(.*)", re.DOTALL)


@dataclass(frozen=True)
class Cell:
    """One cell: its language or magic, its text without magic, and its first line in the file."""

    language: str
    text: str
    line: int


def included(cell: Cell, file: Path) -> Path:
    """The notebook that a `%run` cell of a file includes; LakerunError if it gives arguments."""
    path, _, arguments = cell.text.strip().partition(" ")
    if arguments.strip():
        raise LakerunError(f"{file.name}:{cell.line}: %run with arguments is not supported here.")
    return notebook_file(path.strip("'\""), file.parent)


def notebook_file(path: str, folder: Path | None = None) -> Path:
    """The file of a notebook, whose path may leave out the suffix; LakerunError if there is none."""
    start = Path(path)
    if not start.is_absolute() and folder is not None:
        start = folder / start
    for candidate in (start, *(start.with_name(f"{start.name}{suffix}") for suffix in SUFFIXES)):
        if candidate.is_file():
            return candidate.resolve()
    raise LakerunError(f"Notebook '{path}' does not exist.")


def read_notebook(file: Path) -> list[Cell]:
    """The cells of a `.py` or `.sql` file in Databricks' source format, or of a Jupyter notebook.

    A deployed notebook has no ending; its text tells which one it is.

    A file without the header is one cell, like a script. Raises LakerunError if it is not a notebook.
    """
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".ipynb" or (file.suffix not in SUFFIXES and text.lstrip().startswith("{")):
        return list(_jupyter_cells(text, file))
    lines = text.splitlines()
    language = HEADERS.get(lines[0].strip()) if lines else None
    if language is None:
        return [Cell("sql" if file.suffix == ".sql" else "python", text, 1)]
    comment = COMMENTS[language]
    cells: list[Cell] = []
    start = 1
    for number in range(1, len(lines) + 1):
        if number == len(lines) or lines[number].strip() == f"{comment} COMMAND ----------":
            cells += _source_cells(lines[start:number], start + 1, language, comment, file.name)
            start = number + 1
    return [cell for cell in cells if cell.text.strip() or cell.language in ("run", *LINES)]


def _source_cells(lines: list[str], line: int, language: str, comment: str, name: str) -> Iterator[Cell]:
    magic = f"{comment} MAGIC"
    first = next((text for text in lines if text.strip() and not text.startswith(f"{comment} DBTITLE")), "")
    if first.startswith(magic):
        start = lines.index(first)
        bare = [text[len(magic) :].removeprefix(" ") if text.startswith(magic) else text for text in lines]
        yield from _magic_cells("\n".join(bare[start:]), line + start, language)
        return
    continues = False
    for number, text in enumerate(lines):
        if not text.startswith(f"{magic} ") or not (continues or text.startswith(f"{magic} %")):
            continues = False
            continue
        lines[number] = text.removeprefix(f"{magic} ")
        found = None if continues else MAGIC.match(lines[number])
        if found and found[1] not in LINES:
            raise LakerunError(f"{name}:{line + number}: %{found[1]} must be the first line of its cell.")
        continues = text.endswith("\\")
    yield from _code_cells("\n".join(lines), line, language)


def _magic_cells(text: str, line: int, language: str) -> Iterator[Cell]:
    """A cell by the magic of its first line."""
    found = MAGIC.match(text)
    if found and found[1] not in LINES:
        yield Cell(found[1], found[2], line)
    else:
        yield from _code_cells(text, line, language)


def _code_cells(text: str, line: int, language: str) -> Iterator[Cell]:
    """The cells that code makes with the lines of `%pip` and the like between it."""
    code: list[str] = []
    lines = text.split("\n")
    number = 0
    while number < len(lines):
        found = MAGIC.match(lines[number])
        if not (found and found[1] in LINES):
            code.append(lines[number])
            number += 1
            continue
        if any(map(str.strip, code)):
            yield Cell(language, "\n".join(code), line + number - len(code))
        code = []
        command, at = found[2], line + number
        number += 1
        while command.endswith("\\") and number < len(lines):
            command = f"{command[:-1].rstrip()} {lines[number].strip()}"
            number += 1
        yield Cell(found[1], command, at)
    if any(map(str.strip, code)):
        yield Cell(language, "\n".join(code), line + len(lines) - len(code))


def _jupyter_cells(text: str, file: Path) -> Iterator[Cell]:
    try:
        content: Mapping[str, Any] = json.loads(text)
        cells = content["cells"]
        language = _language(content.get("metadata") or {})
    except (json.JSONDecodeError, KeyError, TypeError):
        raise LakerunError(f"Notebook '{file.name}' is not a Jupyter notebook.") from None
    for number, cell in enumerate(cells, 1):
        if cell.get("cell_type") == "code":
            source = cell.get("source", "")
            code = source if isinstance(source, str) else "".join(source)
            if code.strip():
                yield from _magic_cells(code, number, language)


def _language(metadata: Mapping[str, Any]) -> str:
    """A Jupyter notebook's own language; Databricks exports SQL notebooks in this format too."""
    exported = metadata.get("application/vnd.databricks.v1+notebook") or {}
    kernel = metadata.get("language_info") or {}
    return str(exported.get("language") or kernel.get("name") or "python").lower()

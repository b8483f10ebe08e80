"""Notebooks as Databricks exports them, cell by cell: `read_notebook`, `run_notebook`."""

from __future__ import annotations

import ast
import json
import linecache
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakerun.errors import LakerunError, first_line
from lakerun.jobs.dbutils import NotebookExit
from lakerun.jobs.task_names import TaskNames, display

HEADERS = {"# Databricks notebook source": "python", "-- Databricks notebook source": "sql"}
COMMENTS = {"python": "#", "sql": "--"}
IGNORED = ("md", "md-sandbox")
INSTALLERS = ("pip", "conda", "restart_python")
# Magics of their own line only; the lines below are code.
LINES = (*INSTALLERS, "load_ext", "autoreload", "matplotlib")
SUFFIXES = (".py", ".ipynb", ".sql")
MAGIC = re.compile(r"\s*%([\w-]+)[ \t]*(.*)", re.DOTALL)
MAX_DEPTH = 20


@dataclass(frozen=True)
class Cell:
    """One cell: its language or magic, its text without magic, and its first line in the file."""

    language: str
    text: str
    line: int


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
            cells += _source_cells(lines[start:number], start + 1, language, comment)
            start = number + 1
    return [cell for cell in cells if cell.text.strip() or cell.language in ("run", *LINES)]


def run_notebook(file: Path, names: TaskNames, depth: int = 0) -> str | None:
    """Run every cell with these global names; return the notebook's exit value, None without one.

    Exceptions of its code are not caught. `%pip` installs nothing: the notebook runs in the project's
    environment.
    """
    run = _NotebookRun(names, depth)
    try:
        run.cells(file)
    except NotebookExit as exit_:
        return exit_.value
    return None


class _NotebookRun:
    def __init__(self, names: TaskNames, depth: int) -> None:
        self._names = names
        self._depth = depth

    def cells(self, file: Path) -> None:
        """Run the cells of a notebook, or of one that it includes by `%run`, with these global names."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise LakerunError(f"Notebooks include each other more than {MAX_DEPTH} deep: {file.name}.")
        self._names["__file__"] = str(file)
        for cell in read_notebook(file):
            self._cell(cell, file)
        self._depth -= 1

    def _cell(self, cell: Cell, file: Path) -> None:
        if cell.language == "python":
            self._python(cell, file)
        elif cell.language == "sql":
            self._sql(cell)
        elif cell.language == "run":
            path, _, arguments = cell.text.strip().partition(" ")
            if arguments.strip():
                raise LakerunError(f"{file.name}:{cell.line}: %run with arguments is not supported here.")
            self.cells(notebook_file(path.strip("'\""), file.parent))
        elif cell.language in LINES:
            command = f"%{cell.language} {cell.text.strip()}".rstrip()
            print(f"{command}: ignored, the project's environment is used")
        elif cell.language not in IGNORED:
            raise LakerunError(f"{file.name}:{cell.line}: %{cell.language} cells are not supported here.")

    def _python(self, cell: Cell, file: Path) -> None:
        # Empty lines before it make a trace name the right line of the file.
        source = "\n" * (cell.line - 1) + cell.text
        name = str(file) if file.suffix == ".py" else f"{file}:{cell.line}"
        if file.suffix != ".py":
            source = cell.text
            linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        tree = ast.parse(source, filename=name)
        exec(compile(tree, name, "exec", dont_inherit=True), self._names)

    def _sql(self, cell: Cell) -> None:
        import sqlglot

        from lakerun.sql.errors import SqlError

        spark = self._names["spark"]
        try:
            statements = sqlglot.tokenize(cell.text, read="databricks")
        except sqlglot.errors.SqlglotError as error:
            raise SqlError(f"SQL: {first_line(error)}") from None
        ends = [token.start for token in statements if token.token_type.name == "SEMICOLON"]
        start = 0
        for end in [*ends, len(cell.text)]:
            statement = cell.text[start:end].strip()
            start = end + 1
            if statement and sqlglot.tokenize(statement, read="databricks"):
                rows = spark.sql(statement)
                self._names["_sqldf"] = rows
                display(rows)


def _source_cells(lines: list[str], line: int, language: str, comment: str) -> list[Cell]:
    magic = f"{comment} MAGIC"
    first = next((text for text in lines if text.strip() and not text.startswith(f"{comment} DBTITLE")), "")
    if not first.startswith(magic):
        kept = [text if not text.startswith(f"{magic} %") else "" for text in lines]
        return [Cell(language, "\n".join(kept), line)]
    bare = [text[len(magic) :].removeprefix(" ") if text.startswith(magic) else text for text in lines]
    start = lines.index(first)
    return list(_magic_cells("\n".join(bare[start:]), line + start, language))


def _magic_cells(text: str, line: int, language: str) -> Iterator[Cell]:
    """A cell by its magic, and after `%pip` and the like the cells that its other lines are."""
    found = MAGIC.match(text)
    if found and found[1] in LINES:
        first, _, rest = found[2].partition("\n")
        above = text[: found.start(2)].count("\n")
        yield Cell(found[1], first, line + above)
        if rest.strip():
            yield from _magic_cells(rest, line + above + 1, language)
    else:
        yield Cell(found[1], found[2], line) if found else Cell(language, text, line)


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

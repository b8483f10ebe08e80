"""Runs notebooks cell by cell: `run_notebook`."""

from __future__ import annotations

import ast
import linecache
from pathlib import Path

from lakerun.errors import LakerunError, first_line
from lakerun.jobs.dbutils import NotebookExit, PythonRestart
from lakerun.jobs.notebook_cells import Cell, included, read_notebook
from lakerun.jobs.packages.notebook_packages import pip_output
from lakerun.jobs.task_names import TaskNames, display

TEXT = ("md", "md-sandbox")
WITHOUT_EFFECT = ("load_ext", "autoreload", "matplotlib")
MAX_DEPTH = 20


def run_notebook(file: Path, names: TaskNames, depth: int = 0) -> str | None:
    """Run every cell with these global names; return the notebook's exit value, None without one.

    Exceptions of its code are not caught. What `%pip` installs must be there: see `dependencies_of`.
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
            self.cells(included(cell, file))
        elif cell.language == "pip":
            print(pip_output(cell, file))
        elif cell.language == "restart_python":
            self._names.restart()
        elif cell.language in WITHOUT_EFFECT:
            print(f"%{cell.language} {cell.text.strip()}".rstrip() + ": ignored, the output is text")
        elif cell.language not in TEXT:
            raise LakerunError(f"{file.name}:{cell.line}: %{cell.language} cells are not supported here.")

    def _python(self, cell: Cell, file: Path) -> None:
        # Empty lines before it make a trace name the right line of the file.
        source = "\n" * (cell.line - 1) + cell.text
        name = str(file) if file.suffix == ".py" else f"{file}:{cell.line}"
        if file.suffix != ".py":
            source = cell.text
            linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        tree = ast.parse(source, filename=name)
        library = self._names.dbutils.library
        library.in_notebook = True
        try:
            exec(compile(tree, name, "exec", dont_inherit=True), self._names)
        except PythonRestart:
            self._names.restart()
        finally:
            library.in_notebook = False

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

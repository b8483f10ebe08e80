"""The packages that notebooks install by `%pip`: `dependencies_of` adds them to a task's own."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from lakerun.bundles.dependencies import placed
from lakerun.errors import LakerunError
from lakerun.jobs.notebook_cells import Cell, included, notebook_file, read_notebook
from lakerun.jobs.packages.installed import uv_pip
from lakerun.jobs.packages.requirements import OPTIONS, read_requirements
from lakerun.jobs.tasks import TaskCall

# They change nothing here: a package that fits is kept, and an installation is cached.
SKIPPED = (
    *("-q", "--quiet", "-v", "--verbose", "-U", "--upgrade", "--no-cache-dir", "--force-reinstall"),
    *("--disable-pip-version-check", "--no-warn-script-location", "--no-input", "--ignore-installed", "-I"),
)
FLAGS = ("--pre", "--no-index")  # options of requirements files that have no value
PATHS = ("-r", "--requirement", "-e", "--editable")
READING = ("list", "freeze", "show", "check")


def dependencies_of(call: TaskCall) -> tuple[str, ...]:
    """The lines of the task's environment, then those of `%pip install` in its notebook or source files.

    They are found before anything runs, as a task's packages are there when it starts. Raises LakerunError.
    """
    files: tuple[Path, ...] = ()
    if call.pipeline is not None:
        files = call.pipeline.source_files
    elif call.kind == "notebook":
        files = (notebook_file(call.payload["notebook_path"]),)
    return (*call.dependencies, *notebook_dependencies(files))


def notebook_dependencies(files: Iterable[Path]) -> tuple[str, ...]:
    """The lines of every `%pip install` in notebooks and in those that they include by `%run`."""
    seen: set[Path] = set()
    return tuple(dict.fromkeys(line for file in files for line in _lines(file, seen)))


def _lines(file: Path, seen: set[Path]) -> Iterator[str]:
    if file in seen:
        return
    seen.add(file)
    for cell in read_notebook(file):
        if cell.language == "run":
            yield from _lines(included(cell, file), seen)
        elif cell.language == "pip":
            yield from _asked(cell, file)


def pip_output(cell: Cell, file: Path) -> str:
    """What a `%pip` cell prints; LakerunError if it installs what the task does not have."""
    words = _words(cell, file)
    if words[0] in READING:
        return uv_pip(*words).rstrip()
    missing = read_requirements(_asked(cell, file)).absent()
    if missing:
        raise LakerunError(
            f"{file.name}:{cell.line}: {', '.join(missing)} cannot be installed while the task runs. "
            "Name it in the task's environment, or by %pip in the notebook that the task starts."
        )
    return f"%pip {cell.text.strip()}: installed before the task started"


def _words(cell: Cell, file: Path) -> list[str]:
    try:
        words = shlex.split(cell.text, comments=True)
    except ValueError as error:
        raise LakerunError(f"{file.name}:{cell.line}: %pip: {error}.") from None
    if not words or words[0] not in ("install", *READING):
        command = " ".join(["%pip", *words[:1]])
        raise LakerunError(f"{file.name}:{cell.line}: {command} is not supported here.")
    return words


def _asked(cell: Cell, file: Path) -> tuple[str, ...]:
    """What the cell installs, as lines of a requirements file."""
    command, *words = _words(cell, file)
    try:
        asked = tuple(_joined(iter(words))) if command == "install" else ()
    except LakerunError as error:
        raise LakerunError(f"{file.name}:{cell.line}: %pip install: {error}") from None
    return tuple(placed(line, lambda path: str(file.parent / path)) for line in asked)


def _joined(words: Iterator[str]) -> Iterator[str]:
    """The words as lines: an option with its value, a requirement, a path."""
    for word in words:
        name, given, _ = word.partition("=")
        if word in SKIPPED:
            continue
        if not word.startswith("-") or word in FLAGS:
            yield word
        elif name not in (*PATHS, *OPTIONS):
            raise LakerunError(f"the option '{word}' is not supported here.")
        else:
            yield word if given else f"{word} {next(words, '')}".strip()

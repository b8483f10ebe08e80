"""The paths in an environment's dependencies, which are lines of a requirements file: `placed`."""

from __future__ import annotations

import re
from collections.abc import Callable

OPTION = re.compile(r"(-r|--requirement|-e|--editable)(?:\s*=\s*|\s+|(?=[./]))(.+)")
SHORT = {"--requirement": "-r", "--editable": "-e"}


def placed(line: str, place: Callable[[str], str]) -> str:
    """The line, the path in it where `place` puts it: of a wheel, a folder, or after `-r` or `-e`."""
    line = line.strip()
    if found := OPTION.fullmatch(line):
        path, bracket, extras = found[2].partition("[")
        return f"{SHORT.get(found[1], found[1])} {place(path.strip())}{bracket}{extras}"
    return place(line) if is_path(line) else line


def is_path(line: str) -> bool:
    """Whether a line without an option is a file or a folder."""
    return "://" not in line and (line.endswith(".whl") or line.startswith((".", "/")))

"""File patterns in the syntax of Go's `path/filepath`, which the Databricks CLI uses: `go_glob`.

They differ from Python's: `**` is the same as `*`, `[^a]` negates and `[!a]` does not, a
backslash escapes, and a malformed pattern is an error. Source: https://pkg.go.dev/path/filepath#Match.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from lakerun.errors import LakerunError

SPECIAL = "*?["


class BadPatternError(LakerunError):
    """A pattern that Go rejects: an unclosed class, or a backslash at the end."""


def has_pattern(text: str) -> bool:
    """Whether a path is a pattern. The CLI accepts a pattern that matches nothing."""
    return any(letter in text for letter in SPECIAL)


def go_glob(root: Path, pattern: str) -> list[Path]:
    """The files and folders below `root` that a pattern names, sorted; raises BadPatternError.

    `root` is taken literally, even if it contains special characters.
    """
    parts = [part for part in os.path.normpath(pattern).split("/") if part]
    if pattern.startswith("/"):
        root = Path("/")
    expressions = [_expression(part) for part in parts]  # a bad part is always an error
    found = [root]
    for part, expression in zip(parts, expressions, strict=True):
        if expression is None:
            found = [path / part for path in found if os.path.lexists(path / part)]
        else:
            found = [path / name for path in found for name in _names_in(path) if expression.fullmatch(name)]
    return sorted(Path(os.path.normpath(path)) for path in found)


def _names_in(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:  # Go ignores what it cannot read
        return []


@cache
def _expression(part: str) -> re.Pattern[str] | None:
    """One level of a pattern as a regular expression; None if it is a plain name."""
    if not any(letter in part for letter in f"{SPECIAL}\\"):
        return None
    return re.compile("".join(_pieces(part)), re.DOTALL)


def _pieces(part: str) -> Iterator[str]:
    at = 0
    while at < len(part):
        letter = part[at]
        if letter == "*":
            yield ".*"
        elif letter == "?":
            yield "."
        elif letter == "[":
            at, piece = _class(part, at + 1)
            yield piece
            continue
        else:
            at, letter = _letter(part, at)
            yield re.escape(letter)
            continue
        at += 1


def _class(part: str, at: int) -> tuple[int, str]:
    """The class whose `[` is just before `at`: the index after its end, and its regular expression."""
    negated = part[at : at + 1] == "^"
    at += negated
    ranges: list[str] = []
    empty = False
    while (not ranges and not empty) or part[at : at + 1] != "]":
        if part[at : at + 1] in ("", "-", "]"):
            raise BadPatternError(f"'{part}' is not a valid pattern")
        at, low = _letter(part, at)
        high = low
        if part[at : at + 1] == "-":
            if part[at + 1 : at + 2] in ("", "-", "]"):
                raise BadPatternError(f"'{part}' is not a valid pattern")
            at, high = _letter(part, at + 1)
        if low <= high:
            ranges.append(f"{re.escape(low)}-{re.escape(high)}")
        else:
            empty = True  # Go accepts a reversed range, which matches nothing
    inner = "".join(ranges)
    if not inner:
        return at + 1, "." if negated else "(?!)"
    return at + 1, f"[{'^' if negated else ''}{inner}]"


def _letter(part: str, at: int) -> tuple[int, str]:
    if part[at] == "\\":
        at += 1
        if at == len(part):
            raise BadPatternError(f"'{part}' is not a valid pattern")
    return at + 1, part[at]

"""Shared by the tests of the documents: their texts, and the commands and names quoted in them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
SNIPPET = re.compile(r'^--8<-- "(.+)"$', re.MULTILINE)
LAYERS = ("bronze", "silver", "quarantine", "gold", "feature", "quality")
# A table's name and comment, in docs/tables.md.
TABLE_ROW = re.compile(rf"^\| `((?:{'|'.join(LAYERS)})_\w+)` \| (.+?) \| [\w ]+ \| `(\w+)` \|$", re.MULTILINE)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


README = _read(ROOT / "README.md")
TABLES_PAGE = _read(ROOT / "docs" / "tables.md")
DOCUMENTS = {
    str(path.relative_to(ROOT)): _read(path)
    for path in (
        ROOT / "README.md",
        ROOT / "CLAUDE.md",
        ROOT / "benchmarks" / "README.md",
        *sorted((ROOT / "docs").rglob("*.md")),
    )
}
TABLES = {name: comment for name, comment, _ in TABLE_ROW.findall(TABLES_PAGE)}


def whole(text: str) -> str:
    """A page with the files that it includes, as the site shows it."""
    return SNIPPET.sub(lambda match: _read(ROOT / match[1]), text)


def prose(text: str) -> str:
    """A document without its fenced code blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def blocks(text: str, language: str) -> list[str]:
    """The fenced code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[str]:
    """Every line of a bash block, and every command within backticks."""
    lines = [line.strip() for block in blocks(text, "bash") for line in block.splitlines()]
    quoted = re.findall(r"`((?:[A-Z_]+=\S+ )*(?:uv run|bash|databricks bundle) [^`]+)`", prose(text))
    return [line for line in [*lines, *quoted] if line and not line.startswith("#")]


def words(command: str) -> list[str]:
    """The words of a command, without variables set before it, comments and `uv run` with its options."""
    found = shlex.split(command, comments=True)
    while "=" in found[0]:
        found = found[1:]
    if found[:2] == ["uv", "run"]:
        found = found[2:]
        while found[0].startswith("--"):
            found = found[2:]
    return found


def slug(heading: str) -> str:
    """The anchor of a heading, where GitHub and the site agree."""
    plain = re.sub(r"[^\w\s-]", "", re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", heading)).strip().lower()
    return re.sub(r"\s", "-", plain)


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings."""
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", prose(whole(text)), re.MULTILINE)}

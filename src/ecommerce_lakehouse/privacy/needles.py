"""Finds people's identifiers in text: `Needles`.

An identifier counts where it stands by itself: `C1` is in `"C1"` and in `C1.json`, not in `C12` or `C1-2`. It
is found as text, and as JSON, CSV, SQL and URLs write it. An identifier that is a number, or shorter than
four ASCII characters, means somebody only in a personal column or after its name: `42` in `"customer_id":
42`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote

from ecommerce_lakehouse.domain.personal import PERSON_COLUMNS

WORD = re.compile(r"[\w-]+")
ADDRESS = re.compile(r"[\w.+%-]+@[\w.-]*\w")
SHORTEST = 4
NAMES = ("userId", "user_id", *sorted(PERSON_COLUMNS))
_JOINS = re.compile(r"[\w-]")
_NAMED = re.compile(rf"""(?:{"|".join(NAMES)})\\*["']?\s*[:=]\s*\\*["']?\s*([\w-]+)""")


RECORD = "record key"


class Needles:
    """The identifiers to look for, each with its kind. Case counts, except in addresses."""

    def __init__(self, kinds: Mapping[str, str]) -> None:
        self.kinds = {
            text: kind for text, kind in kinds.items() if text and (kind != RECORD or not is_weak(text))
        }
        self._weak = {text for text in self.kinds if is_weak(text)}
        self._words = {text for text in self.kinds if WORD.fullmatch(text)} - self._weak
        self._addresses = {text.lower(): text for text in self.kinds if ADDRESS.fullmatch(text)}
        # As other writers of text write it, and what has other characters. Most people have none of these.
        self._others: dict[str, str] = {}
        for text in self.kinds.keys() - self._weak:
            for written in spellings(text):
                if written != text or not (text in self._words or text.lower() in self._addresses):
                    self._others[written] = text

    def __bool__(self) -> bool:
        return bool(self.kinds)

    def found(self, text: str) -> set[str]:
        """The identifiers that a text holds."""
        found = self._words.intersection(WORD.findall(text)) if self._words else set()
        if self._addresses and "@" in text:
            found |= {
                self._addresses[a] for a in map(str.lower, ADDRESS.findall(text)) if a in self._addresses
            }
        if self._weak:
            found |= self._weak.intersection(_NAMED.findall(text))
        if self._others:
            lower: str | None = None
            for written, identifier in self._others.items():
                if identifier in found:
                    continue
                if "@" in identifier:
                    lower = text.lower() if lower is None else lower
                    if written.lower() in lower and _stands_alone(written.lower(), lower):
                        found.add(identifier)
                elif written in text and _stands_alone(written, text):
                    found.add(identifier)
        return found

    def among(self, values: Iterable[str], column: str = "") -> set[str]:
        """The identifiers that any value of a column holds."""
        values = list(values)
        found = self.found("\n".join(values))
        if self._weak and column.rpartition(".")[2] in NAMES:
            found |= self._weak.intersection(map(str.strip, values))
        return found

    def kinds_of(self, found: Iterable[str]) -> list[str]:
        """The kinds of what was found, sorted."""
        return sorted({self.kinds[text] for text in found})


def is_weak(text: str) -> bool:
    """Whether a text says too little to mean somebody wherever it stands."""
    return text.isdigit() or (text.isascii() and len(text) < SHORTEST)


def spellings(text: str) -> set[str]:
    """An identifier as text, and within JSON, CSV, SQL, HTML and URLs."""
    ascii_json = json.dumps(text)[1:-1]
    return {
        text,
        ascii_json,
        re.sub(r"\\u[0-9a-f]{4}", lambda match: r"\u" + match[0][2:].upper(), ascii_json),
        json.dumps(text, ensure_ascii=False)[1:-1],
        json.dumps(text, ensure_ascii=False)[1:-1].replace("/", r"\/"),
        text.replace('"', '""'),
        text.replace("'", "''"),
        text.replace("'", r"\'"),
        text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;"),
        quote(text, safe=""),
        quote(text),
        quote(text, safe="@"),
        quote(text, safe="").replace("%20", "+"),
    }


def strings(value: object) -> Iterator[str]:
    """Every text in a decoded JSON value, keys included; a text that is JSON itself is opened."""
    if isinstance(value, str):
        yield value
        if value[:1] in ("{", "[") and value[-1:] in ("}", "]"):
            try:
                yield from strings(json.loads(value))
            except ValueError:
                return
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from strings(item)
    elif isinstance(value, bytes):
        yield value.decode("utf-8", "replace")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


def _stands_alone(needle: str, text: str) -> bool:
    """Whether a needle occurs in a text without a neighbour that makes it part of a longer one."""
    left, right = bool(_JOINS.match(needle[0])), bool(_JOINS.match(needle[-1]))
    at = text.find(needle)
    while at >= 0:
        end = at + len(needle)
        joined = (left and at > 0 and _JOINS.match(text[at - 1])) or (
            right and end < len(text) and _JOINS.match(text[end])
        )
        if not joined:
            return True
        at = text.find(needle, at + 1)
    return False

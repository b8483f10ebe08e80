"""What belongs to people: `People`, and what was learned about them while looking: `Found`.

A record belongs to a person if it gives the person's id. If it gives nobody's id, it belongs to them if it
gives an address, or the key of an order or session, that is only theirs. If it cannot be read, it belongs to
them if it mentions them anywhere. A record that gives somebody else's id is never theirs.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ecommerce_lakehouse.domain.personal import CONTACT_COLUMNS, LOWERED, PERSON, PERSON_COLUMNS, RECORD_KEYS
from ecommerce_lakehouse.privacy.needles import RECORD, WORD, Needles, is_weak

BLANK = " \t\r\n"
FIELDS = PERSON_COLUMNS | CONTACT_COLUMNS | RECORD_KEYS
KINDS = {"contacts": CONTACT_COLUMNS, "keys": RECORD_KEYS}
Values = Mapping[str, Iterable[str]]
_PAIR = re.compile(rf'"({"|".join(sorted(FIELDS))})"\s*:\s*(?:"((?:[^"\\]|\\.)*)"|([\w.+-]+))')


@dataclass(frozen=True)
class People:
    """People to erase: their ids, and the addresses and keys of records that are only theirs.

    `shared` are keys under which others have records too: those records stay.
    """

    ids: frozenset[str]
    contacts: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    shared: frozenset[str] = frozenset()

    def __or__(self, other: People) -> People:
        """These people and those; what one of them shares with another is theirs."""
        mine, yours = (dataclasses.astuple(people) for people in (self, other))
        return People(*(one | another for one, another in zip(mine, yours, strict=True)))

    @cached_property
    def needles(self) -> Needles:
        """Everything to look for in files."""
        kinds = dict.fromkeys(self.keys, RECORD) | dict.fromkeys(self.contacts, "contact")
        return Needles(kinds | dict.fromkeys(self.ids, PERSON))

    @cached_property
    def named(self) -> Needles:
        """The ids and addresses, without the keys of records."""
        return Needles(dict.fromkeys(self.contacts, "contact") | dict.fromkeys(self.ids, PERSON))

    def own(self, values: Values) -> bool:
        """Whether a record with these values of `FIELDS` is theirs."""
        given = {value for name in PERSON_COLUMNS for value in values.get(name, ())}
        if given:
            return not given.isdisjoint(self.ids)
        return any(
            value in self.contacts for name in CONTACT_COLUMNS for value in values.get(name, ())
        ) or any(value in self.keys for name in RECORD_KEYS for value in values.get(name, ()))

    def own_line(self, line: str) -> bool:
        """Whether a raw line is theirs."""
        values, readable = read_line(line)
        if self.own(values):
            return True
        somebody = any(values.get(name) for name in PERSON_COLUMNS)
        return not readable and not somebody and bool(self.named.found(line))

    def may_own(self, text: str) -> bool:
        """Whether any line of a text may be theirs; False is certain. An escape may hide an identifier."""
        return "\\u" in text or bool(self.needles.found(text)) or not self.weak.isdisjoint(WORD.findall(text))

    @cached_property
    def weak(self) -> frozenset[str]:
        """The ids and keys for which `needles` looks only in some places, if at all."""
        return frozenset(text for text in self.ids | self.keys if is_weak(text))


@dataclass
class Found:
    """What records say about people: `add` every record, and then `share` every record."""

    ids: frozenset[str]
    records: int = 0
    theirs: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    seen: set[str] = field(default_factory=set)
    shared: set[str] = field(default_factory=set)

    def add(self, values: Values) -> None:
        """Take a record into account: what it says beside the id of one of the people is theirs."""
        given = {value for name in PERSON_COLUMNS for value in values.get(name, ())}
        if mine := given & self.ids:
            self.records += 1
            self.seen |= mine
            for kind, names in KINDS.items():
                self.theirs[kind].update(value for name in names for value in values.get(name, ()))

    def share(self, values: Values) -> None:
        """Take a record into account: what it says beside somebody else's id is not only theirs."""
        given = {value for name in PERSON_COLUMNS for value in values.get(name, ())}
        if given and given.isdisjoint(self.ids):
            for kind, names in KINDS.items():
                both = self.theirs[kind].intersection(
                    value for name in names for value in values.get(name, ())
                )
                self.theirs[kind] -= both
                self.shared |= both if kind == "keys" else set()

    def people(self) -> People:
        """The people, with what is only theirs."""
        contacts, keys = (frozenset(self.theirs[kind]) for kind in KINDS)
        return People(self.ids, contacts, keys, frozenset(self.shared))


def read_line(line: str) -> tuple[dict[str, list[str]], bool]:
    """The values of `FIELDS` in a raw line, every one if a key is there twice; and whether it is JSON."""
    found: dict[str, list[str]] = defaultdict(list)

    def take(pairs: list[tuple[str, object]]) -> dict[str, object]:
        for name, value in pairs:
            if name in FIELDS and isinstance(value, str | int | float) and not isinstance(value, bool):
                found[name].append(clean(name, str(value)))
        return {}

    try:
        readable = isinstance(json.loads(line, object_pairs_hook=take), dict)
    except (ValueError, RecursionError):
        readable = False
        found.clear()
        for name, text, bare in _PAIR.findall(line):
            if bare != "null":
                found[name].append(clean(name, _unescaped(text) if text else bare))
    return {name: [value for value in values if value] for name, values in found.items()}, readable


def clean(name: str, value: str) -> str:
    """A value as the pipelines keep it: without blanks around it, an address in lower case."""
    value = value.strip(BLANK)
    return value.lower() if name in LOWERED else value


def lines_of(data: bytes) -> list[bytes]:
    """The lines of a file, each with its line feed, byte for byte; only a line feed ends one."""
    *whole, rest = data.split(b"\n")
    return [line + b"\n" for line in whole] + ([rest] if rest else [])


def _unescaped(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"'))
    except ValueError:
        return text

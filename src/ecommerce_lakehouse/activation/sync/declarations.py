"""Syncs as they are declared, one YAML file each: `Sync`, `load_syncs`, `declaration_problems`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from ecommerce_lakehouse.activation.customerio.limits import Limits
from ecommerce_lakehouse.errors import USAGE, ShopError

FOLDER = Path(__file__).parent.parent / "syncs"
LIMITS = Limits()

Channel = Literal["email", "push", "sms"]
Name = Annotated[str, Field(min_length=1)]


class SyncError(ShopError):
    """A sync cannot be carried out as it is declared."""

    code = "INVALID_SYNC"
    exit_code = USAGE


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Deletes(_Frozen):
    """Rows that are gone are deleted in Customer.io too, if they are not too large a share of what it has."""

    max_percent: float = Field(default=5.0, gt=0, le=100)


class _Declared(_Frozen):
    """What every sync says.

    `table` is the name of a table without catalog and schema. `key` identifies a row, in one column or
    several. Only rows for which `where`, a SQL condition, is true are sent, and with `consent` only those of
    people who granted that channel. `person` is the column with the customer's id. `traits` are columns, or
    names with a SQL expression each.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=100)
    location: str = ""
    table: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    key: Name | Annotated[list[Name], Field(min_length=1)]
    where: Name | None = None
    consent: Channel | None = None
    nulls: Literal["clear", "omit"] = "clear"
    deletes: Deletes | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns of the key."""
        return (self.key,) if isinstance(self.key, str) else tuple(self.key)

    @field_validator("deletes", mode="before")
    @classmethod
    def _as_mapping(cls, value: Any) -> Any:
        return {True: {}, False: None}.get(value, value) if isinstance(value, bool) else value

    def fields(self) -> dict[str, dict[str, str]]:
        """The mappings of names to SQL expressions, by what they are in the call."""
        return {}


def _expressions(value: Any) -> Any:
    """A list of columns as a mapping of names to expressions."""
    if isinstance(value, list):
        names = [item for item in value if isinstance(item, str)]
        if len(set(names)) < len(names):
            raise ValueError("a column is listed twice")
        return {name: quoted(name) for name in names}
    return value


def _attributes(values: dict[str, str]) -> dict[str, str]:
    if len(values) > LIMITS.attributes:
        raise ValueError(f"{len(values)} attributes; a call may set {LIMITS.attributes}")
    for name in values:
        if not name or len(name.encode()) > LIMITS.attribute_name_bytes:
            longest = LIMITS.attribute_name_bytes
            raise ValueError(f"the name {name[:40]!r} does not have 1 to {longest} bytes")
    return values


class Identify(_Declared):
    """Rows are people: the key is the person's id, `traits` their attributes."""

    call: Literal["identify"]
    traits: dict[str, Name] = Field(min_length=1)

    _listed = field_validator("traits", mode="before")(_expressions)
    _counted = field_validator("traits")(_attributes)

    @property
    def person(self) -> str | None:
        return self.keys[0]

    def fields(self) -> dict[str, dict[str, str]]:
        return {"traits": self.traits}

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        _check_one_key(self)
        return self


class Group(_Declared):
    """Rows are objects, or with a second column in the key the relationships of people to objects."""

    call: Literal["group"]
    object_type: str = Field(default="1", pattern=r"^[0-9]+$")
    traits: dict[str, Name] = {}
    relationship: dict[str, Name] = {}

    _listed = field_validator("traits", "relationship", mode="before")(_expressions)
    _counted = field_validator("traits", "relationship")(_attributes)

    @property
    def person(self) -> str | None:
        return self.keys[1] if len(self.keys) == 2 else None

    def fields(self) -> dict[str, dict[str, str]]:
        return {"traits": self.traits, "relationship": self.relationship}

    @model_validator(mode="after")
    def _object_and_person(self) -> Self:
        if len(self.keys) > 2:
            raise ValueError("key: the object's column, and for a relationship the person's after it")
        if self.relationship and len(self.keys) == 1:
            raise ValueError("relationship: needs the person's column as the second of key")
        if self.consent and len(self.keys) == 1:
            raise ValueError("consent: an object is not a person; its relationships can have it")
        return self


class _OfPerson(_Declared):
    """What a device and an event have: `person`, the column with the customer's id, and properties."""

    person: Name
    properties: dict[str, Name] = {}

    _listed = field_validator("properties", mode="before")(_expressions)
    _counted = field_validator("properties")(_attributes)

    def fields(self) -> dict[str, dict[str, str]]:
        return {"properties": self.properties}


class Device(_OfPerson):
    """Rows are devices: the key is the token."""

    call: Literal["device"]
    platform: Name | None = None

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        _check_one_key(self)
        return self


class Track(_OfPerson):
    """Rows are events: each is sent once, and a row that changes or is gone sends nothing.

    `event` is the column with the event's name, `timestamp` the one with its time.
    """

    call: Literal["track"]
    event: Name
    timestamp: Name

    @model_validator(mode="after")
    def _append_only(self) -> Self:
        if self.deletes:
            raise ValueError("deletes: an event cannot be deleted")
        return self


Sync = Annotated[Identify | Group | Device | Track, Field(discriminator="call")]
AnySync = Identify | Group | Device | Track
_SYNC: TypeAdapter[AnySync] = TypeAdapter(Sync)


@dataclass(frozen=True, order=True)
class SyncProblem:
    """Something that is wrong in a declaration; `location` is `file:line`."""

    location: str
    message: str


def quoted(column: str) -> str:
    """A column's name as SQL has it, whatever characters it has."""
    return "`" + column.replace("`", "``") + "`"


def columns_of(sync: AnySync) -> list[str]:
    """The columns that the declaration names as such, not within an expression."""
    named = [*sync.keys, sync.person]
    if isinstance(sync, Track):
        named += [sync.event, sync.timestamp]
    if isinstance(sync, Device):
        named.append(sync.platform)
    named += [
        name
        for part in sync.fields().values()
        for name, expression in part.items()
        if expression == quoted(name)
    ]
    return list(dict.fromkeys(name for name in named if name))


def load_syncs(folder: Path | None = None) -> dict[str, AnySync]:
    """Every sync by its name, of `FOLDER` by default: people first, then objects, devices and events.

    Raises SyncError for the first problem, with its place.
    """
    found, problems = _loaded(folder)
    if problems:
        raise SyncError(problems[0].message, location=problems[0].location)
    return found


def sync_named(name: str, folder: Path | None = None) -> AnySync:
    """The sync with this name; SyncError that lists the names if there is none."""
    return named(name, load_syncs(folder))


def named(name: str, syncs: Mapping[str, AnySync]) -> AnySync:
    """`sync_named` of syncs that are loaded."""
    if name not in syncs:
        close = get_close_matches(name, syncs, n=1, cutoff=0.5)
        guess = f" Did you mean '{close[0]}'?" if close else ""
        raise SyncError(f"Unknown sync '{name}'.{guess} Valid: {', '.join(syncs) or 'there is none'}.")
    return syncs[name]


def declaration_problems(folder: Path | None = None) -> list[SyncProblem]:
    """Everything that is wrong in the files themselves, with file and line."""
    return _loaded(folder)[1]


_MODELS: dict[str, type[BaseModel]] = {
    "identify": Identify,
    "group": Group,
    "device": Device,
    "track": Track,
}
_ORDER = tuple(_MODELS)


def _loaded(folder: Path | None) -> tuple[dict[str, AnySync], list[SyncProblem]]:
    folder = folder or FOLDER
    found: list[AnySync] = []
    problems: list[SyncProblem] = []
    for file in sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")]):
        match _sync_of(file):
            case list() as wrong:
                problems += wrong
            case sync:
                found.append(sync)
    found.sort(key=lambda sync: (_ORDER.index(sync.call), sync.name))
    names = [sync.name for sync in found]
    problems += [
        SyncProblem(sync.location, f"there are two files for the sync '{sync.name}'")
        for sync in found
        if names.count(sync.name) > 1
    ]
    return {sync.name: sync for sync in found}, sorted(problems)


def _sync_of(file: Path) -> AnySync | list[SyncProblem]:
    """The sync of a file, or everything that is wrong with it."""
    import yaml

    def problem(line: int, message: str) -> SyncProblem:
        return SyncProblem(f"{_shown(file)}:{line}", message)

    try:
        text = file.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except UnicodeDecodeError:
        return [problem(1, "the file is not UTF-8")]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or "it cannot be read"
        return [problem(mark.line + 1 if mark else 1, f"not valid YAML: {reason}")]
    if not isinstance(values, dict):
        return [problem(1, "a sync is a mapping: table, key, call and so on")]
    if repeated := _repeated_keys(node):
        return [problem(line, f"'{key}' is written twice") for key, line in repeated]
    for reserved in ("name", "location"):
        if reserved in values:
            line = _line(node, (reserved,))
            return [problem(line, f"{reserved}: not a field; the file's name is the sync's")]
    try:
        place = f"{_shown(file)}:{_line(node, ('table',))}"
        return _SYNC.validate_python(values | {"name": file.stem, "location": place})
    except ValidationError as error:
        return [
            problem(_line(node, item["loc"] or ("call",)), _message(item, values)) for item in error.errors()
        ]


def _message(item: Any, values: dict[str, Any]) -> str:
    path = [str(part) for part in item["loc"] if part not in _ORDER]
    text = re.sub(r"^Value error, ", "", item["msg"])
    if item["type"] == "extra_forbidden":
        fields = _MODELS[str(values["call"])].model_fields
        known = [name for name in fields if name not in ("name", "location")]
        close = get_close_matches(path[-1], known, n=1, cutoff=0.5)
        guess = f"; did you mean '{close[0]}'?" if close else f"; valid: {', '.join(known)}"
        return f"{'.'.join(path)}: not a field of a sync with call: {values.get('call')}{guess}"
    if item["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return f"call: one of {', '.join(_ORDER)} is expected"
    return ": ".join(filter(None, (".".join(path), text)))


def _line(node: Any, path: Sequence[Any]) -> int:
    """The line of a value in the YAML; of the nearest outer one where it is missing."""
    line = int(node.start_mark.line) + 1
    for part in path:
        if part in _ORDER and node.id == "mapping" and part not in [key.value for key, _ in node.value]:
            continue
        if node.id == "mapping":
            inner = next(((key, value) for key, value in node.value if key.value == part), None)
            if inner is None:
                break
            line, node = inner[0].start_mark.line + 1, inner[1]
        elif node.id == "sequence" and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line


def _repeated_keys(node: Any) -> list[tuple[str, int]]:
    """YAML takes the last of two equal keys without a word."""
    if node.id == "sequence":
        return [found for inner in node.value for found in _repeated_keys(inner)]
    if node.id != "mapping":
        return []
    seen: set[str] = set()
    found = []
    for key, value in node.value:
        if key.value in seen:
            found.append((str(key.value), key.start_mark.line + 1))
        seen.add(key.value)
        found += _repeated_keys(value)
    return found


def _shown(file: Path) -> str:
    """The file's path from the project's root, as other problems show it."""
    try:
        return file.relative_to(Path.cwd()).as_posix()
    except ValueError:
        return file.name


def _check_one_key(sync: Identify | Device) -> None:
    if len(sync.keys) != 1:
        raise ValueError(f"key: one column with call: {sync.call}")

"""A pipeline's events in the API's format, and their filter."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from lakerun.errors import UnknownNameError
from lakerun.pipelines.results import Event
from lakerun.workspace.errors import invalid

Body = dict[str, Any]
Condition = Callable[[Mapping[str, Any]], bool]

_FIELDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "id": lambda event: str(event["id"]),
    "level": lambda event: str(event["level"]),
    "event_type": lambda event: str(event["event_type"]),
    "timestamp": lambda event: str(event["timestamp"]),
    "update_id": lambda event: str(event["origin"].get("update_id")),
}
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: bool(a == b),
    "!=": lambda a, b: bool(a != b),
    "<>": lambda a, b: bool(a != b),
    "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b),
    ">": lambda a, b: bool(a > b),
    ">=": lambda a, b: bool(a >= b),
}
_COMPARISON = re.compile(r"(?:origin\.)?(\w+)\s*(=|!=|<>|<=|>=|<|>)\s*'([^']*)'\s*")
_MEMBERSHIP = re.compile(
    r"(?:origin\.)?(\w+)\s+in\s*\(\s*('[^']*'(?:\s*,\s*'[^']*')*)\s*\)\s*", re.IGNORECASE
)
_AND = re.compile(r"and\s+", re.IGNORECASE)


def event_body(event: Event) -> Body:
    """An event in the format of `GET pipelines/{id}/events`, with its time in UTC, to the microsecond."""
    body: Body = {
        "id": event.id,
        "sequence": {
            "data_plane_id": {"instance": "laptop", "seq_no": event.sequence},
            "control_plane_seq_no": event.sequence,
        },
        "origin": _origin(event.origin),
        "timestamp": _text(event.timestamp),
        "message": event.message,
        "level": event.level,
        "event_type": event.event_type,
        "details": dict(event.details),
        "maturity_level": "STABLE",
    }
    if event.error:
        body["error"] = dict(event.error)
    return body


def own_event(origin: Mapping[str, str], state: str, message: str, error: str | None = None) -> Body:
    """An update's change of state that the workspace reports because the engine could not."""
    now = datetime.now(UTC)
    event = Event(
        id=str(uuid.uuid4()),
        sequence=int(now.timestamp() * 1000),
        timestamp=now,
        level="ERROR" if error else "INFO",
        event_type="update_progress",
        message=message,
        origin=origin,
        details={"update_progress": {"state": state}},
        error={"fatal": True, "exceptions": [{"class_name": "Workspace", "message": error}]}
        if error
        else None,
    )
    return event_body(event)


def event_filter(text: str) -> Condition:
    """A filter such as `update_id = '...' AND level in ('ERROR', 'WARN') AND timestamp > '...'`.

    Raises ApiError, which shows the part that cannot be parsed, or the unknown field.
    """
    conditions: list[Condition] = []
    rest = text.strip()
    while rest:
        if found := _COMPARISON.match(rest):
            name, operator, value = found.groups()
            conditions.append(_condition(name, operator, {value}))
        elif found := _MEMBERSHIP.match(rest):
            conditions.append(_condition(found[1], "in", set(re.findall(r"'([^']*)'", found[2]))))
        else:
            raise invalid(f"filter: cannot be parsed from here on: {rest[:60]}")
        rest = rest[found.end() :]
        if rest:
            following = _AND.match(rest)
            if following is None or following.end() == len(rest):
                raise invalid(f"filter: AND and a condition are expected: {rest[:60]}")
            rest = rest[following.end() :]
    return lambda event: all(condition(event) for condition in conditions)


def filtered_update(text: str) -> str | None:
    """The update to which a filter is limited, if any; then only that update's events are read."""
    found = re.search(r"\bupdate_id\s*=\s*'([^']*)'", text)
    return found[1] if found else None


def _origin(origin: Mapping[str, str]) -> Body:
    """The origin with numeric ids as numbers, which clients require."""
    return {key: int(value) if key in ("batch_id", "org_id") else value for key, value in origin.items()}


def _condition(name: str, operator: str, values: set[str]) -> Condition:
    if name not in _FIELDS:
        raise invalid(f"filter: {UnknownNameError('field', name, _FIELDS)}")
    field = _FIELDS[name]
    if operator == "in":
        return lambda event: field(event) in values
    (value,) = values
    compare = _OPERATORS[operator]
    if name == "timestamp":
        moment = _moment(value)
        return lambda event: compare(_moment(field(event)), moment)
    return lambda event: compare(field(event), value)


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise invalid(f"filter: '{text}' is not a timestamp such as 2026-07-22T06:37:33.083Z.") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

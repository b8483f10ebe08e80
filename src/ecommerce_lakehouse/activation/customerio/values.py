"""Which values a message may hold: what JSON has, and decimals, dates and aware timestamps."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

SMALLEST, LARGEST = -(2**63), 2**64 - 1


def timestamp_text(value: datetime) -> str:
    """ISO 8601 with an offset. Without one it could be any of a day's moments, so it is refused."""
    if value.tzinfo is UTC:
        return f"{value.isoformat()[:-6]}Z"
    if value.utcoffset() is None:
        raise ValueError("a timestamp without a time zone")
    text = value.isoformat()
    return f"{text[:-6]}Z" if text.endswith("+00:00") else text


def decimal_text(value: Decimal) -> str:
    """All digits, without an exponent."""
    if not value.is_finite():
        raise ValueError(f"{value} is not a number in JSON")
    return format(value, "f")


def check_value(value: Any, path: str = "") -> None:
    """Raise ValueError where a value, however deep, cannot be sent as it is.

    Args:
        value: Any value; mappings, lists and tuples are walked.
        path: Where it stands, for the message.
    """
    if value is None or isinstance(value, str | bool):
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ValueError(f"{_at(path)}the name {key!r} is not text")
            check_value(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            check_value(item, f"{path}[{number}]")
    elif wrong := _wrong(value):
        raise ValueError(f"{_at(path)}{wrong}")


def value_bytes(value: Any) -> int:
    """How long an attribute's value is: the bytes of a text, or of the JSON of anything else."""
    if isinstance(value, str):
        return len(value.encode())
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain).encode())


def _wrong(value: Any) -> str | None:
    """What keeps a single value from being sent."""
    try:
        if isinstance(value, int):
            return None if SMALLEST <= value <= LARGEST else "an integer of more than 64 bits"
        if isinstance(value, float):
            return None if math.isfinite(value) else f"{value} is not a number in JSON"
        if isinstance(value, datetime):
            timestamp_text(value)
        elif isinstance(value, Decimal):
            decimal_text(value)
        elif not isinstance(value, date):
            return f"a {type(value).__name__} is not a value in JSON"
    except ValueError as error:
        return str(error)
    return None


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        # As many bytes as its digits: a text has two quotes more.
        return int("1" * max(len(decimal_text(value)), 1))
    return timestamp_text(value) if isinstance(value, datetime) else str(value)


def _at(path: str) -> str:
    return f"{path}: " if path else ""

"""Formats times, durations, numbers, sizes and values for people and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

NOTHING = "\N{EN DASH}"
LONGEST_CELL = 300


def instant(value: Any) -> datetime | None:
    """A document's time, in milliseconds since 1970 or as ISO text, in UTC; None if it is missing."""
    if not value:
        return None
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if isinstance(value, (int, float)):
        return datetime.fromtimestamp(value / 1000, UTC)
    moment = datetime.fromisoformat(value)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def utc_text(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def local_text(moment: datetime) -> str:
    """In the server's time zone, which on a laptop is the reader's; a script converts it to the browser's."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def duration(seconds: float | None) -> str:
    """`0.4 s`, `12 s`, `3 min 05 s`, `2 h 03 min`."""
    if seconds is None:
        return NOTHING
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def between(start: Any, end: Any) -> float | None:
    """Seconds from `start` to `end`, or to now without an end; None without a start."""
    began = instant(start)
    if began is None:
        return None
    return ((instant(end) or datetime.now(UTC)) - began).total_seconds()


def number(value: Any) -> str:
    """`1,204`; a dash for None."""
    return NOTHING if value is None else f"{value:,}"


def size(value: int) -> str:
    """`512 B`, `1.2 kB`, `3.4 MB`."""
    amount, unit = float(value), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 table`, `1,204 tables`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def json_value(value: object) -> Any:
    """A value for JSON: instants in ISO 8601 with Z, decimals as numbers, bytes as text."""
    if isinstance(value, Mapping):
        return {str(key): json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        if value and all(isinstance(item, tuple) and len(item) == 2 for item in value):  # Arrow's map
            return {str(key): json_value(item) for key, item in value}
        return [json_value(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Decimal):
        return (
            int(value)
            if value == value.to_integral_value() and value.as_tuple().exponent == 0
            else float(value)
        )
    if isinstance(value, datetime):
        return _utc(value).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value)


def text_value(value: object) -> str:
    """A value as a cell of a table or of a CSV file; instants in UTC."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return str(_utc(value).replace(tzinfo=None))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, list | tuple | Mapping):
        return json.dumps(json_value(value), ensure_ascii=False)
    return str(json_value(value))


def cell(value: object) -> str:
    """A value in a page's table: like `text_value`, but instants to the second, and long values shortened."""
    if isinstance(value, datetime):
        text = utc_text(value) if value.tzinfo else f"{value:%Y-%m-%d %H:%M:%S}"
    else:
        text = text_value(value)
    return text if len(text) <= LONGEST_CELL else text[:LONGEST_CELL] + "\N{HORIZONTAL ELLIPSIS}"


def _utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

"""How pages write times, durations, sizes and values."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

NOTHING = "\N{EN DASH}"
LONGEST_CELL = 300


def instant(value: Any) -> datetime | None:
    """A time as documents have it, milliseconds since 1970 or ISO text, in UTC; None where there is none."""
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
    """In the server's zone, which is the reader's on a laptop; a script puts it into the browser's."""
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
    """Seconds from `start` to `end`, to now where it has not ended; None before it started."""
    began = instant(start)
    if began is None:
        return None
    return ((instant(end) or datetime.now(UTC)) - began).total_seconds()


def number(value: Any) -> str:
    """`1,204`; a dash for nothing."""
    return NOTHING if value is None else f"{value:,}"


def size(value: int) -> str:
    """`512 B`, `1.2 kB`, `3.4 MB`."""
    amount, unit = float(value), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def cell(value: Any) -> str:
    """A table's value as text: bytes as the text they hold, nested values as JSON, long ones cut short."""
    if isinstance(value, bytes):
        text = value.decode("utf-8", "replace")
    elif isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, datetime):
        text = utc_text(value) if value.tzinfo else f"{value:%Y-%m-%d %H:%M:%S}"
    elif isinstance(value, (dict, list, tuple)):
        text = json.dumps(value, default=str, ensure_ascii=False)
    else:
        text = str(value)
    return text if len(text) <= LONGEST_CELL else text[:LONGEST_CELL] + "\N{HORIZONTAL ELLIPSIS}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 table`, `1,204 tables`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"

"""Quartz cron expressions with a time zone, which are the schedules of jobs and alerts."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger

from lakerun.workspace.errors import ApiError, invalid


@dataclass(frozen=True)
class Schedule:
    """A parsed schedule. `trigger` is for APScheduler."""

    expression: str
    timezone: str
    trigger: CronTrigger

    def next_after(self, moment: datetime) -> datetime | None:
        """The first time in UTC that is later than `moment` (with a zone); None if there is none by 2099.

        A local time that daylight saving skips is due an hour later; one that it repeats is due twice.
        """
        following = self.trigger.get_next_fire_time(None, moment + timedelta(microseconds=1))
        return following.astimezone(UTC) if following else None


def parse_quartz(expression: str, timezone: str = "UTC", field: str = "quartz_cron_expression") -> Schedule:
    """A Quartz cron expression: seconds, minutes, hours, day of month, month, day of week, year (optional).

    One of the two days is `?`. Days of the week are numbers from 1 (Sunday), or names. `L` and `6#3` are
    supported for days, `W` and `L-3` are not. Raises ApiError INVALID_PARAMETER_VALUE, which names `field`.
    """

    def refuse(problem: str) -> ApiError:
        return invalid(f"{field}: '{expression}' is not a Quartz cron expression: {problem}.")

    texts = expression.upper().split()
    if not 6 <= len(texts) <= 7:
        raise refuse(
            f"it has {len(texts)} fields; 6 or 7 are needed: second minute hour day month weekday [year]"
        )
    second, minute, hour, day, month, weekday = texts[:6]
    if (day == "?") == (weekday == "?"):
        raise refuse("exactly one of day of month and day of week must be '?'")
    try:
        days = {"day": _days(day)} if weekday == "?" else _weekdays(weekday)
        trigger = CronTrigger(
            second=_listed(_values(second, _SECOND)),
            minute=_listed(_values(minute, _MINUTE)),
            hour=_listed(_values(hour, _HOUR)),
            month=_listed(_values(month, _MONTH)),
            year=_listed(_values(texts[6] if len(texts) == 7 else "*", _YEAR)),
            timezone=_zone(timezone, field),
            **days,
        )
    except ValueError as error:
        raise refuse(str(error)) from None
    return Schedule(expression, timezone, trigger)


@dataclass(frozen=True)
class _Field:
    name: str
    first: int
    last: int
    names: Mapping[str, int]


_SECOND = _Field("second", 0, 59, {})
_MINUTE = _Field("minute", 0, 59, {})
_HOUR = _Field("hour", 0, 23, {})
_DAY = _Field("day of month", 1, 31, {})
_MONTH = _Field("month", 1, 12, {name.upper(): n for n, name in enumerate(calendar.month_abbr) if name})
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_WEEKDAY = _Field("day of week", 1, 7, {name: n for n, name in enumerate(_WEEKDAYS, 1)})
_YEAR = _Field("year", 1970, 2099, {})
_ORDINALS = ("1st", "2nd", "3rd", "4th", "5th")


def _values(text: str, field: _Field) -> set[int]:
    """The values of a field's list. ValueError says what is wrong."""
    return {value for item in text.split(",") for value in _item(item, field)}


def _item(item: str, field: _Field) -> Iterable[int]:
    found = re.fullmatch(r"(\*|\w+)(?:-(\w+))?(?:/(\d+))?", item)
    if not found or (found.group(1) == "*" and found.group(2)):
        raise ValueError(f"{field.name} '{item}' is not valid")
    start, end, step_text = found.groups()
    step = int(step_text or 1)
    if step == 0:
        raise ValueError(f"{field.name} '{item}' has a step of 0")
    first = field.first if start == "*" else _number(start, field)
    open_ended = start == "*" or step_text is not None
    last = _number(end, field) if end else field.last if open_ended else first
    if last < first:  # Quartz wraps around: 22-2 is 22, 23, 0, 1, 2
        if field is _YEAR:
            raise ValueError(f"{field.name} '{item}' ends before it starts")
        size = field.last - field.first + 1
        return [(n - field.first) % size + field.first for n in range(first, last + size + 1, step)]
    return range(first, last + 1, step)


def _number(text: str, field: _Field) -> int:
    if text in field.names:
        return field.names[text]
    if not text.isdecimal() or not field.first <= int(text) <= field.last:
        names = f", nor one of {', '.join(field.names)}" if field.names else ""
        raise ValueError(f"{field.name} '{text}' is not between {field.first} and {field.last}{names}")
    return int(text)


def _days(text: str) -> str:
    if text == "L":
        return "last"
    if "W" in text or "L" in text:
        raise ValueError(f"day of month '{text}' is not supported here; 'L' by itself is the last day")
    return _listed(_values(text, _DAY))


def _weekdays(text: str) -> dict[str, str]:
    if text == "L":
        text = "7"
    if found := re.fullmatch(r"(\w+)#(\d+)", text):
        position = int(found.group(2))
        if not 1 <= position <= len(_ORDINALS):
            raise ValueError(f"day of week '{text}': a month has at most {len(_ORDINALS)} of a day")
        return {"day": f"{_ORDINALS[position - 1]} {_weekday(found.group(1))}"}
    if len(text) > 1 and text.endswith("L"):
        return {"day": f"last {_weekday(text[:-1])}"}
    if "#" in text or re.search(r"\dL\b", text):
        raise ValueError(f"day of week '{text}' is not supported here; give one day with '#' or 'L'")
    return {"day_of_week": ",".join(_WEEKDAYS[n - 1].lower() for n in sorted(_values(text, _WEEKDAY)))}


def _weekday(text: str) -> str:
    return _WEEKDAYS[_number(text, _WEEKDAY) - 1].lower()


def _listed(values: set[int]) -> str:
    return ",".join(str(value) for value in sorted(values))


def _zone(name: str, field: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise invalid(
            f"{field}: the time zone '{name}' is unknown; give one such as 'Europe/Berlin'."
        ) from None

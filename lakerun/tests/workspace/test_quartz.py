"""Schedules: a Quartz cron expression is due at the times that a search through the calendar finds."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakerun.workspace.errors import ApiError
from lakerun.workspace.services.jobs.quartz import parse_quartz

WEEKDAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "timezone", "after", "due"),
    [
        ("0 0 3 * * ?", "UTC", "2024-03-01 02:59:59", "2024-03-01 03:00:00"),
        ("0 0 3 * * ?", "UTC", "2024-03-01 03:00:00", "2024-03-02 03:00:00"),
        # 2024-03-03 is a Sunday, day 1 of Quartz's week.
        ("0 30 4 ? * 1", "UTC", "2024-03-01 00:00:00", "2024-03-03 04:30:00"),
        ("0 30 4 ? * sun", "UTC", "2024-03-01 00:00:00", "2024-03-03 04:30:00"),
        ("0 0 0 ? * MON-FRI", "UTC", "2024-03-01 12:00:00", "2024-03-04 00:00:00"),
        ("0 0 0 ? * FRI-MON", "UTC", "2024-03-04 12:00:00", "2024-03-08 00:00:00"),
        ("0 0 22-2/2 * * ?", "UTC", "2024-03-01 22:00:00", "2024-03-02 00:00:00"),
        ("0 5/20 * * * ?", "UTC", "2024-03-01 10:26:00", "2024-03-01 10:45:00"),
        ("0 0 0 L * ?", "UTC", "2024-02-01 00:00:00", "2024-02-29 00:00:00"),
        ("0 0 0 ? * L", "UTC", "2024-03-01 00:00:00", "2024-03-02 00:00:00"),
        ("0 0 0 ? * 6L", "UTC", "2024-03-01 00:00:00", "2024-03-29 00:00:00"),
        ("0 0 0 ? * FRI#3", "UTC", "2024-03-01 00:00:00", "2024-03-15 00:00:00"),
        ("0 0 0 29 FEB ? 2025-2040", "UTC", "2024-01-01 00:00:00", "2028-02-29 00:00:00"),
        ("0 0 6 * * ?", "Europe/Berlin", "2024-07-01 00:00:00", "2024-07-01 04:00:00"),
        # 02:30 does not exist in Berlin on 2024-03-31; it is due an hour later, 03:30 summer time.
        ("0 30 2 * * ?", "Europe/Berlin", "2024-03-31 00:00:00", "2024-03-31 01:30:00"),
    ],
)
def test_a_schedule_is_due_at_the_expected_times(
    expression: str, timezone: str, after: str, due: str
) -> None:
    assert parse_quartz(expression, timezone).next_after(utc(after)) == utc(due)


def test_a_date_that_never_comes_is_never_due() -> None:
    assert parse_quartz("0 0 0 31 FEB ?").next_after(utc("2024-01-01 00:00:00")) is None
    assert parse_quartz("0 0 0 1 1 ? 2020").next_after(utc("2024-01-01 00:00:00")) is None


@pytest.mark.parametrize(
    ("expression", "error"),
    [
        ("0 3 * * *", "5 fields"),
        ("0 0 3 * * *", "exactly one of"),
        ("0 0 3 ? * ?", "exactly one of"),
        ("0 0 25 * * ?", "hour '25' is not between 0 and 23"),
        ("0 60 1 * * ?", "minute '60'"),
        ("0 0 0 ? * 8", "day of week '8' is not between 1 and 7, nor one of SUN, MON"),
        ("0 0 0 15W * ?", "'15W' is not supported"),
        ("0 0 0 L-3 * ?", "'L-3' is not supported"),
        ("0 0 0 ? * FRI#6", "at most 5"),
        ("0 0 0 ? * 2#1,3#1", "one day with '#'"),
        ("0 */0 0 * * ?", "step of 0"),
        ("0 0 0 1 FOO ?", "month 'FOO'"),
        ("0 0 0 , * ?", "day of month '' is not valid"),
        ("", "0 fields"),
    ],
)
def test_an_invalid_schedule_is_refused_with_its_field(expression: str, error: str) -> None:
    with pytest.raises(ApiError) as raised:
        parse_quartz(expression, field="settings.schedule.quartz_cron_expression")
    assert raised.value.code == "INVALID_PARAMETER_VALUE"
    assert error in raised.value.message
    assert "settings.schedule.quartz_cron_expression" in raised.value.message


@pytest.mark.parametrize("timezone", ["Europe/Nowhere", "../etc/passwd", ""])
def test_an_unknown_time_zone_is_refused(timezone: str) -> None:
    with pytest.raises(ApiError, match="time zone"):
        parse_quartz("0 0 3 * * ?", timezone)


@st.composite
def fields(draw: st.DrawFn, first: int, last: int, names: list[str] | None = None) -> tuple[str, set[int]]:
    """A field's text and its values, which are computed separately."""

    def shown(value: int) -> str:
        return names[value - first] if names and draw(st.booleans()) else str(value)

    texts, meant = [], set()
    for _ in range(draw(st.integers(1, 3))):
        a, b = draw(st.integers(first, last)), draw(st.integers(first, last))
        step = draw(st.integers(1, last - first))
        kind = draw(st.sampled_from(["one", "range", "from", "every", "range step"]))
        if kind == "one":
            texts.append(shown(a))
            meant.add(a)
        elif kind in ("range", "range step"):
            round_trip = list(range(first, last + 1)) * 2
            start = round_trip.index(a)
            end = round_trip.index(b, start)
            step = step if kind == "range step" else 1
            texts.append(f"{shown(a)}-{shown(b)}" + (f"/{step}" if kind == "range step" else ""))
            meant.update(round_trip[start : end + 1 : step])
        else:
            texts.append(f"*/{step}" if kind == "every" else f"{shown(a)}/{step}")
            meant.update(range(first if kind == "every" else a, last + 1, step))
    return ",".join(texts), meant


@settings(max_examples=150, deadline=None)
@given(
    fields(0, 59),
    fields(0, 59),
    fields(0, 23),
    fields(1, 31),
    fields(1, 12, MONTHS),
    fields(1, 7, WEEKDAYS),
    st.booleans(),
    st.sampled_from(["UTC", "Asia/Kolkata", "America/Phoenix"]),  # no daylight saving
    st.datetimes(datetime(2023, 1, 1), datetime(2027, 1, 1)),
)
def test_any_schedule_agrees_with_a_search_through_the_days(
    second: tuple[str, set[int]],
    minute: tuple[str, set[int]],
    hour: tuple[str, set[int]],
    day: tuple[str, set[int]],
    month: tuple[str, set[int]],
    weekday: tuple[str, set[int]],
    by_weekday: bool,
    zone: str,
    after: datetime,
) -> None:
    days = f"? {month[0]} {weekday[0]}" if by_weekday else f"{day[0]} {month[0]} ?"
    expression = f"{second[0]} {minute[0]} {hour[0]} {days}"

    def matches(at: date) -> bool:
        by_day = (at.isoweekday() % 7 + 1) in weekday[1] if by_weekday else at.day in day[1]
        return by_day and at.month in month[1]

    def counted() -> datetime | None:
        for number in range(8 * 366):  # 29 February comes again within eight years
            at = after.date() + timedelta(days=number)
            if matches(at):
                times = (time(h, m, s) for h in sorted(hour[1]) for m in sorted(minute[1]) for s in second[1])
                later = [t for t in map(datetime.combine, [at] * 86400, times) if t > after]
                if later:
                    return min(later)
        return None

    expected = counted()
    local = ZoneInfo(zone)
    due = parse_quartz(expression, zone).next_after(after.replace(tzinfo=local))
    assert due == (expected.replace(tzinfo=local).astimezone(UTC) if expected else None)

"""How rows and figures are printed: tables for people, JSON and CSV for scripts."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Row = tuple[Any, ...]
CELL_WIDTH = 60
PIPE_WIDTH = 10_000  # nothing is cut off in a file or a pipe


def console(stderr: bool = False) -> Console:
    """A console on the stream as it is now. Colours only on a terminal, and not where NO_COLOR is set."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, highlight=False, width=None if stream.isatty() else PIPE_WIDTH)


def new_table(*columns: str, right: Iterable[str] = ()) -> Table:
    """An empty table in the house style; the columns in `right` hold numbers."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    numbers = set(right)
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    return table


def print_json(value: object) -> None:
    """One JSON document on stdout."""
    print(json.dumps(json_value(value), ensure_ascii=False, indent=2))


def json_value(value: object) -> Any:
    """A value as JSON has it: instants in ISO 8601 with Z, decimals as numbers, bytes as text."""
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


def print_rows(columns: Sequence[str], rows: Sequence[Row], form: str, more: bool = False) -> None:
    """Rows as `table`, `json` or `csv`. `more`: there are further rows, which a table mentions."""
    if form == "json":
        distinct = len(set(columns)) == len(columns)
        print_json([dict(zip(columns, row, strict=True)) if distinct else list(row) for row in rows])
    elif form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([text_value(cell) for cell in row] for row in rows)
    else:
        _print_table(columns, rows, more)


def size_text(size: int) -> str:
    """Bytes in units of 1024: `17.3 MB`."""
    amount = float(size)
    for unit in ("B", "KB", "MB", "GB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TB"


def plural(number: int, noun: str) -> str:
    """`1 row`, `1,200 rows`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _print_table(columns: Sequence[str], rows: Sequence[Row], more: bool) -> None:
    from rich.markup import escape

    out = console()
    cells = [[_short(text_value(cell)) for cell in row] for row in rows]
    shown = _columns_that_fit(columns, cells, out.width)
    table = new_table()
    for number in shown:
        justify: Literal["right", "left"] = "right" if _is_numeric(rows, number) else "left"
        table.add_column(escape(columns[number]), justify=justify, no_wrap=True)
    for row in cells:
        table.add_row(*(escape(row[number]) for number in shown))
    out.print(table)
    notes = [plural(len(rows), "row") + (", and there are more (--limit)" if more else "")]
    if hidden := [name for number, name in enumerate(columns) if number not in shown]:
        notes.append(f"columns that do not fit: {', '.join(hidden)} (--json has all)")
    out.print(f"[dim]{escape('; '.join(notes))}[/dim]")


def _columns_that_fit(names: Sequence[str], cells: Sequence[Sequence[str]], width: int) -> list[int]:
    """The first columns that fit side by side; at least one."""
    shown: list[int] = []
    used = 0
    for number, name in enumerate(names):
        used += max([len(name), *(len(row[number]) for row in cells)]) + 2
        if used > width + 2 and shown:
            break
        shown.append(number)
    return shown


def _short(text: str) -> str:
    line = text.replace("\n", "\\n").replace("\r", "\\r").replace("\t", " ")
    # Raw input is shown as it came, but must not command the terminal.
    line = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in line)
    limit = CELL_WIDTH if sys.stdout.isatty() else PIPE_WIDTH
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


def _is_numeric(rows: Sequence[Row], number: int) -> bool:
    values = [row[number] for row in rows if row[number] is not None]
    return bool(values) and all(
        isinstance(v, int | float | Decimal) and not isinstance(v, bool) for v in values
    )


def _utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

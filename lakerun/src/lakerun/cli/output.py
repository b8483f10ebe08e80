"""Prints rows and figures: tables for people, JSON and CSV for scripts."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from lakerun.formats import json_value, plural, text_value

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Row = tuple[Any, ...]
CELL_WIDTH = 60
PIPE_WIDTH = 10_000  # nothing is cut off in a file or a pipe


def console(stderr: bool = False) -> Console:
    """A console on the current stream. Colours only on a terminal, and not if NO_COLOR is set."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, highlight=False, width=None if stream.isatty() else PIPE_WIDTH)


def new_table(*columns: str, right: Iterable[str] = ()) -> Table:
    """An empty table in our style; the columns in `right` hold numbers."""
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


def print_rows(columns: Sequence[str], rows: Sequence[Row], form: str, more: bool = False) -> None:
    """Rows as `table`, `json` or `csv`. `more` says that there are further rows, which a table mentions."""
    if form == "json":
        distinct = len(set(columns)) == len(columns)
        print_json([dict(zip(columns, row, strict=True)) if distinct else list(row) for row in rows])
    elif form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([text_value(cell) for cell in row] for row in rows)
    else:
        _print_table(columns, rows, more)


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
    # Raw input is shown as it arrived, but must not control the terminal.
    line = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in line)
    limit = CELL_WIDTH if sys.stdout.isatty() else PIPE_WIDTH
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


def _is_numeric(rows: Sequence[Row], number: int) -> bool:
    values = [row[number] for row in rows if row[number] is not None]
    return bool(values) and all(
        isinstance(v, int | float | Decimal) and not isinstance(v, bool) for v in values
    )

"""Rows as aligned plain text, for a job's output: `text_table`."""

from __future__ import annotations

from collections.abc import Sequence


def text_table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> str:
    """One line per row, under the columns' titles; the columns in `right` are right-aligned."""
    widths = [max(len(title), *(len(row[i]) for row in rows), 0) for i, title in enumerate(columns)]

    def line(cells: Sequence[str]) -> str:
        aligned = (
            cell.rjust(width) if title in right else cell.ljust(width)
            for cell, width, title in zip(cells, widths, columns, strict=True)
        )
        return "  ".join(aligned).rstrip()

    return "\n".join([line(columns), line(["-" * width for width in widths]), *map(line, rows)])

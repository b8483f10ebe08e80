"""JSON lines from columns, with their intentional issues: `add_issue`, `add_line`."""

from __future__ import annotations

from collections.abc import Mapping

from ecommerce_lakehouse.generation.columns import LINE, Columns, uniform
from ecommerce_lakehouse.generation.issues import DUPLICATE, UNEXPECTED_COLUMN, IssueSpread

FAR_FUTURE = "'2999-01-01T00:00:00Z'"
BYTE = "cast(X'E9' AS STRING)"  # e acute in Latin-1, which is not UTF-8


def add_issue(columns: Columns, spread: IssueSpread) -> None:
    """Add `_issue` STRING, a line's issue or NULL, and `_source` BIGINT, the line that all its values are of.

    That is the line itself, but for a duplicate, which repeats the clean line before it.
    """
    columns.add("_issue", "string", spread.issue(LINE), output=True)
    repeats = f"_issue = '{DUPLICATE}'"
    columns.add(
        "_source", "bigint", f"IF({repeats}, {spread.latest_clean(LINE)}, {LINE})" if spread.bad else LINE
    )


def quoted(text: str) -> str:
    """SQL: a JSON string; no value here needs escaping."""
    return f"concat('\"', {text}, '\"')"


def faulty(good: str, **by_kind: str) -> str:
    """SQL: the good text, or another one on lines with the named kind of issue."""
    branches = " ".join(f"WHEN '{kind}' THEN {text}" for kind, text in by_kind.items())
    return f"CASE _issue {branches} ELSE {good} END"


def add_line(columns: Columns, fields: Mapping[str, str], unexpected: str, seed: int) -> None:
    """Adds `value`, the JSON object of `fields` (SQL of each value's JSON text)."""
    parts = [
        f"'{'{' if position == 0 else ','}\"{name}\":', {text}"
        for position, (name, text) in enumerate(fields.items())
    ]
    extra = f"CASE _issue WHEN '{UNEXPECTED_COLUMN}' THEN ',{unexpected}}}' ELSE '}}' END"
    columns.add("_json", "string", f"concat({', '.join(parts)}, {extra})")
    cut = f"left(_json, cast(length(_json) * (0.2 + 0.6 * {uniform(seed, LINE, 'cut')}) AS INT))"
    columns.add(
        "value", "string", f"CASE _issue WHEN 'truncated_json' THEN {cut} ELSE _json END", output=True
    )

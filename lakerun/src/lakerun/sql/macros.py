"""DuckDB macros, `spark_<name>`, for functions that DuckDB lacks or that differ from Spark's: `MACROS`.

Most are in macros.sql. The casts of a text are here, one for each type.
"""

from __future__ import annotations

import re
from pathlib import Path

SPARK_ONLY = "only Spark knows"
# The characters that Java strips from both ends of a text before it parses a number or a time.
_BLANK = r"[\x00-\x20]*"
_NUMBER = rf"{_BLANK}[+-]?([0-9]{{1,17}}(\.[0-9]{{0,17}})?|\.[0-9]{{1,17}})([eE][+-]?[0-9]{{1,3}})?{_BLANK}"
_DAY = r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
_TIME = r"[0-9]{1,2}:[0-9]{1,2}(:[0-9]{1,2}(\.[0-9]{1,6})?)?"
# A text that is neither a number nor a time for any parser.
_WORD = rf"{_BLANK}([^-+.0-9iInN\x00-\x20].*|)"


def _written() -> dict[str, str]:
    """The macros of macros.sql, by name."""
    text = Path(__file__).with_name("macros.sql").read_text(encoding="utf-8")
    text = re.sub(r"^--.*\n", "", text, flags=re.M)
    found = re.findall(r"^(\w+)(\(.*?\) AS\n.*?);$", text, flags=re.M | re.S)
    return dict(found)


MACROS = _written()


def macros_in(sql: str) -> list[str]:
    """The statements that create the macros of an SQL text, and those that they call."""
    asked = set(re.findall(r"spark_(\w+)\(", sql))
    for name, definition in reversed(MACROS.items()):
        if name in asked:
            asked |= set(re.findall(r"spark_(\w+)\(", definition))
    return [f"CREATE MACRO spark_{name}{MACROS[name]}" for name in MACROS if name in asked]


def parsed(text: str, to: str, fails: bool) -> str:
    """A text as a number, a time or a truth value of DuckDB's type `to`; otherwise an error, or NULL.

    A text that only resembles one is left to Spark, whose parser accepts more forms.
    """
    cast = "CAST" if fails else "TRY_CAST"
    shown = {"INTEGER": "INT32", "BIGINT": "INT64"}.get(to, to)
    quote = "''''"
    message = f"'Could not convert string ' || {quote} || {text} || {quote} || ' to {shown}'"
    wrong = f"error({message})" if fails else "NULL"
    trimmed = f"spark_trimmed({text})"
    word = f"WHEN regexp_full_match({text}, '{_WORD}') THEN {wrong}"
    unknown = "ELSE spark_only('a text in this form') END"
    if to == "BOOLEAN":
        return (
            f"CASE WHEN lower({trimmed}) IN ('t', 'true', 'y', 'yes', '1') THEN true "
            f"WHEN lower({trimmed}) IN ('f', 'false', 'n', 'no', '0') THEN false "
            f"WHEN {text} IS NOT NULL THEN {wrong} END"
        )
    if to in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT"):
        return (
            f"CASE WHEN regexp_full_match({text}, '{_BLANK}[+-]?[0-9]+{_BLANK}') "
            f"THEN {cast}({trimmed} AS {to}) WHEN {text} IS NOT NULL THEN {wrong} END"
        )
    if to == "DATE":
        form, found = f"{_BLANK}{_DAY}([ T].*)?", f"regexp_extract({text}, '{_DAY}')"
    elif to == "TIMESTAMP":
        form = f"{_BLANK}{_DAY}([ T]{_TIME})?(Z|UTC| UTC|[+]00:00)?{_BLANK}"
        found = f"regexp_extract({text}, '{_DAY}([ T]{_TIME})?')"
    else:
        form, found = _NUMBER, trimmed
    return (
        f"CASE WHEN {text} IS NULL THEN NULL WHEN regexp_full_match({text}, '{form}') "
        f"THEN {cast}({found} AS {to}) {word} {unknown}"
    )


for _to in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE", "BOOLEAN", "DATE", "TIMESTAMP"):
    MACROS[f"to_{_to.lower()}"] = f"(s) AS {parsed('s', _to, True)}"
    MACROS[f"try_{_to.lower()}"] = f"(s) AS {parsed('s', _to, False)}"

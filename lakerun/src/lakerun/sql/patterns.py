"""Java's patterns, of texts and of times, for DuckDB: `regular`, `groups_in`, `formatted`, `parsed_by`."""

from __future__ import annotations

import re
from itertools import groupby

from lakerun.sql.errors import only_in_spark
from lakerun.sql.types import text

_NOT_LINE_END = r"[^\n\r\x{85}\x{2028}\x{2029}]"
_CLASSES = {"d": "[0-9]", "D": "[^0-9]", "w": "[a-zA-Z0-9_]", "W": "[^a-zA-Z0-9_]"}
_CLASSES |= {"s": r"[ \t\n\x{0b}\f\r]", "S": r"[^ \t\n\x{0b}\f\r]", "t": r"\t", "n": r"\n", "r": r"\r"}
_INNER = {"d": "0-9", "w": "a-zA-Z0-9_", "s": r" \t\n\x{0b}\f\r", "t": r"\t", "n": r"\n", "r": r"\r"}
_PUNCTUATION = r".^$*+?()[]{}|\/-:,;'\"@#%&=~<>!_ "
_QUANTIFIER = re.compile(r"[*+?]\??|\{[0-9]{1,3}(,[0-9]{0,3})?\}\??")


def regular(pattern: str) -> str:
    """A Java regular expression for RE2, with the same matches. Refuses one that may differ.

    Both are leftmost-first. `$` also matches before a line's end in Java: here it is the text's end, and the
    caller leaves texts that end a line to Spark (`anchored`).
    """
    return "".join(_pieces(pattern))


def anchored(pattern: str) -> bool:
    """Whether the pattern has a `$` outside brackets."""
    return "$" in re.sub(r"\\.|\[[^]]*\]", "", pattern)


def may_be_empty(pattern: str) -> bool:
    """Whether the pattern matches the empty text, after which Java and RE2 continue differently."""
    try:
        return re.match(re.sub(r"(?<!\\)[\^$]", "", pattern), "") is not None
    except re.error:
        return True


def groups_in(pattern: str) -> int:
    """The number of groups that a pattern captures."""
    bare = re.sub(r"\\.|\[[^]]*\]", "", pattern)
    return len(re.findall(r"\((?!\?)", bare))


def _pieces(pattern: str) -> list[str]:
    made: list[str] = []
    at, repeatable = 0, False
    while at < len(pattern):
        letter = pattern[at]
        if quantifier := _QUANTIFIER.match(pattern, at):
            if not repeatable:
                raise only_in_spark(f"the regular expression {pattern}")
            made.append(quantifier.group())
            at, repeatable = quantifier.end(), False
            continue
        repeatable = letter not in "(|^$"
        if letter == "\\":
            escaped = pattern[at + 1 : at + 2]
            if escaped in _CLASSES:
                made.append(_CLASSES[escaped])
            elif escaped and escaped in _PUNCTUATION:
                made.append(re.escape(escaped) if escaped in r".^$*+?()[]{}|\\" else escaped)
            else:
                raise only_in_spark(f"\\{escaped} in a regular expression")
            at += 2
        elif letter == "[":
            end, written = _brackets(pattern, at)
            made.append(written)
            at = end
        elif letter == "(":
            if pattern[at : at + 3] == "(?:":
                made.append("(?:")
                at += 3
            elif pattern[at + 1 : at + 2] == "?":
                raise only_in_spark(f"{pattern[at : at + 4]} in a regular expression")
            else:
                made.append("(")
                at += 1
        elif letter == ".":
            made.append(_NOT_LINE_END)
            at += 1
        elif letter == "$":
            made.append(r"\z")
            at += 1
        elif letter in "{}]":
            raise only_in_spark(f"{letter} in a regular expression")
        else:
            made.append(letter)
            at += 1
    return made


def _brackets(pattern: str, start: int) -> tuple[int, str]:
    at, made = start + 1, "["
    if pattern[at : at + 1] == "^":
        at, made = at + 1, "[^"
    while at < len(pattern) and pattern[at] != "]":
        letter = pattern[at]
        if letter == "\\":
            escaped = pattern[at + 1 : at + 2]
            if escaped in _INNER:
                made += _INNER[escaped]
            elif escaped and escaped in _PUNCTUATION:
                made += "\\" + escaped if escaped in r"\^-[]" else escaped
            else:
                raise only_in_spark(f"\\{escaped} in a regular expression")
            at += 2
            continue
        if letter in "[&":
            raise only_in_spark(f"{letter} in brackets of a regular expression")
        made += letter
        at += 1
    if at >= len(pattern) or made in ("[", "[^"):
        raise only_in_spark(f"the regular expression {pattern}")
    return at + 1, made + "]"


# Patterns of times -----------------------------------------------------------------------------------

_TWO = "lpad(CAST({} AS VARCHAR), 2, '0')"
_WRITTEN = {
    "yyyy": "strftime({0}, '%Y')",
    "y": "CAST(year({0}) AS VARCHAR)",
    "yy": "strftime({0}, '%y')",
    "MM": "strftime({0}, '%m')",
    "M": "CAST(month({0}) AS VARCHAR)",
    "MMM": "strftime({0}, '%b')",
    "MMMM": "strftime({0}, '%B')",
    "dd": "strftime({0}, '%d')",
    "d": "CAST(day({0}) AS VARCHAR)",
    "D": "CAST(dayofyear({0}) AS VARCHAR)",
    "DDD": "strftime({0}, '%j')",
    "E": "strftime({0}, '%a')",
    "EE": "strftime({0}, '%a')",
    "EEE": "strftime({0}, '%a')",
    "EEEE": "strftime({0}, '%A')",
    "HH": "strftime({0}, '%H')",
    "H": "CAST(hour({0}) AS VARCHAR)",
    "hh": "strftime({0}, '%I')",
    "h": "CAST((hour({0}) + 11) % 12 + 1 AS VARCHAR)",
    "a": "strftime({0}, '%p')",
    "mm": "strftime({0}, '%M')",
    "m": "CAST(minute({0}) AS VARCHAR)",
    "ss": "strftime({0}, '%S')",
    "s": "CAST(second({0}) AS VARCHAR)",
    "S": "left(strftime({0}, '%f'), 1)",
    "SS": "left(strftime({0}, '%f'), 2)",
    "SSS": "left(strftime({0}, '%f'), 3)",
    "SSSSSS": "strftime({0}, '%f')",
    "Q": "CAST(quarter({0}) AS VARCHAR)",
    "q": "CAST(quarter({0}) AS VARCHAR)",
    "QQ": _TWO.format("quarter({0})"),
    "qq": _TWO.format("quarter({0})"),
}
_READ = {
    "yyyy": (4, "%Y"),
    "MM": (2, "%m"),
    "dd": (2, "%d"),
    "HH": (2, "%H"),
    "mm": (2, "%M"),
    "ss": (2, "%S"),
}


def _parts(pattern: str) -> list[tuple[bool, str]]:
    """The runs of one letter, and the texts between them; a quoted text is between them."""
    found: list[tuple[bool, str]] = []
    for number, outside in enumerate(pattern.split("'")):
        if number % 2:
            found.append((False, outside or "'"))
        else:
            runs = ("".join(run) for _, run in groupby(outside))
            found += [(run[0].isalpha(), run) for run in runs]
    if pattern.count("'") % 2 or any(not letters and set(run) & set("[]{}#") for letters, run in found):
        raise only_in_spark(f"the pattern {pattern}")
    return found


def formatted(value: str, pattern: str) -> str:
    """A timestamp of DuckDB as a text by Java's pattern."""
    made = []
    for letters, run in _parts(pattern):
        if letters and run not in _WRITTEN:
            raise only_in_spark(f"{run} in the pattern {pattern}")
        made.append(_WRITTEN[run].format(value) if letters else text(run))
    years = f"year({value}) BETWEEN 1 AND 9999"
    joined = " || ".join(made) or "''"
    return (
        f"(CASE WHEN {years} THEN {joined} "
        f"WHEN {value} IS NOT NULL THEN spark_only('a pattern for this year') END)"
    )


def parsed_by(value: str, pattern: str) -> str:
    """A text as a timestamp of DuckDB by Java's pattern; one with another form is left to Spark."""
    form, read = "", ""
    for letters, run in _parts(pattern):
        if letters and run not in _READ:
            raise only_in_spark(f"{run} in the pattern {pattern}")
        form += f"[0-9]{{{_READ[run][0]}}}" if letters else re.escape(run)
        read += _READ[run][1] if letters else run.replace("%", "%%")
    if "%Y" not in read:
        raise only_in_spark(f"the pattern {pattern}")
    return (
        f"(CASE WHEN {value} IS NULL THEN NULL WHEN regexp_full_match({value}, {text(form)}) "
        f"THEN strptime({value}, {text(read)}) ELSE spark_only('a text that does not match its pattern') END)"
    )

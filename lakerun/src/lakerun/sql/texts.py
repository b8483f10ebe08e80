"""Texts: patterns, concatenation, LIKE. Each writer is registered in `special.SCALARS`."""

from __future__ import annotations

from sqlglot import exp

from lakerun.sql.errors import SqlError, not_available, only_in_spark
from lakerun.sql.expressions import Writer
from lakerun.sql.patterns import anchored, groups_in, may_be_empty, regular
from lakerun.sql.registry import Arguments, arguments_of, literal_number, literal_text, scalar
from lakerun.sql.types import BOOLEAN, STRING, VOID, array, text
from lakerun.sql.values import Value


@scalar("concat")
def _concat(writer: Writer, arguments: Arguments) -> Value:
    values = arguments_of(writer, arguments, "concat", 1, 100)
    if any(value.type.name == "array" for value in values):
        texts, kind = writer.texts(values)
        if any(value.type == VOID for value in values):
            raise only_in_spark("concat of an array and NULL")
        checked = " OR ".join(f"{one} IS NULL" for one in texts)
        joined = texts[0]
        for one in texts[1:]:
            joined = f"list_concat({joined}, {one})"
        return Value(f"(CASE WHEN {checked} THEN NULL ELSE {joined} END)", kind)
    return Value(f"({' || '.join(_plain(writer, value) for value in values)})", STRING)


def _plain(writer: Writer, value: Value) -> str:
    if value.type.nested or value.type.name == "binary":
        raise only_in_spark(f"concat of {value.type}")
    return writer.to(value, STRING)


@scalar("concat_ws")
def _concat_ws(writer: Writer, arguments: Arguments) -> Value:
    values = arguments_of(writer, arguments, "concat_ws", 2, 100)
    return Value(f"concat_ws({', '.join(_plain(writer, value) for value in values)})", STRING)


@scalar("sha2")
def _sha2(writer: Writer, arguments: Arguments) -> Value:
    value, bits = arguments_of(writer, arguments, "sha2", 2)
    if literal_number(bits, "sha2 with bits") not in (0, 256) or value.type != STRING:
        raise only_in_spark("sha2 other than of a text and with 256 bits")
    return Value(f"sha256({value.sql})", STRING)


def _matching(writer: Writer, arguments: Arguments, name: str) -> tuple[str, str, list[Value]]:
    value, pattern, *more = arguments_of(writer, arguments, name, 2, 3)
    if value.type != STRING:
        raise only_in_spark(f"{name} of {value.type}")
    given = literal_text(pattern, "a regular expression")
    sql = value.sql
    if anchored(given):
        sql = (
            f"(CASE WHEN regexp_matches({sql}, '[\\n\\r\\x{{85}}\\x{{2028}}\\x{{2029}}]\\z') "
            f"THEN spark_only('$ in a text that ends with a line') ELSE {sql} END)"
        )
    return sql, given, more


@scalar("rlike", "regexp_like", "regexp")
def _rlike(writer: Writer, arguments: Arguments) -> Value:
    value, pattern, more = _matching(writer, arguments, "rlike")
    if more:
        raise not_available("rlike with 3 arguments")
    return Value(f"regexp_matches({value}, {text(regular(pattern))})", BOOLEAN)


@scalar("regexp_extract")
def _regexp_extract(writer: Writer, arguments: Arguments) -> Value:
    value, pattern, more = _matching(writer, arguments, "regexp_extract")
    group = literal_number(more[0], "a group") if more else 1
    if not 0 <= group <= groups_in(pattern):
        raise SqlError(f"SQL: the regular expression '{pattern}' has no group {group}.")
    return Value(f"regexp_extract({value}, {text(regular(pattern))}, {group})", STRING)


@scalar("regexp_replace")
def _regexp_replace(writer: Writer, arguments: Arguments) -> Value:
    value, pattern, more = _matching(writer, arguments, "regexp_replace")
    if not more:
        raise not_available("regexp_replace with 2 arguments")
    if may_be_empty(pattern):
        raise only_in_spark(f"regexp_replace of {pattern}")
    replacement = literal_text(more[0], "a replacement")
    made, at = "", 0
    while at < len(replacement):
        letter, following = replacement[at], replacement[at + 1 : at + 2]
        if letter == "\\" or (letter == "$" and not following.isdigit()):
            raise only_in_spark(f"the replacement {replacement}")
        if letter == "$":
            if int(following) > groups_in(pattern) or replacement[at + 2 : at + 3].isdigit():
                raise only_in_spark(f"the replacement {replacement}")
            made += f"\\{following}"
            at += 2
            continue
        made += letter
        at += 1
    return Value(f"regexp_replace({value}, {text(regular(pattern))}, {text(made)}, 'g')", STRING)


@scalar("split")
def _split(writer: Writer, arguments: Arguments) -> Value:
    value, pattern, more = _matching(writer, arguments, "split")
    if more or may_be_empty(pattern):
        raise only_in_spark("split with these arguments")
    if anchored(pattern) or any(mark in pattern for mark in "*?^"):
        raise only_in_spark(f"split by {pattern}")
    return Value(f"string_split_regex({value}, {text(regular(pattern))})", array(STRING))


def like(writer: Writer, node: exp.Expr) -> Value:
    """LIKE and ILIKE with a pattern that is a literal."""
    escape = "\\"
    if isinstance(node, exp.Escape):
        escape = node.expression.name
        node = node.this
    value, pattern = writer.write(node.this), writer.write(node.expression)
    if value.type not in (STRING, VOID) or len(escape) != 1:
        raise only_in_spark(f"LIKE of {value.type}")
    given = literal_text(pattern, "a pattern")
    at = 0
    while (at := given.find(escape, at)) >= 0:
        if given[at + 1 : at + 2] not in ("_", "%", escape):
            raise SqlError(f"SQL: the pattern '{given}' escapes what needs no escape.")
        at += 2
    sql, written = writer.to(value, STRING), text(given)
    if isinstance(node, exp.ILike):
        sql, written = f"spark_lower({sql})", f"spark_lower({written})"
    word = "NOT LIKE" if node.args.get("negate") else "LIKE"
    return Value(f"({sql} {word} {written} ESCAPE {text(escape)})", BOOLEAN)


def trim(writer: Writer, node: exp.Trim) -> Value:
    """TRIM(BOTH letters FROM text) and TRIM(text)."""
    side = str(node.args.get("position") or "BOTH").upper()
    name = {"BOTH": "trim", "LEADING": "ltrim", "TRAILING": "rtrim"}[side]
    value = writer.write(node.this)
    letters = writer.write(node.expression) if node.expression else Value("' '", STRING, " ")
    if value.type != STRING or letters.type != STRING:
        raise only_in_spark(f"{name} of {value.type}")
    return Value(f"{name}({value.sql}, {letters.sql})", STRING)

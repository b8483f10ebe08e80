"""Checks that a constraint depends only on its row: `nondeterminism` names the parts that do not.

It needs neither Spark nor a parser, so a rule is refused wherever it is declared. `lakehouse validate` also
asks Spark's analyser.
"""

from __future__ import annotations

import re

# Spark's functions whose value comes from the clock, chance, the session or the row's position.
FUNCTIONS = re.compile(
    r"current_\w+|curdate|now|getdate|sysdate|local(time|timestamp)|today|"
    r"rand|randn|random|randstr|uniform|uuid|shuffle|"
    r"monotonically_increasing_id|spark_partition_id|input_file_\w+|session_user|user|version|is_member|"
    r"is_account_group_member|(try_)?reflect|java_method|ai_\w+|http_request|(try_)?secret",
    re.IGNORECASE,
)
# These need no brackets.
KEYWORDS = re.compile("current_(timestamp|date|time|user)|session_user|local(time|timestamp)", re.IGNORECASE)
# These read the clock only without an argument.
CLOCK_WITHOUT_ARGUMENT = re.compile(r"\b(unix_timestamp|to_unix_timestamp)\s*\(\s*\)", re.IGNORECASE)
# Spark reads the clock for these typed literals.
MOMENTS = re.compile(
    r"\b(?:date|timestamp(?:_ntz|_ltz)?)\s*['\"]\s*(?:now|today|yesterday|tomorrow)\b[^'\"]*['\"]",
    re.IGNORECASE,
)
LITERAL = re.compile(r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.)*\"")
COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
QUOTED_FUNCTION = re.compile(r"`(\w*)`\s*\(")
QUOTED_NAME = re.compile(r"`[^`]*`")
WORD = re.compile(r"(\.\s*|(?<!\w))([A-Za-z_]\w*)\s*(\()?")


def nondeterminism(constraint: str) -> list[str]:
    """The parts of a SQL expression, as written, that depend on more than its row."""
    found = [match.group(0) for match in MOMENTS.finditer(constraint)]
    code = LITERAL.sub("''", constraint)
    code = QUOTED_FUNCTION.sub(r"\1(", COMMENT.sub(" ", code))
    code = QUOTED_NAME.sub("quoted", code)
    found += [match.group(0) for match in CLOCK_WITHOUT_ARGUMENT.finditer(code)]
    for match in WORD.finditer(code):
        of, name, called = match.groups()
        if called and FUNCTIONS.fullmatch(name):
            found.append(f"{name}()")
        elif not called and not of and KEYWORDS.fullmatch(name):
            found.append(name)
    return found

"""Parses Databricks SQL without Spark: one statement that only reads, and the tables that it names."""

from __future__ import annotations

import logging
import re

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from lakerun.sql.dialect import Statements
from lakerun.sql.errors import SYNTAX_ERROR, SqlError, WriteRefusedError
from lakerun.tables.storage import quoted

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns on the console


def parse_statement(sql: str) -> exp.Expr:
    """The one read-only statement in `sql`: a query, SHOW TABLES or DESCRIBE. SqlError for anything else."""
    try:
        statements = [tree for tree in sqlglot.parse(sql, read=Statements) if tree is not None]
    except ParseError as error:
        detail = error.errors[0]
        near = f" near '{detail['highlight']}'" if detail["highlight"] else ""
        text = re.sub(r" but got <Token.*", "", str(detail["description"]))
        where = f"line {detail['line']}, column {_start(detail)}{near}"
        raise SqlError(f"SQL syntax, {where}: {text}.", SYNTAX_ERROR) from None
    except TokenError as error:
        text = " ".join(str(error).split())
        raise SqlError(f"SQL syntax: {text}. Is a quote not closed?", SYNTAX_ERROR) from None
    if not statements:
        raise SqlError("There is no SQL statement.")
    if len(statements) > 1:
        raise SqlError(f"Give one SQL statement; this has {len(statements)}.")
    tree = statements[0]
    if not _only_reads(tree):
        kind = sql.split(None, 1)[0].upper()
        raise WriteRefusedError(
            f"{kind} is refused: only SELECT, WITH, SHOW TABLES and DESCRIBE are allowed."
        )
    return tree


def table_name(node: exp.Table) -> str:
    """The name of a table as in the statement, with backticks if a part needs them."""
    names = (part.name for part in node.parts)
    return ".".join(name if re.fullmatch(r"[\w-]+", name) else quoted(name) for name in names)


def position(sql: str, node: exp.Expr) -> str:
    """The position of a name in `sql`, such as `line 1, column 8`; empty if the parser did not keep it."""
    start = node.meta.get("start")
    if start is None:
        return ""
    line_start = sql.rfind("\n", 0, start) + 1
    return f"line {sql.count(chr(10), 0, start) + 1}, column {start - line_start + 1}"


def _start(detail: dict[str, object]) -> int:
    """The column at which a token begins; the parser notes where it ends."""
    return max(1, int(str(detail["col"])) - len(str(detail["highlight"] or " ")) + 1)


def _only_reads(tree: exp.Expr) -> bool:
    if isinstance(tree, exp.Command):
        return str(tree.this).upper() == "SHOW" and show_of(tree) is not None
    writes = tree.find(exp.DML, exp.DDL, exp.Into, exp.Command)
    return isinstance(tree, exp.Query | exp.Describe) and writes is None


def show_of(tree: exp.Command) -> tuple[str, str] | None:
    """What SHOW lists (tables, schemas, catalogs), and in what, "" for everything; None if unknown."""
    text = tree.text("expression").strip().replace("`", "")
    found = re.fullmatch(r"(tables|schemas|databases|catalogs)(?:\s+(?:in|from)\s+(\S+))?", text, re.I)
    if not found:
        return None
    kind = found.group(1).lower().replace("databases", "schemas")
    return kind, (found.group(2) or "").lower()

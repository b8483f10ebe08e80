"""Databricks SQL as sqlglot reads it, with functions by the names that the statement has: `Statements`."""

from __future__ import annotations

from typing import ClassVar

from sqlglot.dialects.databricks import Databricks
from sqlglot.parsers.databricks import DatabricksParser

DatabricksTokenizer = Databricks.Tokenizer

DIALECT = "databricks"
_SYNTAX = ("CAST", "EXTRACT", "POSITION", "SUBSTR", "SUBSTRING", "TRIM", "TRY_CAST")  # more than arguments


class _Parser(DatabricksParser):
    # sqlglot takes many functions for one that is nearly the same. Here each is looked up by its own name.
    FUNCTIONS: ClassVar = {name: DatabricksParser.FUNCTIONS[name] for name in ("ARRAY", "STRUCT")}
    FUNCTION_PARSERS: ClassVar = {name: DatabricksParser.FUNCTION_PARSERS[name] for name in _SYNTAX}


class Statements(Databricks):
    """Reads a statement; what it means is for `statements.py`."""

    class Tokenizer(DatabricksTokenizer):
        STRING_ESCAPES: ClassVar = ["\\", "'"]  # 'it''s' is one text

    Parser = _Parser

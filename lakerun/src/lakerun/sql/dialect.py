"""sqlglot's dialect of Databricks SQL, with functions under the statement's own names: `Statements`."""

from __future__ import annotations

from typing import ClassVar

from sqlglot.dialects.databricks import Databricks
from sqlglot.parsers.databricks import DatabricksParser

DatabricksTokenizer = Databricks.Tokenizer

DIALECT = "databricks"
_SYNTAX = (
    "CAST",
    "EXTRACT",
    "POSITION",
    "SUBSTR",
    "SUBSTRING",
    "TRIM",
    "TRY_CAST",
)  # own syntax


class _Parser(DatabricksParser):
    # sqlglot replaces many functions by a similar one. Here each keeps its own name.
    FUNCTIONS: ClassVar = {name: DatabricksParser.FUNCTIONS[name] for name in ("ARRAY", "STRUCT")}
    FUNCTION_PARSERS: ClassVar = {name: DatabricksParser.FUNCTION_PARSERS[name] for name in _SYNTAX}


class Statements(Databricks):
    """Parses statements, which `statements.py` translates."""

    class Tokenizer(DatabricksTokenizer):
        STRING_ESCAPES: ClassVar = ["\\", "'"]  # 'it''s' is one text

    Parser = _Parser

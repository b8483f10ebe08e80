"""Schemas that datasets declare as DDL, with key constraints: `declared_schema`, `declared_constraints`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

CONSTRAINT = re.compile(
    r",?\s*CONSTRAINT\s+\w+\s+(PRIMARY|FOREIGN)\s+KEY\s*\([^)]*\)(\s*(NOT ENFORCED|RELY|NORELY))*", re.I
)


def declared_schema(ddl: str) -> StructType:
    """A declared schema; key constraints, which only Unity Catalog keeps, are left out."""
    from pyspark.sql.types import StructType

    schema = StructType.fromDDL(CONSTRAINT.sub("", ddl))
    assert isinstance(schema, StructType)
    return schema


def declared_constraints(ddl: str | None) -> list[str]:
    """The key constraints of a declared schema, as written."""
    return [found.group(0).lstrip(", \n\t") for found in CONSTRAINT.finditer(ddl or "")]

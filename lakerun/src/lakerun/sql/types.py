"""Spark's types, and how DuckDB and Arrow write them: `Type`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp
from sqlglot.errors import SqlglotError

from lakerun.sql.dialect import DIALECT

if TYPE_CHECKING:
    import pyarrow as pa

# Spark's name: DuckDB's. Both kinds of timestamp are UTC without a zone in DuckDB, because the session's
# zone is UTC; the zone comes back with the result.
_DUCKDB = {
    "void": "INTEGER",
    "boolean": "BOOLEAN",
    "tinyint": "TINYINT",
    "smallint": "SMALLINT",
    "int": "INTEGER",
    "bigint": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "binary": "BLOB",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "timestamp_ntz": "TIMESTAMP",
}
_D = exp.DataType.Type
_BY_SQLGLOT = {
    _D.NULL: "void",
    _D.BOOLEAN: "boolean",
    _D.TINYINT: "tinyint",
    _D.SMALLINT: "smallint",
    _D.INT: "int",
    _D.BIGINT: "bigint",
    _D.FLOAT: "float",
    _D.DOUBLE: "double",
    _D.TEXT: "string",
    _D.VARCHAR: "string",
    _D.CHAR: "string",
    _D.BINARY: "binary",
    _D.VARBINARY: "binary",
    _D.DATE: "date",
    _D.TIMESTAMP: "timestamp",
    _D.TIMESTAMPTZ: "timestamp",
    _D.TIMESTAMPLTZ: "timestamp",
    _D.TIMESTAMPNTZ: "timestamp_ntz",
}
INTEGRAL = ("tinyint", "smallint", "int", "bigint")
MAX_PRECISION = 38
# Digits of a decimal that holds every value of the type.
DIGITS = {"tinyint": 3, "smallint": 5, "int": 10, "bigint": 20}


@dataclass(frozen=True)
class Type:
    """A type of Spark. `items` are the types within it, `fields` the names of a struct's."""

    name: str
    items: tuple[Type, ...] = ()
    fields: tuple[str, ...] = ()
    precision: int = 0
    scale: int = 0

    def __str__(self) -> str:
        if self.name == "decimal":
            return f"decimal({self.precision},{self.scale})"
        if self.name == "struct":
            pairs = zip(self.fields, self.items, strict=True)
            return f"struct<{','.join(f'{name}:{kind}' for name, kind in pairs)}>"
        return f"{self.name}<{','.join(map(str, self.items))}>" if self.items else self.name

    @property
    def duckdb(self) -> str:
        """The type as DuckDB writes it."""
        if self.name == "decimal":
            return f"DECIMAL({self.precision}, {self.scale})"
        if self.name == "array":
            return f"{self.items[0].duckdb}[]"
        if self.name == "map":
            return f"MAP({self.items[0].duckdb}, {self.items[1].duckdb})"
        if self.name == "struct":
            pairs = zip(self.fields, self.items, strict=True)
            return f"STRUCT({', '.join(f'{quoted(name)} {kind.duckdb}' for name, kind in pairs)})"
        return _DUCKDB[self.name]

    def arrow(self) -> pa.DataType:
        """The type in the result of Spark's `toArrow`."""
        import pyarrow as pa

        if self.name == "decimal":
            return pa.decimal128(self.precision, self.scale)
        if self.name == "array":
            return pa.list_(self.items[0].arrow())
        if self.name == "map":
            return pa.map_(self.items[0].arrow(), self.items[1].arrow())
        if self.name == "struct":
            pairs = zip(self.fields, self.items, strict=True)
            return pa.struct([pa.field(name, kind.arrow()) for name, kind in pairs])
        if self.name.startswith("timestamp"):
            return pa.timestamp("us", "UTC" if self.name == "timestamp" else None)
        names = {"void": "null", "boolean": "bool_", "tinyint": "int8", "smallint": "int16", "int": "int32"}
        names |= {"bigint": "int64", "float": "float32", "double": "float64", "date": "date32"}
        made: pa.DataType = getattr(pa, names.get(self.name, self.name))()
        return made

    @property
    def integral(self) -> bool:
        return self.name in INTEGRAL

    @property
    def numeric(self) -> bool:
        return self.integral or self.name in ("decimal", "float", "double")

    @property
    def instant(self) -> bool:
        return self.name in ("timestamp", "timestamp_ntz")

    @property
    def nested(self) -> bool:
        return self.name in ("array", "map", "struct")

    def holds(self, name: str) -> bool:
        """Whether it is this type, or contains it."""
        return self.name == name or any(item.holds(name) for item in self.items)


VOID, BOOLEAN, STRING, BINARY = Type("void"), Type("boolean"), Type("string"), Type("binary")
INT, BIGINT, DOUBLE = Type("int"), Type("bigint"), Type("double")
DATE, TIMESTAMP, TIMESTAMP_NTZ = Type("date"), Type("timestamp"), Type("timestamp_ntz")


def decimal(precision: int, scale: int) -> Type | None:
    """DECIMAL(precision, scale); None if Spark would drop digits to fit it."""
    return Type("decimal", precision=precision, scale=scale) if precision <= MAX_PRECISION else None


def array(item: Type) -> Type:
    return Type("array", (item,))


def spark_type(node: exp.DataType) -> Type | None:
    """A type in a statement; None for an unknown one."""
    kind = node.this
    if kind == _D.DECIMAL:
        digits = [int(parameter.name) for parameter in node.expressions] or [10]
        precision, scale = digits[0], digits[1] if len(digits) > 1 else 0
        return decimal(precision, scale) if 0 <= scale <= precision else None
    if kind == _D.STRUCT:
        if not all(isinstance(column, exp.ColumnDef) for column in node.expressions):
            return None
        names = tuple(column.name for column in node.expressions)
        inner = [spark_type(column.args["kind"]) for column in node.expressions]
    elif kind in (_D.ARRAY, _D.MAP):
        names = ()
        inner = [spark_type(item) for item in node.expressions]
        if len(inner) != (1 if kind == _D.ARRAY else 2):
            return None
    elif kind in (_D.VARCHAR, _D.CHAR) and node.expressions:
        return None  # Spark checks the length
    else:
        name = _BY_SQLGLOT.get(kind)
        return Type(name) if name else None
    items = tuple(item for item in inner if item is not None)
    return Type(kind.value.lower(), items, names) if len(items) == len(inner) else None


def type_of(written: str) -> Type | None:
    """The type of a table's column, as Databricks writes it."""
    try:
        return spark_type(exp.DataType.build(written, dialect=DIALECT, udt=False))
    except (SqlglotError, ValueError):
        return None


def common(left: Type, right: Type) -> Type | None:
    """The type to which both are widened without a cast that can fail; None if there is none."""
    if left == right or right == VOID:
        return left
    if left == VOID:
        return right
    if left.numeric and right.numeric:
        return _common_number(left, right)
    if {left.name, right.name} <= {"date", "timestamp", "timestamp_ntz"}:
        return TIMESTAMP if "timestamp" in (left.name, right.name) else TIMESTAMP_NTZ
    if left.name == right.name and left.name in ("array", "map"):
        items = [common(a, b) for a, b in zip(left.items, right.items, strict=True)]
        known = tuple(item for item in items if item is not None)
        return Type(left.name, known) if len(known) == len(items) else None
    return None


def _common_number(left: Type, right: Type) -> Type | None:
    if left.integral and right.integral:
        return max(left, right, key=lambda kind: INTEGRAL.index(kind.name))
    if left.name == right.name == "float":
        return left
    if left.name in ("float", "double") or right.name in ("float", "double"):
        return DOUBLE
    a, b = as_decimal(left), as_decimal(right)
    whole = max(a.precision - a.scale, b.precision - b.scale)
    scale = max(a.scale, b.scale)
    return decimal(whole + scale, scale)


def as_decimal(kind: Type) -> Type:
    """The decimal that holds every value of a whole number's type."""
    return kind if kind.name == "decimal" else Type("decimal", precision=DIGITS[kind.name], scale=0)


def quoted(name: str) -> str:
    """An identifier of DuckDB."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A string literal of DuckDB."""
    return "'" + value.replace("'", "''") + "'"

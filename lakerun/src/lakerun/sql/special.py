"""Choices, numbers, arrays, maps, structs and JSON. Each writer is registered in `registry.SCALARS`."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from lakerun.sql import arithmetic, json_values, times
from lakerun.sql.errors import SqlError, not_available, only_in_spark
from lakerun.sql.expressions import Writer
from lakerun.sql.registry import (
    SCALARS,
    Arguments,
    Scalar,
    arguments_of,
    literal_number,
    literal_text,
    scalar,
)
from lakerun.sql.types import (
    BIGINT,
    BOOLEAN,
    DOUBLE,
    STRING,
    VOID,
    Type,
    array,
    decimal,
    quoted,
    text,
)
from lakerun.sql.values import Value

# Choices ---------------------------------------------------------------------------------------------


@scalar("coalesce", "nvl", "ifnull")
def _coalesce(writer: Writer, arguments: Arguments) -> Value:
    texts, kind = writer.texts(arguments_of(writer, arguments, "coalesce", 1, 100))
    return Value(f"coalesce({', '.join(texts)})", kind)


@scalar("nvl2")
def _nvl2(writer: Writer, arguments: Arguments) -> Value:
    given, then, other = arguments_of(writer, arguments, "nvl2", 3)
    texts, kind = writer.texts([then, other])
    return Value(f"(CASE WHEN {given.sql} IS NOT NULL THEN {texts[0]} ELSE {texts[1]} END)", kind)


@scalar("nullif")
def _nullif(writer: Writer, arguments: Arguments) -> Value:
    given, other = arguments_of(writer, arguments, "nullif", 2)
    left, right = writer.compared(given, other)
    return Value(f"(CASE WHEN {left} = {right} THEN NULL ELSE {given.sql} END)", given.type)


@scalar("iff")
def _iff(writer: Writer, arguments: Arguments) -> Value:
    if len(arguments) != 3:
        raise not_available("iff")
    return writer.write(exp.If(this=arguments[0], true=arguments[1], false=arguments[2]))


@scalar("greatest")
def _greatest(writer: Writer, arguments: Arguments) -> Value:
    return _extreme(writer, arguments, "greatest")


@scalar("least")
def _least(writer: Writer, arguments: Arguments) -> Value:
    return _extreme(writer, arguments, "least")


def _extreme(writer: Writer, arguments: Arguments, name: str) -> Value:
    texts, kind = writer.texts(arguments_of(writer, arguments, name, 2, 100))
    if kind.nested or kind == VOID:
        raise only_in_spark(f"{name} of {kind}")
    return Value(f"{name}({', '.join(texts)})", kind)


@scalar("isnull")
def _isnull(writer: Writer, arguments: Arguments) -> Value:
    return Value(f"({arguments_of(writer, arguments, 'isnull', 1)[0].sql} IS NULL)", BOOLEAN)


@scalar("isnotnull")
def _isnotnull(writer: Writer, arguments: Arguments) -> Value:
    return Value(f"({arguments_of(writer, arguments, 'isnotnull', 1)[0].sql} IS NOT NULL)", BOOLEAN)


@scalar("typeof")
def _typeof(writer: Writer, arguments: Arguments) -> Value:
    return Value(text(str(arguments_of(writer, arguments, "typeof", 1)[0].type)), STRING)


def _cast_to(kind: Type) -> Scalar:
    def write(writer: Writer, arguments: Arguments) -> Value:
        return Value(writer.to(arguments_of(writer, arguments, str(kind), 1)[0], kind), kind)

    return write


for _name in (
    "boolean",
    "tinyint",
    "smallint",
    "int",
    "bigint",
    "float",
    "double",
    "string",
    "binary",
    "date",
):
    SCALARS[_name] = _cast_to(Type(_name))
SCALARS["timestamp"] = _cast_to(Type("timestamp"))


# Numbers ---------------------------------------------------------------------------------------------


@scalar("round")
def _round(writer: Writer, arguments: Arguments) -> Value:
    value, *more = arguments_of(writer, arguments, "round", 1, 2)
    digits = literal_number(more[0], "round with digits") if more else 0
    kind = value.type
    if digits < 0 or not kind.numeric or kind.name == "float":
        raise only_in_spark(f"round({kind}, {digits})")
    if kind.integral:
        return value
    if kind.name == "decimal":
        scale = min(digits, kind.scale)
        found = decimal(kind.precision - kind.scale + scale + 1, scale)
        if found is None or digits > kind.scale:
            raise only_in_spark(f"round({kind}, {digits})")
        return Value(f"CAST({value.sql} AS {found.duckdb})", found)
    if digits > 15:
        raise only_in_spark(f"round(double, {digits})")
    # By the digits that are written, half of them up, as Java's BigDecimal.
    rounded = f"CAST(CAST(CAST({value.sql} AS VARCHAR) AS DECIMAL(38, {digits})) AS VARCHAR)"
    return Value(
        f"(CASE WHEN {value.sql} IS NULL OR NOT isfinite({value.sql}) OR abs({value.sql}) >= 1e15 "
        f"THEN {value.sql} ELSE CAST({rounded} AS DOUBLE) END)",
        DOUBLE,
    )


@scalar("ceil", "ceiling")
def _ceil(writer: Writer, arguments: Arguments) -> Value:
    return _whole(writer, arguments, "ceil")


@scalar("floor")
def _floor(writer: Writer, arguments: Arguments) -> Value:
    return _whole(writer, arguments, "floor")


def _whole(writer: Writer, arguments: Arguments, name: str) -> Value:
    (value,) = arguments_of(writer, arguments, name, 1)
    if value.type.name == "decimal":
        found = decimal(value.type.precision - value.type.scale + 1, 0)
        if found is None:
            raise only_in_spark(f"{name} of {value.type}")
        return Value(f"CAST({name}({value.sql}) AS {found.duckdb})", found)
    if value.type.integral:
        return Value(writer.to(value, BIGINT), BIGINT)
    if value.type.name not in ("float", "double"):
        raise only_in_spark(f"{name} of {value.type}")
    return Value(f"CAST({name}(spark_double_range({writer.to(value, DOUBLE)})) AS BIGINT)", BIGINT)


@scalar("mod")
def _mod(writer: Writer, arguments: Arguments) -> Value:
    return arithmetic.operation(writer, "%", *arguments_of(writer, arguments, "mod", 2))


@scalar("pmod")
def _pmod(writer: Writer, arguments: Arguments) -> Value:
    texts, kind = writer.texts(arguments_of(writer, arguments, "pmod", 2))
    if not kind.integral:
        raise only_in_spark(f"pmod of {kind}")
    return Value(f"spark_pmod({', '.join(texts)})", kind)


# DuckDB refuses where Spark answers NULL.
_LOGARITHMS = {"ln": "ln", "log10": "log10", "log2": "log2"}


def _logarithm(name: str) -> Scalar:
    def write(writer: Writer, arguments: Arguments) -> Value:
        value = writer.to(arguments_of(writer, arguments, name, 1)[0], DOUBLE)
        return Value(f"(CASE WHEN {value} > 0 THEN {name}({value}) END)", DOUBLE)

    return write


SCALARS |= {name: _logarithm(duck) for name, duck in _LOGARITHMS.items()}


# Arrays, maps, structs -------------------------------------------------------------------------------


def struct(writer: Writer, pairs: Sequence[tuple[str, Value]]) -> Value:
    """A struct of these fields."""
    if any(value.type == VOID for _, value in pairs):
        raise only_in_spark("a field without a type")
    kind = Type("struct", tuple(value.type for _, value in pairs), tuple(name for name, _ in pairs))
    listed = ", ".join(f"{quoted(name)} := {value.sql}" for name, value in pairs)
    return Value(f"struct_pack({listed})", kind)


@scalar("named_struct")
def _named_struct(writer: Writer, arguments: Arguments) -> Value:
    values = [writer.write(argument) for argument in arguments]
    names = [literal_text(value, "a field's name") for value in values[::2]]
    if len(names) * 2 != len(values) or not names:
        raise SqlError("SQL: named_struct takes names and values in turn.")
    return struct(writer, list(zip(names, values[1::2], strict=True)))


@scalar("map")
def _map(writer: Writer, arguments: Arguments) -> Value:
    values = [writer.write(argument) for argument in arguments]
    if len(values) % 2 or not values:
        raise only_in_spark("map with these arguments")
    keys, key = writer.texts(values[::2])
    items, item = writer.texts(values[1::2])
    if VOID in (key, item) or key.nested or key.name in ("float", "double"):
        raise only_in_spark(f"map<{key},{item}>")
    kind = Type("map", (key, item))
    return Value(f"CAST(map([{', '.join(keys)}], [{', '.join(items)}]) AS {kind.duckdb})", kind)


def _lambda(writer: Writer, arguments: Arguments, name: str) -> tuple[Value, str, Value]:
    """The array, the parameter's name in DuckDB, and the body."""
    if len(arguments) != 2 or not isinstance(arguments[1], exp.Lambda):
        raise not_available(name)
    values, function = writer.write(arguments[0]), arguments[1]
    parameters = function.expressions
    if values.type.name != "array" or len(parameters) != 1:
        raise only_in_spark(f"{name} with these arguments")
    key = writer.scope.context.key("x")
    with writer.variables({parameters[0].name.lower(): Value(key, values.type.items[0])}):
        return values, key, writer.write(function.this)


@scalar("transform")
def _transform(writer: Writer, arguments: Arguments) -> Value:
    values, key, body = _lambda(writer, arguments, "transform")
    if body.type == VOID:
        raise only_in_spark("transform to NULL")
    return Value(f"list_transform({values.sql}, lambda {key}: {body.sql})", array(body.type))


@scalar("filter")
def _filter(writer: Writer, arguments: Arguments) -> Value:
    values, key, body = _lambda(writer, arguments, "filter")
    if body.type != BOOLEAN:
        raise only_in_spark("filter by another type")
    return Value(f"list_filter({values.sql}, lambda {key}: {body.sql})", values.type)


@scalar("exists")
def _exists(writer: Writer, arguments: Arguments) -> Value:
    values, key, body = _lambda(writer, arguments, "exists")
    if body.type != BOOLEAN:
        raise only_in_spark("exists by another type")
    return Value(f"spark_any_of(list_transform({values.sql}, lambda {key}: {body.sql}))", BOOLEAN)


@scalar("forall")
def _forall(writer: Writer, arguments: Arguments) -> Value:
    values, key, body = _lambda(writer, arguments, "forall")
    if body.type != BOOLEAN:
        raise only_in_spark("forall by another type")
    return Value(f"spark_all_of(list_transform({values.sql}, lambda {key}: {body.sql}))", BOOLEAN)


# JSON, times, the session ----------------------------------------------------------------------------


@scalar("get_json_object")
def _get_json_object(writer: Writer, arguments: Arguments) -> Value:
    value, path = arguments_of(writer, arguments, "get_json_object", 2)
    return json_values.at_path(writer, value, literal_text(path, "a path"))


def json_path(writer: Writer, node: exp.JSONExtract) -> Value:
    """`details:a.b[0]`."""
    if not node.args.get("variant_extract"):
        raise only_in_spark("->")
    return json_values.at_path(writer, writer.write(node.this), json_values.path_of(node.expression))


@scalar("from_json")
def _from_json(writer: Writer, arguments: Arguments) -> Value:
    value, schema = arguments_of(writer, arguments, "from_json", 2)
    return json_values.from_json(writer, value, literal_text(schema, "a schema"))


@scalar("to_json")
def _to_json(writer: Writer, arguments: Arguments) -> Value:
    return json_values.to_json(arguments_of(writer, arguments, "to_json", 1)[0])


def _of_times(name: str) -> Scalar:
    return lambda writer, arguments: times.FUNCTIONS[name](writer, arguments)


SCALARS |= {name: _of_times(name) for name in times.FUNCTIONS}


def extract(writer: Writer, field: str, value: Value) -> Value:
    """EXTRACT(field FROM value)."""
    return times.part(writer, field, value)

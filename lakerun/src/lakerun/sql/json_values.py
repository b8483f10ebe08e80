"""JSON texts: `at_path`, `from_json`, `to_json`, with Spark's meaning."""

from __future__ import annotations

import re

from sqlglot import exp
from sqlglot.errors import SqlglotError

from lakerun.sql.errors import SqlError, only_in_spark
from lakerun.sql.expressions import Writer
from lakerun.sql.types import STRING, Type, quoted, spark_type, text
from lakerun.sql.values import Value

_STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[(\d+)\]|\['([^'\"\\]+)'\]|\[(\*)\]")
_INTEGERS = "('BIGINT', 'UBIGINT')"
_INSTANT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|\+00:00)?"


def at_path(writer: Writer, value: Value, path: str) -> Value:
    """The result of get_json_object at a path such as $.a.b[0]."""
    if value.type.name not in ("string", "void"):
        raise only_in_spark(f"JSON in {value.type}")
    at, made, several = 1, "$", False
    if not path.startswith("$"):
        raise only_in_spark(f"the path {path}")
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            raise only_in_spark(f"the path {path}")
        name, index, quoted_name, star = step.groups()
        several = several or star is not None
        made += f'."{name or quoted_name}"' if name or quoted_name else f"[{index or '*'}]"
        at = step.end()
    if several and path.count("[*]") > 1:
        raise only_in_spark(f"the path {path}")
    found = f"json_extract(spark_json({writer.to(value, STRING)}), {text(made)})"
    return Value(f"spark_json_found({found})" if several else f"spark_json_text({found})", STRING)


def path_of(node: exp.Expr) -> str:
    """The path in `:a.b[0]`."""
    path = "$"
    for part in node.expressions:
        if isinstance(part, exp.JSONPathRoot):
            continue
        if isinstance(part, exp.JSONPathKey) and isinstance(part.this, str):
            path += f"['{part.this}']"
        elif isinstance(part, exp.JSONPathSubscript) and isinstance(part.this, int):
            path += f"[{part.this}]"
        elif isinstance(part, exp.JSONPathSubscript) and isinstance(part.this, exp.JSONPathWildcard):
            path += "[*]"
        else:
            raise only_in_spark("this kind of path")
    return path


def from_json(writer: Writer, value: Value, ddl: str) -> Value:
    """A JSON text as a value of the type that `ddl` declares, or of a struct of its columns."""
    kind = _schema(ddl)
    if kind.name not in ("struct", "array") or value.type.name not in ("string", "void"):
        raise only_in_spark(f"from_json to {kind}")
    json = f"spark_json({writer.to(value, STRING)})"
    wanted = "OBJECT" if kind.name == "struct" else "ARRAY"
    other = "spark_only('from_json of this text')"
    wrong = ""
    if kind.name == "struct":
        empty = ", ".join(
            f"{quoted(name)} := CAST(NULL AS {item.duckdb})"
            for name, item in zip(kind.fields, kind.items, strict=True)
        )
        word = f"regexp_matches({value.sql}, '^[A-Za-z]')"
        wrong = f"WHEN {json} IS NULL AND {word} THEN struct_pack({empty}) "
    read = _read(writer, json, kind)
    return Value(
        f"(CASE WHEN {writer.to(value, STRING)} IS NULL THEN NULL WHEN json_type({json}) = '{wanted}' "
        f"THEN {read} {wrong}ELSE {other} END)",
        kind,
    )


def _read(writer: Writer, json: str, kind: Type) -> str:
    """One value; NULL where JSON has another type."""
    found = f"json_type({json})"
    if kind == STRING:
        other = f"WHEN {found} IN ('OBJECT', 'ARRAY', 'DOUBLE') THEN spark_only('JSON as text')"
        return (
            f"CASE WHEN {found} = 'VARCHAR' THEN {json}->>'$' {other} "
            f"WHEN {found} <> 'NULL' THEN CAST({json} AS VARCHAR) END"
        )
    if kind.name in ("int", "bigint"):
        return (
            f"CASE WHEN {found} IN {_INTEGERS} THEN TRY_CAST(TRY_CAST({json} AS BIGINT) AS {kind.duckdb}) END"
        )
    if kind.name == "double":
        return (
            f"CASE WHEN {found} IN ('BIGINT', 'UBIGINT', 'DOUBLE') THEN CAST({json} AS DOUBLE) "
            f"WHEN {found} = 'VARCHAR' THEN spark_only('text as a double') END"
        )
    if kind.name == "boolean":
        return f"CASE WHEN {found} = 'BOOLEAN' THEN CAST({json} AS BOOLEAN) END"
    if kind.name == "timestamp":
        at = f"{json}->>'$'"
        return (
            f"CASE WHEN {found} = 'VARCHAR' AND regexp_full_match({at}, '{_INSTANT}') "
            f"THEN CAST(replace(replace({at}, 'Z', ''), '+00:00', '') AS TIMESTAMP) "
            f"WHEN {found} <> 'NULL' THEN spark_only('this time in JSON') END"
        )
    if kind.name == "struct":
        if len({name.lower() for name in kind.fields}) < len(kind.fields):
            raise only_in_spark(f"from_json to {kind}")
        pairs = zip(kind.fields, kind.items, strict=True)
        listed = []
        for name, item in pairs:
            if not re.fullmatch(r"\w+", name, re.ASCII):
                raise only_in_spark(f"the field {name} in JSON")
            inner = _read(writer, f"json_extract({json}, '$.\"{name}\"')", item)
            listed.append(f"{quoted(name)} := {inner}")
        keys = f"json_keys({json})"
        twice = f"WHEN len({keys}) > len(list_distinct({keys})) THEN spark_only('a repeated key in JSON')"
        return f"CASE WHEN {found} <> 'OBJECT' THEN NULL {twice} ELSE struct_pack({', '.join(listed)}) END"
    if kind.name == "array":
        key = writer.scope.context.key("x")
        inner = _read(writer, key, kind.items[0])
        return (
            f"CASE WHEN {found} = 'ARRAY' THEN list_transform(json_extract({json}, '$[*]'), "
            f"lambda {key}: {inner}) END"
        )
    raise only_in_spark(f"from_json to {kind}")


def _schema(ddl: str) -> Type:
    """A type, or the columns of a struct: Spark's from_json takes both."""
    for written in (ddl, f"struct<{ddl}>"):
        try:
            parsed = exp.DataType.build(written, dialect="databricks", udt=False)
        except (SqlglotError, ValueError):
            continue
        # sqlglot skips what it does not understand in the brackets.
        if all(parsed.sql("databricks").count(mark) == written.count(mark) for mark in "<,"):
            kind = spark_type(parsed)
            if kind is None:
                raise only_in_spark(f"from_json to {ddl}")
            return kind
    raise SqlError(
        f"'{ddl}' is not a schema such as 'array<struct<name string, n bigint>>' or 'a int, b string'."
    )


def to_json(value: Value) -> Value:
    """A struct or an array as JSON; fields that are NULL are left out."""
    if value.type.name not in ("struct", "array"):
        raise only_in_spark(f"to_json of {value.type}")
    return Value(f"(CASE WHEN {value.sql} IS NOT NULL THEN {_written(value.sql, value.type)} END)", STRING)


def _written(sql: str, kind: Type) -> str:
    if kind.integral or kind.name == "boolean":
        return f"CAST({sql} AS VARCHAR)"
    if kind == STRING:
        return (
            f"CASE WHEN regexp_full_match({sql}, '[ -~\\x{{a0}}-\\x{{d7ff}}]*') "
            f"THEN CAST(to_json({sql}) AS VARCHAR) "
            f"WHEN {sql} IS NOT NULL THEN spark_only('these letters in JSON') END"
        )
    if kind.name == "date":
        return f"'\"' || spark_date_text({sql}) || '\"'"
    if kind.name == "struct":
        fields = []
        for name, item in zip(kind.fields, kind.items, strict=True):
            if not re.fullmatch(r"\w+", name, re.ASCII):
                raise only_in_spark(f"the field {name} in JSON")
            inner = f"struct_extract({sql}, {text(name)})"
            fields.append(
                f"CASE WHEN {inner} IS NOT NULL THEN '\"{name}\":' || ({_written(inner, item)}) END"
            )
        return f"'{{' || concat_ws(',', {', '.join(fields)}) || '}}'"
    if kind.name == "array":
        inner = _written("item", kind.items[0])
        if kind.items[0].nested:
            raise only_in_spark(f"to_json of {kind}")
        items = f"list_transform({sql}, lambda item: coalesce({inner}, 'null'))"
        return f"'[' || coalesce(array_to_string({items}, ','), '') || ']'"
    raise only_in_spark(f"to_json of {kind}")

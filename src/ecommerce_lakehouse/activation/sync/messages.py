"""A table's rows as messages, in Spark: `mapped`, and the messages that delete: `delete_message`.

Spark writes the JSON, and only of rows that are due. It lacks `messageId` and `type`, which are put in front
of it when it is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial, reduce

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql import types as T  # noqa: N812

from ecommerce_lakehouse.activation.sync.declarations import (
    LIMITS,
    AnySync,
    Device,
    Group,
    Identify,
    SyncError,
    Track,
    columns_of,
    quoted,
)
from ecommerce_lakehouse.errors import first_line

# What stands in place of a message's opening brace; an id has 36 characters.
ENVELOPE_BYTES = {
    kind: len('{"messageId":"","type":"",') + 36 + len(kind) for kind in ("identify", "group", "track")
}
_JSON = {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'", "dateFormat": "yyyy-MM-dd", "timeZone": "UTC"}
_KEY_TYPES = (T.StringType, T.IntegralType, T.DateType, T.DecimalType, T.BooleanType)
_PLAIN_TYPES = (T.StringType, T.BooleanType, T.NumericType, T.DateType, T.TimestampType)


@dataclass(frozen=True)
class Mapped:
    """A table's rows for a sync.

    `frame` has `key` STRING, NULL where a part of the key is; `person` STRING; `fingerprint` STRING, which
    changes with all that is sent; `problem` STRING, why the row cannot be sent, else NULL; and what the
    message is made of. `message` is the message's JSON, over these columns; `type` is its type.
    """

    frame: DataFrame
    message: Column
    type: str


def mapped(rows: DataFrame, sync: AnySync) -> Mapped:
    """Rows of a sync's table, those that its `where` allows.

    Raises SyncError for a column that does not exist or whose type cannot be sent.
    """
    _check_columns(rows, sync)
    if sync.where is not None:
        rows = _with_expression(sync, "where", lambda: rows.where(f"({sync.where})"))
    for name in (*sync.keys, sync.person):
        if name is not None:
            _check_key(rows, sync, name)
    expressions = [
        (part, name, text) for part, names in sync.fields().items() for name, text in names.items()
    ]
    if isinstance(sync, Track):
        expressions += [
            ("event", "event", quoted(sync.event)),
            ("timestamp", "timestamp", quoted(sync.timestamp)),
        ]
    if isinstance(sync, Device) and sync.platform:
        expressions.append(("platform", "platform", quoted(sync.platform)))
    inputs = {f"v{number}": F.expr(text) for number, (_, _, text) in enumerate(expressions)}
    # One by one where something is wrong, to say in which.
    try:
        frame = rows.select(*_identity(sync), *[value.alias(name) for name, value in inputs.items()])
        types = {field.name: field.dataType for field in frame.schema.fields}
    except (AnalysisException, ParseException):
        for part, name, text in expressions:
            _with_expression(sync, f"{part}.{name}", partial(rows.selectExpr, text))
        raise
    for name, (part, field, _) in zip(inputs, expressions, strict=True):
        _check_type(sync, f"{part}.{field}", types[name])
    parts: dict[str, dict[str, Column]] = {}
    for name, (part, field, _) in zip(inputs, expressions, strict=True):
        parts.setdefault(part, {})[field] = F.col(name)
    frame = frame.withColumns(
        {
            "fingerprint": _fingerprint(sync, [_hashable(F.col(name), types[name]) for name in inputs]),
            "problem": _problem(
                sync, [(f, types[n], F.col(n), p) for n, (p, f, _) in zip(inputs, expressions, strict=True)]
            ),
        }
    )
    options = _JSON | {"ignoreNullFields": "true" if sync.nulls == "omit" else "false"}
    return Mapped(frame, F.to_json(F.struct(*_wire(sync, parts)), options), message_type(sync))


def message_type(sync: AnySync) -> str:
    """The type of the messages that insert and update."""
    return "track" if isinstance(sync, Device) else sync.call


def delete_message(sync: AnySync) -> Column:
    """The message's JSON that deletes what a row had made, over `key` and `person`; its type is track."""
    key, person = F.col("key"), F.col("person")
    match sync:
        case Identify():
            fields = [key.alias("userId"), F.lit("User Deleted").alias("event")]
        case Group() if sync.person is None:
            gone = F.struct(key.alias("objectId"), F.lit(sync.object_type).alias("objectTypeId"))
            fields = [key.alias("groupId"), F.lit("Object Deleted").alias("event"), gone.alias("properties")]
        case Group():
            identifier = F.get_json_object(key, "$[0]")
            gone = F.struct(identifier.alias("objectId"), F.lit(sync.object_type).alias("objectTypeId"))
            fields = [
                person.alias("userId"),
                F.lit("Relationship Deleted").alias("event"),
                gone.alias("properties"),
            ]
        case Device():
            device = F.struct(F.struct(key.alias("token")).alias("device"))
            fields = [person.alias("userId"), F.lit("Device Deleted").alias("event"), device.alias("context")]
        case Track():
            return F.lit(None).cast("string")
    return F.to_json(F.struct(*fields))


def _identity(sync: AnySync) -> list[Column]:
    person = F.col(quoted(sync.person)).cast("string") if sync.person else F.lit(None).cast("string")
    parts = [F.col(quoted(name)).cast("string").alias(f"k{number}") for number, name in enumerate(sync.keys)]
    return [key_text(sync).alias("key"), person.alias("person"), *parts]


def key_text(sync: AnySync) -> Column:
    """The key as text: the column's, or of several a JSON array. NULL if a part is NULL, or is blank."""
    parts = [F.col(quoted(name)).cast("string") for name in sync.keys]
    missing = reduce(lambda a, b: a | b, [part.isNull() | (F.trim(part) == "") for part in parts])
    return F.when(~missing, parts[0] if len(parts) == 1 else F.to_json(F.array(*parts)))


def _wire(sync: AnySync, parts: dict[str, dict[str, Column]]) -> Iterable[Column]:
    """The message's fields in the API's names."""

    def fields(part: str, **more: Column) -> list[Column]:
        return [value.alias(name) for name, value in (parts.get(part, {}) | more).items()]

    match sync:
        case Identify():
            return [F.col("key").alias("userId"), F.struct(*fields("traits")).alias("traits")]
        case Group():
            more = {"object_type_id": F.lit(sync.object_type)}
            if sync.relationship:
                more["relationshipAttributes"] = F.struct(*fields("relationship"))
            user = [F.col("person").alias("userId")] if sync.person else []
            return [*user, F.col("k0").alias("groupId"), F.struct(*fields("traits", **more)).alias("traits")]
        case Device():
            device = [F.col("key").alias("token")]
            if sync.platform:
                device.append(parts["platform"]["platform"].alias("type"))
            context = F.struct(F.struct(*device).alias("device")).alias("context")
            wire = [
                F.col("person").alias("userId"),
                F.lit("Device Created or Updated").alias("event"),
                context,
            ]
        case Track():
            wire = [
                F.col("person").alias("userId"),
                parts["event"]["event"].alias("event"),
                parts["timestamp"]["timestamp"].alias("timestamp"),
            ]
    return [*wire, F.struct(*fields("properties")).alias("properties")] if parts.get("properties") else wire


def _fingerprint(sync: AnySync, values: list[Column]) -> Column:
    """128 bits of all that is sent. A NULL does not change Spark's hash, so each is hashed as such too."""
    declared = sync.model_dump_json(
        include={"call", "nulls", "traits", "relationship", "properties", "object_type"}
    )
    inputs = [F.col("person"), *values]
    flags = [value.isNull() for value in inputs]
    halves = [F.hex(F.xxhash64(F.lit(f"{half}{declared}"), *flags, *inputs)) for half in (0, 1)]
    return F.concat_ws("-", *halves)


def _hashable(value: Column, kind: T.DataType) -> Column:
    """Spark does not hash a map, nor NULLs within a value."""
    return F.to_json(value, _JSON | {"ignoreNullFields": "false"}) if _is_nested(kind) else value


def _problem(sync: AnySync, values: list[tuple[str, T.DataType, Column, str]]) -> Column:
    """The first reason why the row cannot be sent; it never holds a value."""
    checks: list[tuple[Column, str]] = []
    if sync.person and not isinstance(sync, Identify):
        checks.append((_blank(F.col("person")), f"{sync.person}: there is no person"))
    if isinstance(sync, Track):
        event, moment = (value for name, _, value, part in values if part in ("event", "timestamp"))
        checks += [
            (_blank(event), f"{sync.event}: the event has no name"),
            (
                F.octet_length(event) > LIMITS.event_name_bytes,
                f"{sync.event}: the name has more than {LIMITS.event_name_bytes} bytes",
            ),
            (moment.isNull(), f"{sync.timestamp}: the event has no time"),
        ]
    limited = ("traits", "relationship")
    for name, kind, value, part in values:
        if (broken := _not_finite(value, kind)) is not None:
            checks.append((broken, f"{part}.{name}: NaN and infinity are not numbers in JSON"))
        text = (
            value if isinstance(kind, T.StringType) else F.to_json(value, _JSON) if _is_nested(kind) else None
        )
        if part in limited and text is not None:
            checks.append(
                (
                    F.octet_length(text) > LIMITS.attribute_value_bytes,
                    f"{part}.{name}: the value has more than {LIMITS.attribute_value_bytes} bytes",
                )
            )
    none = F.lit(None).cast("string")
    return F.coalesce(*[F.when(broken, F.lit(reason)) for broken, reason in checks], none)


def _blank(value: Column) -> Column:
    return value.isNull() | (F.trim(value) == "")


def _not_finite(value: Column, kind: T.DataType) -> Column | None:
    """Whether a value holds NaN or an infinity, however deep; None for a type that cannot."""
    match kind:
        case T.FractionalType() if not isinstance(kind, T.DecimalType):
            return F.isnan(value) | (F.abs(value) == float("inf"))
        case T.ArrayType(elementType=inner):
            if _not_finite(value, inner) is None:
                return None
            return F.coalesce(F.exists(value, lambda item: _finite_or_false(item, inner)), F.lit(False))
        case T.MapType(valueType=inner):
            return _not_finite(F.map_values(value), T.ArrayType(inner))
        case T.StructType():
            found = [_not_finite(value[field.name], field.dataType) for field in kind.fields]
            broken = [F.coalesce(each, F.lit(False)) for each in found if each is not None]
            return reduce(lambda a, b: a | b, broken) if broken else None
    return None


def _finite_or_false(value: Column, kind: T.DataType) -> Column:
    found = _not_finite(value, kind)
    return F.coalesce(found, F.lit(False)) if found is not None else F.lit(False)


def _is_nested(kind: T.DataType) -> bool:
    return isinstance(kind, T.ArrayType | T.MapType | T.StructType)


def _check_columns(rows: DataFrame, sync: AnySync) -> None:
    from difflib import get_close_matches

    known = {name.lower(): name for name in rows.columns}
    for name in columns_of(sync):
        if name.lower() not in known:
            close = get_close_matches(name.lower(), known, n=1, cutoff=0.5)
            guess = f" Did you mean '{known[close[0]]}'?" if close else ""
            columns = ", ".join(rows.columns)
            raise SyncError(
                f"sync '{sync.name}': {sync.table} has no column '{name}'.{guess} Its columns: {columns}.",
                location=sync.location,
            )


def _check_key(rows: DataFrame, sync: AnySync, name: str) -> None:
    kind = next(field.dataType for field in rows.schema if field.name.lower() == name.lower())
    if not isinstance(kind, _KEY_TYPES):
        raise SyncError(
            f"sync '{sync.name}': {name} is a {kind.simpleString()}, which does not identify a row; "
            "use a text, a whole number or a date",
            location=sync.location,
        )


def _check_type(sync: AnySync, name: str, kind: T.DataType) -> None:
    if name == "event.event" and not isinstance(kind, T.StringType):
        raise SyncError(f"sync '{sync.name}': the column of event has to be a text", location=sync.location)
    if name == "timestamp.timestamp" and not isinstance(kind, T.TimestampType):
        raise SyncError(
            f"sync '{sync.name}': the column of timestamp is a {kind.simpleString()}, not a timestamp with a "
            "time zone",
            location=sync.location,
        )
    if (wrong := _unsendable(kind)) is not None:
        raise SyncError(
            f"sync '{sync.name}': {name} is or holds a {wrong}, which JSON does not have; convert it by an "
            "expression, such as CAST(column AS STRING)",
            location=sync.location,
        )


def _unsendable(kind: T.DataType) -> str | None:
    match kind:
        case T.ArrayType(elementType=inner):
            return _unsendable(inner)
        case T.MapType(keyType=key, valueType=inner):
            return (
                _unsendable(inner)
                if isinstance(key, T.StringType)
                else f"map with keys of {key.simpleString()}"
            )
        case T.StructType():
            return next(filter(None, (_unsendable(field.dataType) for field in kind.fields)), None)
    return None if isinstance(kind, _PLAIN_TYPES) else kind.simpleString()


def _with_expression(sync: AnySync, name: str, work: Callable[[], DataFrame]) -> DataFrame:
    try:
        found = work()
        _ = found.schema  # Connect analyses it only then
    except (AnalysisException, ParseException) as error:
        raise SyncError(f"sync '{sync.name}': {name}: {first_line(error)}", location=sync.location) from None
    return found

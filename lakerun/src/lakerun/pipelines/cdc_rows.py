"""The rows of a target that follow from its changes: `current` (type 1) and `history` (type 2).

A change has the target's columns, `__sequence` and `__deleted`. If changes have the same key and sequence, a
delete is the later one. Otherwise their content decides: columns are compared in the order of their names,
NULL is the smallest value, maps and variants are compared as JSON. The order of arrival and the division into
batches therefore never decide.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import ArrayType, DataType, MapType, StructType, VariantType

from lakerun.pipelines.change_flows import END_AT, START_AT
from lakerun.pipelines.definitions import AutoCdc
from lakerun.tables.storage import quoted

if TYPE_CHECKING:
    from pyspark.sql.window import WindowSpec

SEQUENCE, DELETED = "__sequence", "__deleted"
ORDER, ROW = "__order", "__row"


def current(changes: DataFrame, cdc: AutoCdc) -> DataFrame:
    """The newest state of each key: the columns of `changes`; `__deleted` if the key was deleted."""
    columns = [column(name) for name in changes.columns]
    newest = F.max_by(F.struct(*columns), ORDER).alias(ROW)
    ordered = _in_order(changes, cdc)
    return ordered.groupBy(*map(column, cdc.keys)).agg(newest).select(f"{ROW}.*")


def history(changes: DataFrame, cdc: AutoCdc, columns: Sequence[str]) -> DataFrame:
    """The versions of each key: `columns`, `__START_AT`, `__END_AT`.

    A version ends where the next one, or a delete, begins. Consecutive changes with equal tracked columns
    are one version, with the newest values of its other columns.
    """
    keys = [column(key) for key in cdc.keys]
    payload = [name for name in columns if not _among(name, cdc.keys)]
    tracked = [
        name
        for name in payload
        if (cdc.track_history is None or _among(name, cdc.track_history))
        and not _among(name, cdc.track_history_except)
    ]
    types = {field.name: field.dataType for field in changes.schema}
    row = F.max_by(F.struct(DELETED, *map(column, payload)), ORDER).alias(ROW)
    states = _in_order(changes, cdc).groupBy(*keys, SEQUENCE).agg(row)
    state = F.struct(
        F.col(ROW).getField(DELETED),
        *[comparable(F.col(ROW).getField(name), types[name]).alias(name) for name in tracked],
    )
    in_order = Window.partitionBy(*keys).orderBy(SEQUENCE)
    marked = states.withColumn("__state", state).withColumn("__before", F.lag("__state").over(in_order))
    begins = F.col("__before").isNull() | ~F.col("__state").eqNullSafe(F.col("__before"))
    numbered = marked.withColumn("__version", F.sum(begins.cast("int")).over(in_order))
    versions = numbered.groupBy(*keys, "__version").agg(
        F.min(SEQUENCE).alias(START_AT), F.max_by(ROW, SEQUENCE).alias(ROW)
    )
    by_version = Window.partitionBy(*keys).orderBy("__version")
    ended = versions.withColumn(END_AT, F.lead(START_AT).over(by_version))
    values = [
        column(name) if _among(name, cdc.keys) else F.col(ROW).getField(name).alias(name) for name in columns
    ]
    return ended.where(~F.col(ROW).getField(DELETED)).select(*values, START_AT, END_AT)


def later(changes: DataFrame, of: Callable[[str], Column] | None = None) -> Column:
    """The value that orders the changes of a key; `of` gives a column by its name."""
    of = of or column
    return F.struct(of(SEQUENCE), of(DELETED), content(changes.schema, of))


def content(schema: StructType, of: Callable[[str], Column]) -> Column:
    """The value that orders changes with the same key and sequence: all data columns."""
    fields = sorted((f for f in schema if f.name not in (SEQUENCE, DELETED)), key=lambda f: f.name.lower())
    return F.struct(*[comparable(of(f.name), f.dataType).alias(f"c{n}") for n, f in enumerate(fields)])


def comparable(value: Column, kind: DataType) -> Column:
    """The value, converted to a type that Spark can order and compare."""
    return F.to_json(value) if _has_no_order(kind) else value


def widened(value: Column, kind: DataType, wider: DataType) -> Column:
    """The value of type `kind`, with NULL for the structs' fields that only `wider` has.

    Structs in arrays and in the values of maps too. Fields that only `kind` has come last.
    """
    if isinstance(kind, StructType) and isinstance(wider, StructType):
        own = {field.name.lower(): field for field in kind}
        known = [(own.pop(field.name.lower(), None), field) for field in wider]
        fields = [
            widened(value.getField(given.name), given.dataType, field.dataType).alias(field.name)
            if given
            else F.lit(None).cast(field.dataType).alias(field.name)
            for given, field in known
        ]
        fields += [value.getField(field.name).alias(field.name) for field in own.values()]
        return F.when(value.isNotNull(), F.struct(*fields))
    if isinstance(kind, ArrayType) and isinstance(wider, ArrayType):
        inner, other = kind.elementType, wider.elementType
        return F.transform(value, lambda item: widened(item, inner, other))
    if isinstance(kind, MapType) and isinstance(wider, MapType):
        inner, other = kind.valueType, wider.valueType
        return F.transform_values(value, lambda _, item: widened(item, inner, other))
    return value


def column(name: str) -> Column:
    """A column by its name, which may have any character."""
    return F.col(quoted(name))


def same(left: Sequence[Column], right: Sequence[Column]) -> Column:
    """Whether two rows have the same key. NULL equals NULL."""
    condition = F.lit(True)
    for one, other in zip(left, right, strict=True):
        condition = condition & one.eqNullSafe(other)
    return condition


def of_keys(
    rows: DataFrame,
    keys: Sequence[str],
    others: DataFrame,
    how: Literal["leftsemi", "leftanti"] = "leftsemi",
) -> DataFrame:
    """The rows whose key also occurs in `others`; with `leftanti`, the other rows."""
    other = others.select(*[column(key).alias(f"__key_{number}") for number, key in enumerate(keys)])
    condition = same([column(key) for key in keys], [F.col(f"__key_{n}") for n in range(len(keys))])
    return rows.join(other, condition, how)


def _in_order(changes: DataFrame, cdc: AutoCdc) -> DataFrame:
    """The changes with `__order`. If NULLs are ignored, each NULL is replaced by the newest value of its key.

    Values from before the key's last delete do not count.
    """
    ordered = changes.withColumn(ORDER, later(changes))
    if not cdc.ignore_null_updates:
        return ordered
    keys = [column(key) for key in cdc.keys]
    before = Window.partitionBy(*keys).orderBy(ORDER).rowsBetween(Window.unboundedPreceding, -1)
    deletes = F.coalesce(F.sum(F.col(DELETED).cast("int")).over(before), F.lit(0))
    lives = ordered.withColumn("__life", deletes)
    so_far = Window.partitionBy(*keys, "__life").orderBy(ORDER)
    so_far = so_far.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    kept = [
        column(field.name)
        if field.name in (SEQUENCE, DELETED) or _among(field.name, cdc.keys)
        else _newest_value(column(field.name), field.dataType, so_far).alias(field.name)
        for field in changes.schema
    ]
    return lives.select(*kept, ORDER)


def _newest_value(value: Column, kind: DataType, so_far: WindowSpec) -> Column:
    """The newest value that is not NULL, for each field of a struct by itself."""
    newest = F.last(value, ignorenulls=True).over(so_far)
    if not isinstance(kind, StructType):
        return newest
    fields = [_newest_value(value.getField(f.name), f.dataType, so_far).alias(f.name) for f in kind]
    return F.when(newest.isNotNull(), F.struct(*fields))


def _has_no_order(kind: DataType) -> bool:
    if isinstance(kind, StructType):
        return any(_has_no_order(field.dataType) for field in kind)
    element = getattr(kind, "elementType", None)
    return isinstance(kind, (MapType, VariantType)) or (element is not None and _has_no_order(element))


def _among(name: str, names: Sequence[str]) -> bool:
    return name.lower() in (other.lower() for other in names)

"""Turns raw lines into typed columns, in the same way everywhere and for every entity."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.domain.entities import Entity, SourceField

PROVENANCE = ("source_file", "ingested_at", "environment")
CHECKS = ("is_utf8", "is_json", "unexpected_columns", "repeated_keys", "unreadable_fields")
# A cast takes '12:30' as today's, 'BST' as Dhaka's time, and picks one of the two equal hours that a city has
# in autumn. So a time must be in UTC or give its offset from UTC.
ONE_MOMENT = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?( ?(Z|UTC|[+-]\d{2}(:?\d{2})?))?$"


def to_bronze(lines: DataFrame, environment: str) -> DataFrame:
    """Raw lines as they arrived.

    In: the text source's `value` (its bytes untouched) and `_metadata`. Out: `raw_line` BINARY,
    `source_file` STRING, `ingested_at` TIMESTAMP (one per micro-batch), `environment` STRING.
    """
    return lines.select(
        F.col("value").cast("binary").alias("raw_line"),
        F.col("_metadata.file_path").alias("source_file"),
        F.current_timestamp().alias("ingested_at"),
        F.lit(environment).alias("environment"),
    )


def parse(bronze: DataFrame, entity: Entity) -> DataFrame:
    """Every bronze line with the entity's fields, typed; a value that does not fit its type is NULL.

    In: bronze columns. Out: the entity's fields and its derived columns; `record_hash` BIGINT
    over the fields as delivered; `is_utf8`, `is_json` BOOLEAN; as `ARRAY<STRING>` the `unexpected_columns`,
    the `repeated_keys`, which the line has more than once, and the `unreadable_fields`, whose value does not
    fit its type; `raw_line` and the provenance columns.
    """
    text = F.make_valid_utf8(F.col("raw_line").cast("string"))
    # The parser would ignore anything after the first object. Followed by one more object in an array, only a
    # line of exactly one object gives two elements.
    records = F.from_json(F.concat(F.lit("["), text, F.lit(",{}]")), "array<map<string,string>>")
    named = bronze.select(
        "*",
        F.is_valid_utf8(F.col("raw_line").cast("string")).alias("is_utf8"),
        F.when(F.size(records) == 2, F.element_at(records, 1)).alias("record"),
    )
    given = {field.name: F.col("record").getItem(field.name) for field in entity.fields}
    known = F.array(*[F.lit(name) for name in entity.field_names])
    columns = [_typed(given[field.name], field).alias(field.name) for field in entity.fields]
    keys = F.map_keys("record")
    repeated = F.filter(keys, lambda key, place: F.array_position(keys, key) <= place)
    unreadable = [
        F.when(_text(given[field.name]).isNotNull() & F.col(field.name).isNull(), F.lit(field.name))
        for field in entity.fields
        if field.type != "string"
    ]
    typed = named.select(
        *columns,
        F.xxhash64(*given.values()).alias("record_hash"),
        line_hash().alias("line_hash"),
        "is_utf8",
        F.col("record").isNotNull().alias("is_json"),
        _names(F.array_except(keys, known)).alias("unexpected_columns"),
        _names(F.array_distinct(repeated)).alias("repeated_keys"),
        _names(F.array_compact(F.array(*unreadable))).alias("unreadable_fields"),
        "raw_line",
        *PROVENANCE,
    )
    # Spark Connect's `withColumns` refuses to add no column.
    return typed.select("*", *[F.expr(formula).alias(name) for name, formula in entity.derived])


def latest_per_key(records: DataFrame, entity: Entity) -> DataFrame:
    """One row per key: the greatest by `sequence`, which auto CDC keeps in a stream.

    Each record is in exactly one of this and `superseded`.
    """
    columns = records.columns
    newest = F.max_by(F.struct(*columns), sequence(entity)).alias("newest")
    return records.groupBy(entity.key).agg(newest).select("newest.*")


def superseded(records: DataFrame, entity: Entity) -> DataFrame:
    """The records that `latest_per_key` does not keep.

    Out: columns as in `records`, and `newest_<column>` for the entity's `settled` columns: the value in the
    record that is kept. Of several records with an equal `sequence` all but one are superseded.
    """
    repeated = records.groupBy(entity.key).count().where("count > 1").select(entity.key)
    newest_first = Window.partitionBy(entity.key).orderBy(sequence(entity).desc())
    return (
        records.join(repeated, entity.key, "leftsemi")
        .select(
            *records.columns,
            *[F.first(name).over(newest_first).alias(f"newest_{name}") for name in entity.settled],
            F.row_number().over(newest_first).alias("_rank"),
        )
        .where("_rank > 1")
        .drop("_rank")
    )


def sequence(entity: Entity) -> Column:
    """The order of records with one key: first as the entity declares it, then by content, never by arrival.

    It is total: only lines of one file that are equal byte for byte are equal in it. All code that chooses
    the newest record or distinguishes versions uses it.
    """
    return F.struct(*entity.sequence_by, "record_hash", "source_file", "line_hash")


def line_hash() -> Column:
    """A hash of 64 bits of a raw line's bytes; in: `raw_line` BINARY. NULL only if that is."""
    return F.xxhash64("raw_line")


def _names(found: Column) -> Column:
    return F.coalesce(F.sort_array(found), F.array().cast("array<string>"))


def _text(value: Column) -> Column:
    return F.nullif(F.trim(value, F.lit(" \t\r\n")), F.lit(""))


def _typed(value: Column, field: SourceField) -> Column:
    """The value as the field's type, or NULL; never a value that differs from what was delivered.

    A time without a zone is in UTC; digits beyond the microsecond are truncated.
    """
    text = _text(value)
    match field.type:
        case "string":
            return F.lower(text) if field.lower else text
        case "int":  # a cast would turn '3.7' into 3
            return F.when(text.rlike(r"^[+-]?[0-9]+$"), text.try_cast("int"))
        case "decimal(10,2)":  # a cast would round '9.999'
            cents = text.try_cast("decimal(10,2)")
            return F.when(cents.cast("double") == text.try_cast("double"), cents)
        case "timestamp":
            return F.when(text.rlike(ONE_MOMENT), text.try_cast("timestamp"))
        case "date":
            return F.when(text.rlike(r"^\d{4}-\d{2}-\d{2}$"), text.try_cast("date"))

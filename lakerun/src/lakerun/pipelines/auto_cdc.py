"""Auto CDC by MERGE: type 1 keeps the newest row of a key, type 2 keeps its history.

Changes may arrive in any order. A Delta table beside the checkpoint keeps what the target does not show:
the sequence of rows whose sequence columns are not in the target, deletes, and changes that a version
absorbed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from delta.tables import DeltaTable
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from lakerun.pipelines.definitions import AutoCdc, FlowDefinition
from lakerun.pipelines.graph import END_AT, START_AT, output_columns, sequence_column
from lakerun.tables.delta_files import read_table, write_table
from lakerun.tables.delta_table import Table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SEQUENCE, DELETED = "__sequence", "__deleted"
OPERATION = "__operation"


@dataclass(frozen=True)
class ChangeBatch:
    """One micro-batch of changes to apply to the table at `target` as transaction (`app_id`, `batch_id`)."""

    flow: FlowDefinition
    rows: DataFrame
    target: Path
    side: Path
    app_id: str
    batch_id: int
    target_is_empty: bool

    @property
    def transaction(self) -> tuple[str, int]:
        return self.app_id, self.batch_id


def apply_changes(batch: ChangeBatch) -> None:
    """Apply the changes exactly once, even after a kill."""
    cdc = batch.flow.cdc
    assert cdc is not None
    columns = output_columns(batch.flow, batch.rows.columns)
    changes = _changes(batch, cdc, columns)
    if cdc.scd_type == 1:
        _apply_type_1(batch, cdc, columns, changes)
    else:
        _apply_type_2(batch, cdc, columns, changes)


def _changes(batch: ChangeBatch, cdc: AutoCdc, columns: list[str]) -> DataFrame:
    """Output columns, `__sequence` and `__deleted` of every change."""
    deleted = F.lit(False)
    if cdc.apply_as_deletes is not None:
        condition = cdc.apply_as_deletes
        deleted = F.coalesce(F.expr(condition) if isinstance(condition, str) else condition, F.lit(False))
    changes = batch.rows.select(*columns, sequence_column(batch.flow), deleted.alias(DELETED))
    missing = F.raise_error(F.lit(f"auto CDC flow '{batch.flow.name}': sequence_by is NULL")).cast("boolean")
    return changes.where(F.when(F.col(SEQUENCE).isNull(), missing).otherwise(F.lit(True)))


# Type 1 -------------------------------------------------------------------------------------------------


def _apply_type_1(batch: ChangeBatch, cdc: AutoCdc, columns: list[str], changes: DataFrame) -> None:
    newest = _newest(cdc, columns, changes)
    target_sequence = _sequence_of_target(batch, cdc, columns)
    if target_sequence and cdc.apply_as_deletes is None:
        if batch.target_is_empty:
            write_table(newest.select(*columns), batch.target, "append", transaction=batch.transaction)
        else:
            _merge_newest(batch, cdc, columns, newest, target_sequence)
        return
    session = batch.rows.sparkSession
    newest = newest.persist()  # read by two commits
    try:
        if Table(batch.target).last_transaction(batch.app_id) < batch.batch_id:
            pending = newest
            if DeltaTable.isDeltaTable(session, str(batch.side)):
                known = read_table(session.read, batch.side)
                known = known.select(*cdc.keys, F.col(SEQUENCE).alias("__known"))
                pending = newest.join(known, list(cdc.keys), "left").where(
                    f"__known IS NULL OR {SEQUENCE} > __known"
                )
            _merge_upserts_and_deletes(batch, cdc, columns, pending)
        side = newest.select(*cdc.keys, SEQUENCE)
        _remember(batch, side, cdc.keys)
    finally:
        newest.unpersist()


def _newest(cdc: AutoCdc, columns: list[str], changes: DataFrame) -> DataFrame:
    """One change per key: the greatest by sequence; with ignore_null_updates the newest non-NULL values."""
    if not cdc.ignore_null_updates:
        row = F.max_by(F.struct(*changes.columns), F.col(SEQUENCE)).alias("row")
        return changes.groupBy(*cdc.keys).agg(row).select("row.*")
    values = [
        F.max_by(F.col(name), F.when(F.col(name).isNotNull(), F.col(SEQUENCE))).alias(name)
        for name in columns
        if name not in cdc.keys
    ]
    flags = [F.max(SEQUENCE).alias(SEQUENCE), F.max_by(DELETED, SEQUENCE).alias(DELETED)]
    # Aliases within one aggregation do not see each other, so max(SEQUENCE) above is over the changes.
    return changes.groupBy(*cdc.keys).agg(*values, *flags)


def _merge_newest(
    batch: ChangeBatch, cdc: AutoCdc, columns: list[str], newest: DataFrame, target_sequence: str
) -> None:
    """MERGE where the target's own columns give the sequence of its rows."""
    session = batch.rows.sparkSession
    values = _values(cdc, columns)
    with _transaction(session, batch.app_id, batch.batch_id):
        (
            DeltaTable.forPath(session, str(batch.target))
            .alias("t")
            .merge(newest.alias("s"), _same_key(cdc.keys))
            .whenMatchedUpdate(condition=f"s.{SEQUENCE} > {target_sequence}", set=values)
            .whenNotMatchedInsert(values={f"`{name}`": f"s.`{name}`" for name in columns})
            .execute()
        )


def _merge_upserts_and_deletes(batch: ChangeBatch, cdc: AutoCdc, columns: list[str], rows: DataFrame) -> None:
    session = batch.rows.sparkSession
    with _transaction(session, batch.app_id, batch.batch_id):
        (
            DeltaTable.forPath(session, str(batch.target))
            .alias("t")
            .merge(rows.alias("s"), _same_key(cdc.keys))
            .whenMatchedDelete(condition=f"s.{DELETED}")
            .whenMatchedUpdate(set=_values(cdc, columns))
            .whenNotMatchedInsert(
                condition=f"NOT s.{DELETED}", values={f"`{name}`": f"s.`{name}`" for name in columns}
            )
            .execute()
        )


def _values(cdc: AutoCdc, columns: list[str]) -> dict[str, str | Column]:
    if cdc.ignore_null_updates:
        return {f"`{name}`": f"coalesce(s.`{name}`, t.`{name}`)" for name in columns}
    return {f"`{name}`": f"s.`{name}`" for name in columns}


def _sequence_of_target(batch: ChangeBatch, cdc: AutoCdc, columns: list[str]) -> str | None:
    """The sequence as SQL over the MERGE's target alias `t`; None where the target lacks a column of it."""
    import sqlglot
    from sqlglot import exp

    sequence: Any = sequence_column(batch.flow)
    tree = sqlglot.parse_one(str(sequence._jc.node().sql()), read="databricks")
    if isinstance(tree, exp.Alias):
        tree = tree.this
    known = {name.lower() for name in columns}
    for column in tree.find_all(exp.Column):
        if column.table or column.name.lower() not in known:
            return None
        column.set("table", exp.to_identifier("t"))
    # A row that keeps values of an older change has no sequence of its own in its columns.
    return None if cdc.ignore_null_updates else tree.sql(dialect="databricks")


# Type 2 -------------------------------------------------------------------------------------------------


def _apply_type_2(batch: ChangeBatch, cdc: AutoCdc, columns: list[str], changes: DataFrame) -> None:
    """Every change goes to the side table; from there the history of the touched keys is rebuilt.

    The target is not enough: it has only the first of changes with equal values, and no deletes.
    """
    session = batch.rows.sparkSession
    changes = changes.persist()  # read for the side table and for the keys
    try:
        if Table(batch.side).last_transaction(batch.app_id) < batch.batch_id:
            write_table(changes, batch.side, "append", transaction=batch.transaction)
        else:  # after a kill between the two commits the batch must still be read, to be counted
            changes.write.format("noop").mode("overwrite").save()
        if Table(batch.target).last_transaction(batch.app_id) < batch.batch_id:
            known = read_table(session.read, batch.side)
            if batch.target_is_empty:
                whole = history(known, cdc, columns)
                write_table(whole, batch.target, "append", transaction=batch.transaction)
            else:
                touched = changes.select(*cdc.keys).distinct()
                rebuilt = history(known.join(touched, list(cdc.keys), "leftsemi"), cdc, columns)
                _merge_history(batch, cdc, columns, touched, rebuilt)
    finally:
        changes.unpersist()


def history(changes: DataFrame, cdc: AutoCdc, columns: list[str]) -> DataFrame:
    """The versions that a set of changes describes: output columns, `__START_AT`, `__END_AT`.

    A version ends where the next one, or a delete, begins. Consecutive changes with equal tracked columns
    are one version, with the newest values of its other columns.
    """
    payload = [name for name in columns if name not in cdc.keys]
    tracked = [
        name
        for name in (cdc.track_history if cdc.track_history is not None else payload)
        if name not in cdc.track_history_except and name not in cdc.keys
    ]
    in_order = Window.partitionBy(*cdc.keys).orderBy(SEQUENCE)
    one_per_sequence = changes.dropDuplicates([*cdc.keys, SEQUENCE])
    state = F.struct(F.col(DELETED), *[F.col(name) for name in tracked])
    marked = one_per_sequence.withColumn("__before", F.lag(state).over(in_order))
    begins = F.col("__before").isNull() | ~state.eqNullSafe(F.col("__before"))
    numbered = marked.withColumn("__version", F.sum(begins.cast("int")).over(in_order))
    versions = numbered.groupBy(*cdc.keys, "__version").agg(
        F.min(SEQUENCE).alias(START_AT),
        F.max_by(F.struct(DELETED, *payload), F.col(SEQUENCE)).alias("__row"),
    )
    by_version = Window.partitionBy(*cdc.keys).orderBy("__version")
    ended = versions.withColumn(END_AT, F.lead(START_AT).over(by_version))
    values = [F.col(name) if name in cdc.keys else F.col(f"__row.{name}").alias(name) for name in columns]
    return ended.where(f"NOT __row.{DELETED}").select(*values, START_AT, END_AT)


def _merge_history(
    batch: ChangeBatch, cdc: AutoCdc, columns: list[str], touched: DataFrame, rebuilt: DataFrame
) -> None:
    """Merge what differs between the present and the rebuilt history of the touched keys."""
    session = batch.rows.sparkSession
    keys = list(cdc.keys)
    present = read_table(session.read, batch.target).join(touched, keys, "leftsemi")
    row = F.struct(*columns, END_AT)
    old = present.select(*keys, START_AT, row.alias("__old"))
    new = rebuilt.select(*keys, START_AT, row.alias("__new"))
    operation = (
        F.when(F.col("__new").isNull(), "delete")
        .when(F.col("__old").isNull(), "insert")
        .when(~F.col("__old").eqNullSafe(F.col("__new")), "update")
    )
    source = (
        old.join(new, [*keys, START_AT], "full")
        .withColumn(OPERATION, operation)
        .where(f"{OPERATION} IS NOT NULL")
        .select(*keys, START_AT, OPERATION, *[f"__new.{c}" for c in (*columns, END_AT) if c not in keys])
    )
    values: dict[str, str | Column] = {f"`{name}`": f"s.`{name}`" for name in (*columns, START_AT, END_AT)}
    with _transaction(session, batch.app_id, batch.batch_id):
        (
            DeltaTable.forPath(session, str(batch.target))
            .alias("t")
            .merge(source.alias("s"), f"{_same_key(cdc.keys)} AND t.{START_AT} <=> s.{START_AT}")
            .whenMatchedDelete(condition=f"s.{OPERATION} = 'delete'")
            .whenMatchedUpdate(set=values)
            .whenNotMatchedInsert(values=values)
            .execute()
        )


# Shared -------------------------------------------------------------------------------------------------


def _remember(batch: ChangeBatch, rows: DataFrame, keys: tuple[str, ...]) -> None:
    """Keep the newest sequence of each key in the side table, as the same transaction."""
    session = batch.rows.sparkSession
    if not DeltaTable.isDeltaTable(session, str(batch.side)):
        rows.limit(0).write.format("delta").save(str(batch.side))
    with _transaction(session, batch.app_id, batch.batch_id):
        (
            DeltaTable.forPath(session, str(batch.side))
            .alias("t")
            .merge(rows.alias("s"), _same_key(keys))
            .whenMatchedUpdateAll(condition=f"s.{SEQUENCE} > t.{SEQUENCE}")
            .whenNotMatchedInsertAll()
            .execute()
        )


def _same_key(keys: tuple[str, ...]) -> str:
    return " AND ".join(f"t.`{key}` <=> s.`{key}`" for key in keys)


@contextmanager
def _transaction(session: SparkSession, app_id: str, version: int) -> Iterator[None]:
    """Makes a MERGE within commit at most once for this application and version."""
    session.conf.set("spark.databricks.delta.write.txnAppId", app_id)
    session.conf.set("spark.databricks.delta.write.txnVersion", str(version))
    try:
        yield
    finally:
        session.conf.unset("spark.databricks.delta.write.txnAppId")
        session.conf.unset("spark.databricks.delta.write.txnVersion")

"""Auto CDC by MERGE: type 1 keeps the newest row of a key, type 2 keeps its history.

The result depends only on the changes, not on their order of arrival, their batches or their flow
(see `cdc_rows`). This needs more than the target shows, so all flows of a target share its memory, a
Delta table of its own. Type 1 stores the newest change of each key in it, deletes included. Type 2 stores
every change, and so do both types if NULLs are ignored. A batch goes into the memory first; then the touched
keys of the target are updated from the memory. Each of the two commits happens once, and the second can be
repeated, so a kill between them loses nothing.

There is no memory if the target's own columns have the sequence, nothing is ever deleted and no NULL is
ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from delta.tables import DeltaTable
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import ArrayType, DataType, MapType, StructType

from lakerun.errors import LakerunError
from lakerun.pipelines.cdc_rows import (
    DELETED,
    SEQUENCE,
    column,
    comparable,
    content,
    current,
    history,
    later,
    of_keys,
    same,
    widened,
)
from lakerun.pipelines.change_flows import END_AT, START_AT, output_columns, sequence_column, sequence_of
from lakerun.pipelines.definitions import AutoCdc, FlowDefinition
from lakerun.tables.delta_files import read_table, table_schema, write_table
from lakerun.tables.delta_table import Table
from lakerun.tables.storage import quoted

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

GONE = "__gone"


@dataclass(frozen=True)
class ChangeBatch:
    """One micro-batch of changes to apply to the table at `target` as transaction (`app_id`, `batch_id`).

    `flows` are all flows that write to the target; `memory` is the folder of its memory; `declared` has the
    columns of a declared schema.
    """

    flow: FlowDefinition
    flows: Sequence[FlowDefinition]
    rows: DataFrame
    target: Path
    memory: Path
    app_id: str
    batch_id: int
    target_is_empty: bool
    declared: StructType | None = None

    @property
    def cdc(self) -> AutoCdc:
        assert self.flow.cdc is not None
        return self.flow.cdc

    @property
    def transaction(self) -> tuple[str, int]:
        return self.app_id, self.batch_id

    @property
    def session(self) -> SparkSession:
        return self.rows.sparkSession

    def is_in(self, table: Path) -> bool:
        """Whether the table at this path has the batch."""
        return Table(table).last_transaction(self.app_id) >= self.batch_id


def apply_changes(batch: ChangeBatch) -> None:
    """Apply the changes exactly once, even after a kill."""
    stored = table_schema(batch.target)
    _check_kind(batch, stored)
    changes = _changes(batch, stored)
    data = [name for name in changes.columns if name not in (SEQUENCE, DELETED)]
    _evolve(batch.target, stored, changes.select(*map(column, data)))
    if not Table(batch.memory).exists:
        sequence = _sequence_in_target(batch, stored, changes.schema)
        if sequence is not None and not _needs_memory(batch.flows):
            _merge_newest(batch, changes, data, sequence)
            return
        if not batch.target_is_empty:
            _remember_target(batch, sequence)
    every_change = batch.cdc.scd_type == 2 or batch.cdc.ignore_null_updates
    # Read twice, for the memory and for the keys. Type 1 needs only the newest change of each key.
    kept = (changes if every_change else current(changes, batch.cdc)).persist()
    try:
        _remember(batch, kept, every_change)
        if not batch.is_in(batch.target):
            _rebuild(batch, data, kept)
    finally:
        kept.unpersist()


def _needs_memory(flows: Sequence[FlowDefinition]) -> bool:
    """Whether the target's columns cannot tell if a change is newer than its row."""
    declared = [flow.cdc for flow in flows if flow.cdc]
    return (
        any(
            cdc.scd_type == 2 or cdc.ignore_null_updates or cdc.apply_as_deletes is not None
            for cdc in declared
        )
        or len({_sequence_sql(flow) for flow in flows}) > 1
    )


def _changes(batch: ChangeBatch, stored: StructType) -> DataFrame:
    """All changes of the batch: the target's columns, `__sequence` and `__deleted`."""
    deleted = F.lit(False)
    if batch.cdc.apply_as_deletes is not None:
        condition = batch.cdc.apply_as_deletes
        deleted = F.coalesce(F.expr(condition) if isinstance(condition, str) else condition, F.lit(False))
    names = output_columns(batch.flow, batch.rows.columns)
    types = {field.name.lower(): field.dataType for field in batch.declared or stored}
    data = []
    for name in names:
        given, value = batch.rows.schema[name].dataType, column(name)
        wanted = types.get(name.lower(), given)
        if _lacks(given, wanted):  # a struct of the target has fields that this source lacks
            value = widened(value, given, wanted).alias(name)
        if not batch.declared:
            data.append(value)
        elif name.lower() in types:
            data.append(value.cast(wanted).alias(name))
    # Columns that the target has and this source lacks: another flow's, or no longer sent.
    known = {name.lower() for name in names}
    missing = [
        F.lit(None).cast(field.dataType).alias(field.name)
        for field in stored
        if field.name not in (START_AT, END_AT) and field.name.lower() not in known
    ]
    changes = batch.rows.select(*data, *missing, sequence_column(batch.flow), deleted.alias(DELETED))
    absent = F.raise_error(F.lit(f"auto CDC flow '{batch.flow.name}': sequence_by is NULL")).cast("boolean")
    return changes.where(F.when(F.col(SEQUENCE).isNull(), absent).otherwise(F.lit(True)))


def _check_kind(batch: ChangeBatch, stored: StructType) -> None:
    is_history = START_AT in stored.names
    if not batch.target_is_empty and is_history != (batch.cdc.scd_type == 2):
        raise LakerunError(
            f"The table of auto CDC flow '{batch.flow.name}' was created with stored_as_scd_type="
            f"{2 if is_history else 1}: refresh it fully with --full-refresh {batch.target.name}."
        )


# Without a memory ---------------------------------------------------------------------------------------


def _merge_newest(batch: ChangeBatch, changes: DataFrame, data: list[str], sequence: str) -> None:
    newest = current(changes, batch.cdc)
    if batch.target_is_empty:
        write_table(newest.select(*map(column, data)), batch.target, "append", transaction=batch.transaction)
        return
    types = StructType([changes.schema[name] for name in data])
    ahead = F.expr(f"s.{SEQUENCE} > {sequence}") | (
        F.expr(f"s.{SEQUENCE} = {sequence}") & (content(types, _of("s")) > content(types, _of("t")))
    )
    values = {quoted(name): _of("s")(name) for name in data}
    with _transaction(batch):
        (
            _table(batch.session, batch.target)
            .merge(newest.alias("s"), _same_key(batch.cdc.keys))
            .whenMatchedUpdate(condition=ahead, set=values)
            .whenNotMatchedInsert(values=values)
            .execute()
        )


def _sequence_in_target(batch: ChangeBatch, stored: StructType, changes: StructType) -> str | None:
    """The sequence as SQL over the MERGE's target alias `t`; None if the target lacks a column of it."""
    import sqlglot
    from sqlglot import exp

    tree = sqlglot.parse_one(_sequence_sql(batch.flow), read="databricks")
    if isinstance(tree, exp.Alias):
        tree = tree.this
    # A column whose type differs from the source's may sort differently.
    source, there, own = (
        {field.name.lower(): field.dataType for field in schema}
        for schema in (batch.rows.schema, changes, stored)
    )
    for used in tree.find_all(exp.Column):
        name = used.name.lower()
        if used.table or name not in there or not source.get(name) == there[name] == own.get(name):
            return None
        used.set("table", exp.to_identifier("t"))
    return str(tree.sql(dialect="databricks"))


def _sequence_sql(flow: FlowDefinition) -> str:
    return str(sequence_of(flow)._jc.node().sql())


# With a memory ------------------------------------------------------------------------------------------


def _remember_target(batch: ChangeBatch, sequence: str | None) -> None:
    """Create the memory of a target that needed none until now, from the target's columns."""
    if batch.cdc.scd_type == 2 or sequence is None:
        raise LakerunError(
            f"The memory of auto CDC flow '{batch.flow.name}' is missing: refresh its table fully "
            f"with --full-refresh {batch.target.name}."
        )
    rows = read_table(batch.session.read, batch.target).alias("t")
    known = rows.select("*", F.expr(sequence).alias(SEQUENCE), F.lit(False).alias(DELETED))
    write_table(known, batch.memory, "append")


def _remember(batch: ChangeBatch, kept: DataFrame, every_change: bool) -> None:
    """Put the batch into the memory, once."""
    if batch.is_in(batch.memory):
        kept.write.format("noop").mode("overwrite").save()  # read it anyway: its rows are counted
        return
    if every_change or not Table(batch.memory).exists:
        write_table(kept, batch.memory, "append", transaction=batch.transaction)
        return
    _evolve(batch.memory, table_schema(batch.memory), kept)
    values = {quoted(name): _of("s")(name) for name in kept.columns}
    with _transaction(batch):
        (
            _table(batch.session, batch.memory)
            .merge(kept.alias("s"), _same_key(batch.cdc.keys))
            .whenMatchedUpdate(condition=later(kept, _of("s")) > later(kept, _of("t")), set=values)
            .whenNotMatchedInsert(values=values)
            .execute()
        )


def _rebuild(batch: ChangeBatch, data: list[str], touched: DataFrame) -> None:
    """Update the touched keys of the target from the memory."""
    cdc, session = batch.cdc, batch.session
    known = read_table(session.read, batch.memory)
    if not batch.target_is_empty:
        touched = touched.select(*map(column, cdc.keys)).distinct()
        known = of_keys(known, cdc.keys, touched)
    if cdc.scd_type == 2:
        rebuilt = history(known, cdc, data)
    else:
        rebuilt = current(known, cdc).select(*map(column, data), DELETED)
    if batch.target_is_empty:
        rows = rebuilt if cdc.scd_type == 2 else rebuilt.where(~F.col(DELETED)).drop(DELETED)
        write_table(rows, batch.target, "append", transaction=batch.transaction)
        return
    if cdc.scd_type == 2:
        identity = [*cdc.keys, START_AT]
        present = of_keys(read_table(session.read, batch.target), cdc.keys, touched)
        gone = of_keys(present, identity, rebuilt, "leftanti").withColumn(GONE, F.lit(True))
        source = rebuilt.withColumn(GONE, F.lit(False)).unionByName(gone)
    else:
        identity = list(cdc.keys)
        source = rebuilt.withColumnRenamed(DELETED, GONE)
    _merge(batch, source, identity)


def _merge(batch: ChangeBatch, source: DataFrame, identity: list[str]) -> None:
    """Merge the differences between source and target; rows with `__gone` are deleted."""
    rows = [field for field in source.schema if field.name != GONE]
    ours, theirs = (
        F.struct(*[comparable(_of(alias)(f.name), f.dataType).alias(f"c{n}") for n, f in enumerate(rows)])
        for alias in ("t", "s")
    )
    values = {quoted(field.name): _of("s")(field.name) for field in rows}
    with _transaction(batch):
        (
            _table(batch.session, batch.target)
            .merge(source.alias("s"), _same_key(identity))
            .whenMatchedDelete(condition=f"s.{GONE}")
            .whenMatchedUpdate(condition=~ours.eqNullSafe(theirs), set=values)
            .whenNotMatchedInsert(condition=f"NOT s.{GONE}", values=values)
            .execute()
        )


# Shared -------------------------------------------------------------------------------------------------


def _evolve(path: Path, stored: StructType, rows: DataFrame) -> None:
    """Add missing columns, and missing fields of structs, to the table."""
    if _lacks(stored, rows.schema):
        rows.limit(0).write.format("delta").mode("append").option("mergeSchema", "true").save(str(path))


def _lacks(own: DataType, given: DataType) -> bool:
    if isinstance(own, StructType) and isinstance(given, StructType):
        known = {field.name.lower(): field.dataType for field in own}
        return any(
            field.name.lower() not in known or _lacks(known[field.name.lower()], field.dataType)
            for field in given
        )
    if isinstance(own, ArrayType) and isinstance(given, ArrayType):
        return _lacks(own.elementType, given.elementType)
    if isinstance(own, MapType) and isinstance(given, MapType):
        return _lacks(own.keyType, given.keyType) or _lacks(own.valueType, given.valueType)
    return False


def _table(session: SparkSession, path: Path) -> DeltaTable:
    return DeltaTable.forPath(session, str(path)).alias("t")


def _of(alias: str) -> Any:
    return lambda name: F.col(f"{alias}.{quoted(name)}")


def _same_key(keys: Sequence[str]) -> Column:
    return same([_of("t")(key) for key in keys], [_of("s")(key) for key in keys])


@contextmanager
def _transaction(batch: ChangeBatch) -> Iterator[None]:
    """In this context a MERGE commits at most once for this batch. Each stream has its own session."""
    conf = batch.session.conf
    conf.set("spark.databricks.delta.write.txnAppId", batch.app_id)
    conf.set("spark.databricks.delta.write.txnVersion", str(batch.batch_id))
    try:
        yield
    finally:
        conf.unset("spark.databricks.delta.write.txnAppId")
        conf.unset("spark.databricks.delta.write.txnVersion")

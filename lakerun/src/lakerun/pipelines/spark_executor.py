"""Runs flows on Spark and Delta: a stream by availableNow with one checkpoint, a view in one atomic commit.

Counts stay exact after a kill. A batch is reported before the next one starts. A batch that was committed
but not reported is replayed from its checkpoint: Delta skips the rows that it already has, and the rows are
counted again.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from deltalake import DeltaTable, Schema
from pyspark.sql import Observation
from pyspark.sql import functions as F  # noqa: N812

from lakerun.errors import LakerunError
from lakerun.pipelines.auto_cdc import ChangeBatch, apply_changes
from lakerun.pipelines.declared_schema import declared_constraints
from lakerun.pipelines.executor import BatchReport, ExpectationFailedError, RefreshRun, StreamRun
from lakerun.pipelines.expectations import read_violation
from lakerun.spark.causes import root_cause
from lakerun.tables.delta_files import write_table
from lakerun.tables.delta_table import Commit, Table
from lakerun.tables.storage import quoted

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery
    from pyspark.sql.types import StructType

    from lakerun.pipelines.definitions import DatasetDefinition
    from lakerun.pipelines.graph import Dataset

Write = Callable[["DataFrame", int], None]


class SparkExecutor:
    """The executor on a laptop: a classic Spark session in one process."""

    def __init__(self, session: SparkSession) -> None:
        self._session = session
        self._creating = threading.Lock()

    def append(self, run: StreamRun) -> None:
        """Append the stream's new rows, exactly once."""

        def write(batch: DataFrame, batch_id: int) -> None:
            rows = _conformed(batch, run.dataset)
            write_table(rows, run.table, "append", transaction=(run.epoch, batch_id))

        self._stream(run, write)

    def apply_changes(self, run: StreamRun) -> None:
        """Apply an auto CDC flow's new changes, exactly once."""

        def write(batch: DataFrame, batch_id: int) -> None:
            apply_changes(
                ChangeBatch(
                    flow=run.flow.definition,
                    flows=[flow.definition for flow in run.dataset.flows],
                    rows=batch,
                    target=run.table,
                    memory=run.memory,
                    app_id=run.epoch,
                    batch_id=batch_id,
                    target_is_empty=_is_empty(run.table),
                    declared=run.dataset.schema if run.dataset.definition.schema else None,
                )
            )

        self._stream(run, write)

    def refresh(self, run: RefreshRun) -> BatchReport:
        """Replace the materialized view's rows in one commit."""
        self.create_table(run.dataset, run.table)
        observed: dict[str, Observation] = {}
        rows = _conformed(run.query.build(_into(observed), True), run.dataset)
        try:
            write_table(rows, run.table, "overwrite")
        except Exception as error:
            self._raise_explained(error, run)
        table = Table(run.table)
        version = table.newest
        assert version is not None
        commit = table.commit(version)
        return BatchReport(
            batch_id=version,
            rows_written=commit.metrics.get("numOutputRows", 0),
            expectations=run.query.counts(_values(observed)),
            version=version,
            bytes_written=_bytes(commit),
        )

    def create_table(self, dataset: Dataset, path: Path) -> None:
        """Create the dataset's empty table, or bring an existing one's properties up to date."""
        definition = dataset.definition
        properties = dict(definition.table_properties)
        if constraints := declared_constraints(definition.schema):
            properties["lakehouse.constraints"] = "; ".join(constraints)
        if Table(path).exists:
            self._alter(path, properties)
            return
        schema = dataset.schema if definition.schema else _all_nullable(dataset.schema)
        path.parent.mkdir(parents=True, exist_ok=True)
        if definition.cluster_by:
            self._create_clustered(path, schema, definition, properties)
            return
        # delta-rs takes a hundredth of the time that Spark needs to write the same commit.
        DeltaTable.create(
            str(path),
            schema=Schema.from_json(schema.json()),
            mode="ignore",
            description=definition.comment,
            partition_by=list(definition.partition_cols) or None,
            configuration=properties,
            raise_if_key_not_exists=False,
        )

    def _create_clustered(
        self, path: Path, schema: StructType, definition: DatasetDefinition, properties: Mapping[str, str]
    ) -> None:
        """Only Spark's Delta supports clustered tables."""
        from delta.tables import DeltaTable

        builder = DeltaTable.createIfNotExists(self._session).location(str(path))
        builder = builder.addColumns(schema).comment(definition.comment).clusterBy(*definition.cluster_by)
        for key, value in properties.items():
            builder = builder.property(key, value)
        builder.execute()

    def _alter(self, path: Path, properties: Mapping[str, str]) -> None:
        current = Table(path).delta.metadata().configuration
        changed = {key: value for key, value in properties.items() if current.get(key) != value}
        if changed:
            pairs = ", ".join(f"'{_quoted(key)}' = '{_quoted(value)}'" for key, value in changed.items())
            self._session.sql(f"ALTER TABLE delta.{quoted(str(path))} SET TBLPROPERTIES ({pairs})")

    # Streams --------------------------------------------------------------------------------------------

    def _stream(self, run: StreamRun, write: Write) -> None:
        with self._creating:  # several flows may write to one table
            self.create_table(run.dataset, run.table)
        _rewind_to(run.checkpoint, run.last_batch)
        reports = _Reports(run)
        committed = Table(run.table).last_transaction(run.epoch)

        raised: list[Exception] = []

        def on_batch(batch: DataFrame, batch_id: int) -> None:
            try:
                take(batch, batch_id)
            except Exception as error:
                raised.append(error)  # Spark passes on only its text
                raise

        def take(batch: DataFrame, batch_id: int) -> None:
            reports.send()
            # Only the first batch after a start can be one that was committed before.
            if batch_id == run.last_batch + 1 and committed >= batch_id:
                count_again(batch, batch_id)
            else:
                write(batch, batch_id)
            reports.executed(batch_id)

        def count_again(batch: DataFrame, batch_id: int) -> None:
            """Evaluate a committed batch again, and complete the auto CDC memory if it lacks the batch."""
            rows = batch.persist() if run.flow.definition.cdc else batch
            rows.write.format("noop").mode("overwrite").save()
            if run.flow.definition.cdc:
                write(rows, batch_id)
                rows.unpersist()

        rows = run.query.build(_named, True)
        query = self._start(rows, run.checkpoint, on_batch, f"{run.flow.name}")
        reports.query = query
        reports.started.set()
        try:
            query.awaitTermination()
        except Exception as error:
            self._raise_explained(raised[0] if raised else error, run)
        finally:
            reports.send()

    def _start(
        self, rows: DataFrame, checkpoint: Path, on_batch: Callable[[DataFrame, int], None], name: str
    ) -> StreamingQuery:
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        return (
            rows.writeStream.foreachBatch(on_batch)
            .outputMode("append")
            .option("checkpointLocation", str(checkpoint))
            .trigger(availableNow=True)
            .start()
        )

    # Failures -------------------------------------------------------------------------------------------

    def _raise_explained(self, error: Exception, run: StreamRun | RefreshRun) -> NoReturn:
        """Raise the error; for a failed expectation, one with exact counts from a second run."""
        violation = read_violation(root_cause(error))
        if violation is None:
            raise error
        counts = self._recount(run) if isinstance(run, StreamRun) else self._recount_view(run)
        raise ExpectationFailedError(str(run.dataset.name), *violation, counts) from error

    def _recount_view(self, run: RefreshRun) -> Any:
        observed: dict[str, Observation] = {}
        run.query.build(_into(observed), False).write.format("noop").mode("overwrite").save()
        return run.query.counts(_values(observed))

    def _recount(self, run: StreamRun) -> Any:
        """Run the failed batch again on a copy of its checkpoint, without writing."""
        copy = run.checkpoint.with_name(f"{run.checkpoint.name}_recount")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(run.checkpoint, copy)
        seen: list[int] = []

        def on_batch(batch: DataFrame, batch_id: int) -> None:
            if not seen:
                batch.write.format("noop").mode("overwrite").save()
            seen.append(batch_id)

        try:
            query = self._start(run.query.build(_named, False), copy, on_batch, f"{run.flow.name} recount")
            query.awaitTermination()
            for progress in query.recentProgress:
                if seen and progress["batchId"] == seen[0]:
                    return run.query.counts(_metrics(progress))
            return ()
        finally:
            shutil.rmtree(copy, ignore_errors=True)


class _Reports:
    """Passes a stream's finished batches to `run.on_batch`, each once and in order."""

    def __init__(self, run: StreamRun) -> None:
        self.query: StreamingQuery | None = None
        self.started = threading.Event()
        self._run = run
        self._waiting: list[int] = []
        self._lock = threading.Lock()

    def executed(self, batch_id: int) -> None:
        self._waiting.append(batch_id)

    def send(self) -> None:
        """Report the batches that Spark has finished; it has their progress before the next one starts."""
        if not self._waiting:
            return
        self.started.wait()
        assert self.query is not None
        with self._lock:
            finished = {progress["batchId"]: progress for progress in self.query.recentProgress}
            while self._waiting and self._waiting[0] in finished:
                batch_id = self._waiting.pop(0)
                self._run.on_batch(self._report(batch_id, finished[batch_id]))

    def _report(self, batch_id: int, progress: Any) -> BatchReport:
        commit = Table(self._run.table).commit_of(self._run.epoch, batch_id)
        assert commit is not None
        metrics, rows = _commit_metrics(commit)
        late = sum(operator["numRowsDroppedByWatermark"] for operator in progress["stateOperators"])
        if progress["stateOperators"]:
            metrics["num_rows_dropped_by_watermark"] = late
        return BatchReport(
            batch_id=batch_id,
            rows_written=rows,
            expectations=self._run.query.counts(_metrics(progress)),
            metrics=metrics,
            version=commit.version,
            bytes_written=_bytes(commit),
        )


def _bytes(commit: Commit) -> int:
    """Bytes of the files that a commit added. Delta has two names for this metric."""
    return commit.metrics.get("numOutputBytes", 0) or commit.metrics.get("numTargetBytesAdded", 0)


def _commit_metrics(commit: Commit) -> tuple[dict[str, int], int]:
    if commit.operation != "MERGE":
        return {}, commit.metrics.get("numOutputRows", 0)
    upserted = commit.metrics.get("numTargetRowsInserted", 0) + commit.metrics.get("numTargetRowsUpdated", 0)
    deleted = commit.metrics.get("numTargetRowsDeleted", 0)
    return {"num_upserted_rows": upserted, "num_deleted_rows": deleted}, upserted


def _rewind_to(checkpoint: Path, last_batch: int) -> None:
    """Remove the checkpoint's commit mark of a batch that was not reported, so that the batch is replayed."""
    commits = checkpoint / "commits"
    done = (
        [int(file.name) for file in commits.glob("[0-9]*") if file.name.isdigit()] if commits.is_dir() else []
    )
    newest = max(done, default=-1)
    if newest < last_batch:
        raise LakerunError(
            f"The checkpoint {checkpoint} is missing or older than the event log: refresh its table fully."
        )
    if newest > last_batch:
        _forget(commits, newest)
        # A later batch may be planned, but not written: it waits for the report of the previous one.
        for file in (checkpoint / "offsets").glob("[0-9]*"):
            if file.name.isdigit() and int(file.name) > newest:
                _forget(file.parent, int(file.name))


def _forget(log: Path, batch: int) -> None:
    (log / str(batch)).unlink()
    (log / f".{batch}.crc").unlink(missing_ok=True)


def _is_empty(path: Path) -> bool:
    return not Table(path).delta.file_uris()


def _conformed(rows: DataFrame, dataset: Dataset) -> DataFrame:
    """The rows with the columns, order and types of the declared schema, if there is one."""
    if not dataset.definition.schema:
        return rows
    return rows.select([F.col(f"`{f.name}`").cast(f.dataType).alias(f.name) for f in dataset.schema])


def _all_nullable(schema: StructType) -> StructType:
    from pyspark.sql.types import StructField, StructType

    return StructType([StructField(item.name, item.dataType, True) for item in schema])


def _named(rows: DataFrame, metric: str, aggregates: Sequence[Column]) -> DataFrame:
    """Observe under a name; a stream reports it with its progress."""
    return rows.observe(metric, *aggregates)


def _into(observed: dict[str, Observation]) -> Callable[[DataFrame, str, Sequence[Column]], DataFrame]:
    """Observe into Observation objects; a batch query fills them."""

    def observe(rows: DataFrame, metric: str, aggregates: Sequence[Column]) -> DataFrame:
        observed[metric] = Observation(metric)
        return rows.observe(observed[metric], *aggregates)

    return observe


def _values(observed: Mapping[str, Observation]) -> dict[str, dict[str, Any]]:
    return {metric: dict(observation.get) for metric, observation in observed.items()}


def _metrics(progress: Any) -> dict[str, dict[str, Any]]:
    return {name: row.asDict() for name, row in progress["observedMetrics"].items()}


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
